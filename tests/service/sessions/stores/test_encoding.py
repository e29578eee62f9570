"""Encoded values come back equal; other releases' values are read, other format versions are refused."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.boxes import Box
from model.tracker import Track
from service.errors import IncompatibleReplica
from service.sessions.stores import encoding
from service.sessions.stores.store import Exemplar, Facts, FrameAnswer, Geometry, State, StoredTarget

numbers = st.floats(-1e6, 1e6, allow_nan=False)
positive = st.floats(1, 1e6)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda each: each.replace(tzinfo=UTC))
tracks = st.builds(
    Track,
    box=st.builds(Box, numbers, numbers, positive, positive),
    first_size=st.tuples(positive, positive),
    fill=st.tuples(numbers, numbers, numbers),
    score=st.floats(0, 1),
    status=st.sampled_from(["tracking", "uncertain", "lost"]),
)
states = st.builds(
    State,
    st.integers(0, 10**9),
    st.lists(st.builds(StoredTarget, st.text(max_size=64), tracks, st.text("0123456789abcdef")), max_size=3).map(tuple),
    moments,
)


@given(states)
def test_a_state_comes_back_exactly(state: State) -> None:
    assert encoding.unpack_state(encoding.pack_state(state)) == state


@given(st.builds(Facts, st.text(), st.text(), st.tuples(st.integers(1, 9999), st.integers(1, 9999)), positive, moments))
def test_facts_come_back_exactly(facts: Facts) -> None:
    assert encoding.unpack_facts(encoding.pack_facts(facts)) == facts


@given(st.text(max_size=64), st.integers(0, 10**9), st.lists(st.text(), max_size=3))
def test_an_answer_comes_back_exactly(token: str, seq: int, messages: list[str]) -> None:
    answer = FrameAnswer(seq, tuple(messages))
    assert encoding.unpack_answer(encoding.pack_answer(token, answer)) == (token, answer)


def test_every_field_of_a_track_is_kept() -> None:
    """A field that is added to a track must survive a change of replica."""
    track = Track(Box(1, 2, 3, 4), (3, 4), (5, 6, 7))
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(Track):
        value = getattr(track, field.name)
        if isinstance(value, float | int) and not isinstance(value, bool):
            changed[field.name] = value + 7
        elif value is None:
            changed[field.name] = (1.5, 2.5)
    track = dataclasses.replace(track, **changed)
    (back,) = encoding.unpack_state(
        encoding.pack_state(State(1, (StoredTarget("a", track, "e"),), datetime(2026, 1, 1, tzinfo=UTC)))
    ).targets
    assert back.track == track


@pytest.mark.parametrize("shape", [(256, 6, 6), (32, 17, 17), (1, 1, 1)])
def test_an_exemplar_comes_back_exactly(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    embedding = (rng.normal(size=shape) * 1000).astype(np.float16)
    crop = rng.integers(0, 256, (127, 127, 3), np.uint8)
    packed = encoding.pack_exemplar(Exemplar("0" * 64, Geometry(127, 0.5), embedding, crop))
    back = encoding.unpack_exemplar(packed)
    np.testing.assert_array_equal(back.embedding, embedding)
    np.testing.assert_array_equal(back.crop, crop)
    assert (back.weights, back.geometry) == ("0" * 64, Geometry(127, 0.5))
    assert len(packed) < 2 * embedding.size + crop.size + 4096


STATE = State(1, (StoredTarget("a", Track(Box(1, 2, 3, 4), (3, 4), (0, 0, 0)), "e"),), datetime(2026, 1, 1, tzinfo=UTC))


def test_unknown_fields_are_ignored_and_missing_fields_take_their_defaults() -> None:
    body = json.loads(encoding.pack_state(STATE))
    body["news"] = 1
    body["targets"][0]["track"] |= {"colour": "red"}
    del body["targets"][0]["track"]["score"]
    assert encoding.unpack_state(json.dumps(body).encode()) == STATE


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    exemplar = Exemplar("w", Geometry(127, 0.5), np.zeros((1, 1, 1), np.float16), np.zeros((127, 127, 3), np.uint8))
    facts = Facts("s", "me", (1, 1), 1.0, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=1))
    monkeypatch.setattr(encoding, "VERSION", 2)
    written = [
        (encoding.unpack_state, encoding.pack_state(STATE)),
        (encoding.unpack_facts, encoding.pack_facts(facts)),
        (encoding.unpack_exemplar, encoding.pack_exemplar(exemplar)),
    ]
    monkeypatch.undo()
    for unpack, data in written:
        with pytest.raises(IncompatibleReplica, match="version 2"):
            unpack(data)
