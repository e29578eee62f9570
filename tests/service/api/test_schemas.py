"""Sessions and targets as clients see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from model.boxes import Box
from model.config import preset
from model.tracker import Track, Tracker
from service.api.schemas import CreateIn, ModelOut, session_body, target_state
from service.engine.slots import Slot
from service.sessions.session import Target
from service.sessions.stores.store import Facts, State
from service.wire.messages import TargetState

TRACK = Track(Box(1.23456, 2, 3, 4), (3, 4), (0, 0, 0), score=0.98765, status="uncertain")
TRACKER = Tracker(preset("paper"))
TARGET = Target("cat", TRACK, "e0", Slot(0, 1))


@pytest.mark.parametrize(
    ("size", "wants"),
    [
        pytest.param((160, 120), [0, 0, 14, 16], id="much smaller than the frame"),
        pytest.param((16, 12), None, id="nothing saved"),
    ],
)
def test_a_target(size: tuple[int, int], wants: list[int] | None) -> None:
    expected = TargetState("cat", [1.23456, 2, 3, 4], 0.98765, "uncertain", wants=wants)
    assert target_state(TARGET, TRACKER, size) == expected


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=2))], ids=["utc", "elsewhere"])
def test_a_session_in_the_contracts_words(zone: timezone) -> None:
    made = datetime(2026, 1, 2, 3, 4, 5, 678_900, tzinfo=UTC).astimezone(zone)
    facts = Facts("s1", "me", (160, 120), 90.0, made)
    state = State(0, (TARGET,), made + timedelta(seconds=90))
    target = {"id": "cat", "box": [1.2346, 2, 3, 4], "score": 0.9877, "status": "uncertain", "wants": [0, 0, 14, 16]}
    assert session_body(facts, state, TRACKER).model_dump(mode="json") == {
        "session_id": "s1",
        "frame_index": 0,
        "frame_size": [160, 120],
        "targets": [target],
        "stream_url": "/v1/sessions/s1/stream",
        "created_at": "2026-01-02T03:04:05.678Z",
        "expires_at": "2026-01-02T03:05:35.678Z",
    }


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="neither"),
        pytest.param({"box": [0, 0, 1, 1], "targets": [{"box": [0, 0, 1, 1]}]}, id="both"),
        pytest.param({"targets": [{"id": "x" * 65, "box": [0, 0, 1, 1]}]}, id="endless-id"),
        pytest.param({"box": [0, 0, 1, 1], "ttl_s": float("inf")}, id="endless-life"),
        pytest.param({"box": [0, 0, 1, 1], "owner": "me"}, id="field-too-many"),
    ],
)
def test_refused_creations(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CreateIn.model_validate({"frame": "", **fields})


def test_the_models_facts_are_those_of_the_contract() -> None:
    asked = {"network", "stride", "scales", "weights_sha256", "device", "precision", "runtime"}
    assert asked <= ModelOut.model_fields.keys()
    assert {"exemplar_size", "search_size", "map_size"} <= ModelOut.model_fields.keys()
