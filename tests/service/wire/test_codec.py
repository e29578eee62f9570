"""Text messages in and out: every limit, and InvalidRequest as the only error of any input."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidBox, InvalidPart, InvalidRequest
from service.wire import codec
from service.wire.messages import End, FrameResult, Part, RemoveTarget, SetTarget, TargetState, Timing

FINITE = st.floats(allow_nan=False, allow_infinity=False)
SIDES = st.floats(1, 1e300)
NAMES = st.text(min_size=1, max_size=codec.MAX_ID).filter(str.isprintable)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param('{"type":"end"}', End(), id="end"),
        pytest.param('{"type":"remove_target","id":"cat"}', RemoveTarget("cat"), id="remove"),
        pytest.param(
            '{"type":"set_target","id":"Käfer 2","box":[-1,2.5,3,4e1]}',
            SetTarget("Käfer 2", (-1.0, 2.5, 3.0, 40.0)),
            id="set",
        ),
        pytest.param(
            ' \n{"box":[0,0,1,1],"id":"0","type":"set_target"} ', SetTarget("0", (0, 0, 1, 1)), id="any-order"
        ),
        pytest.param('{"type":"end","type":"end"}', End(), id="field-twice"),
    ],
)
def test_good_messages(text: str, message: Any) -> None:
    assert codec.parse(text) == message


def set_target(box: str, name: str = '"0"') -> str:
    return f'{{"type":"set_target","id":{name},"box":{box}}}'


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        pytest.param("", None, id="empty"),
        pytest.param("hello", None, id="not-json"),
        pytest.param('{"type":"end"', None, id="cut-off"),
        pytest.param('{"type":"end"}{}', None, id="two-values"),
        pytest.param("[" * 10_000, None, id="deep"),
        pytest.param('{"a":' * 3_000, None, id="deep-objects"),
        pytest.param("1" * 10_000, None, id="endless-number"),
        pytest.param(" " * (codec.MAX_TEXT - 13) + '{"type":"end"}', None, id="too-long-by-one"),
        pytest.param("null", None, id="null"),
        pytest.param('["end"]', None, id="list"),
        pytest.param("{}", "/type", id="no-type"),
        pytest.param('{"type":"fly"}', "/type", id="unknown-type"),
        pytest.param('{"type":"ready"}', "/type", id="servers-type"),
        pytest.param('{"type":null}', "/type", id="type-null"),
        pytest.param('{"type":["end"]}', "/type", id="type-list"),
        pytest.param('{"type":"end","seq":0}', "/seq", id="field-too-many"),
        pytest.param('{"type":"end","a/b~c":0}', "/a~1b~0c", id="odd-field"),
        pytest.param('{"type":"remove_target"}', "/id", id="no-id"),
        pytest.param('{"type":"remove_target","id":0}', "/id", id="id-number"),
        pytest.param('{"type":"remove_target","id":""}', "/id", id="id-empty"),
        pytest.param(f'{{"type":"remove_target","id":"{"x" * 65}"}}', "/id", id="id-too-long"),
        pytest.param('{"type":"remove_target","id":"a\\nb"}', "/id", id="id-line-break"),
        pytest.param('{"type":"remove_target","id":"\\ud800"}', "/id", id="id-half-a-pair"),
        pytest.param('{"type":"remove_target","id":"0","box":[0,0,1,1]}', "/box", id="box-on-remove"),
        pytest.param('{"type":"set_target","id":"0"}', "/box", id="no-box"),
        pytest.param(set_target("[0,0,1]"), "/box", id="three-numbers"),
        pytest.param(set_target("[0,0,1,1,1]"), "/box", id="five-numbers"),
        pytest.param(set_target('"0,0,1,1"'), "/box", id="box-text"),
        pytest.param(set_target("{}"), "/box", id="box-object"),
        pytest.param(set_target("[0,0,1,null]"), "/box", id="null-side"),
        pytest.param(set_target("[0,0,1,true]"), "/box", id="boolean-side"),
        pytest.param(set_target("[0,0,1,[1]]"), "/box", id="nested-side"),
        pytest.param(set_target("[NaN,0,1,1]"), "/box", id="nan"),
        pytest.param(set_target("[0,0,Infinity,1]"), "/box", id="infinity"),
        pytest.param(set_target("[0,0,1e999,1]"), "/box", id="overflow"),
        pytest.param(set_target(f"[0,0,{10**400},1]"), "/box", id="integer-beyond-floats"),
        pytest.param(set_target("[0,0,0.999,1]"), "/box", id="narrow"),
        pytest.param(set_target("[0,0,1,-1]"), "/box", id="negative"),
    ],
)
def test_bad_messages(text: str, pointer: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        codec.parse(text)
    assert caught.value.pointer == pointer
    assert isinstance(caught.value, InvalidBox) == (pointer == "/box" and "set_target" in text)


def test_the_longest_message_is_accepted() -> None:
    assert codec.parse(" " * (codec.MAX_TEXT - 14) + '{"type":"end"}') == End()


@pytest.mark.parametrize("name", ["0", "x" * codec.MAX_ID, "Käfer 2", "猫", "a/b"])
def test_good_ids(name: str) -> None:
    assert codec.parse_id(name) == name


@given(st.text())
def test_arbitrary_text_raises_nothing_else(text: str) -> None:
    with pytest.raises(InvalidRequest):
        codec.parse(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.sampled_from(["set_target", "remove_target", "end"]),
    st.fixed_dictionaries({}, optional={"id": JSON, "box": JSON}),
)
def test_arbitrary_fields_raise_nothing_else(kind: str, fields: dict[str, Any]) -> None:
    with suppress(InvalidRequest):
        codec.parse(json.dumps({"type": kind, **fields}))


@given(NAMES, st.tuples(FINITE, FINITE, SIDES, SIDES))
def test_messages_within_the_limits_are_parsed_as_sent(name: str, box: tuple[float, float, float, float]) -> None:
    text = json.dumps({"type": "set_target", "id": name, "box": box}, ensure_ascii=False)
    assert codec.parse(text) == SetTarget(name, box)


def strictly(text: str) -> Any:
    """JSON without the NaN and Infinity that Python lets through."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


TARGETS = st.builds(
    TargetState,
    id=NAMES,
    box=st.lists(FINITE, min_size=4, max_size=4),
    score=st.floats(0, 1),
    status=st.sampled_from(["tracking", "uncertain", "lost"]),
    response_map=st.none() | st.binary(max_size=20),
    map_box=st.lists(FINITE, min_size=4, max_size=4),
    wants=st.none() | st.lists(st.integers(0, 10**5), min_size=4, max_size=4),
)
SECONDS = st.floats(0, 1e6)


@given(
    st.builds(
        FrameResult,
        seq=st.integers(0, 10**9),
        frame_index=st.integers(1, 10**9),
        targets=st.lists(TARGETS, max_size=3).map(tuple),
        timing=st.builds(Timing, SECONDS, SECONDS, SECONDS, SECONDS),
        missed=st.lists(NAMES, max_size=2).map(tuple),
    )
)
def test_results_are_written_in_full(result: FrameResult) -> None:
    message = strictly(codec.result(result))
    missed = {"missed"} if result.missed else set()
    assert message.keys() == {"type", "seq", "frame_index", "targets", "timing_ms"} | missed
    assert message.get("missed", []) == list(result.missed)
    assert (message["type"], message["seq"], message["frame_index"]) == ("result", result.seq, result.frame_index)
    assert message["timing_ms"]["total"] == pytest.approx(result.timing.total * 1e3, abs=1e-3)
    assert message["timing_ms"].keys() == {"decode", "queue", "infer", "total"}
    for said, target in zip(message["targets"], result.targets, strict=True):
        assert (said["id"], said["status"]) == (target.id, target.status)
        assert said["box"] == pytest.approx(target.box, abs=1e-4)
        assert said["score"] == pytest.approx(target.score, abs=1e-4)
        assert said["wants"] == target.wants
        assert ("response_map" in said) == ("map_box" in said) == (target.response_map is not None)
        if target.response_map is not None:
            assert base64.b64decode(said["response_map"]) == target.response_map


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_result_that_is_not_finite_is_never_written(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        codec.result(FrameResult(0, 1, (TargetState("0", [0, 0, number, 1], 1.0, "tracking"),)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            codec.ready("s1", 4, 3, "latest", "c1"),
            {
                "type": "ready",
                "session_id": "s1",
                "frame_index": 4,
                "window": 3,
                "mode": "latest",
                "connection": "c1",
                "parts": True,
            },
            id="ready",
        ),
        pytest.param(
            codec.ready("s1", 4, 3, "every", "c1", [codec.dropped(7), codec.dropped(8)]),
            {
                "type": "ready",
                "session_id": "s1",
                "frame_index": 4,
                "window": 3,
                "mode": "every",
                "connection": "c1",
                "parts": True,
                "missed": [{"type": "dropped", "seq": 7}, {"type": "dropped", "seq": 8}],
            },
            id="ready-resumed",
        ),
        pytest.param(codec.dropped(7), {"type": "dropped", "seq": 7}, id="dropped"),
        pytest.param(
            codec.error({"status": 422}, 0), {"type": "error", "seq": 0, "problem": {"status": 422}}, id="frame"
        ),
        pytest.param(codec.error({"status": 422}), {"type": "error", "problem": {"status": 422}}, id="text"),
        pytest.param(codec.bye(), {"type": "bye"}, id="bye"),
    ],
)
def test_the_other_messages(text: str, message: dict[str, Any]) -> None:
    assert strictly(text) == message


@pytest.mark.parametrize("at", [[0, 0], [120, 96], [10**9, 7]], ids=str)
def test_a_parts_corner(at: list[int]) -> None:
    part = codec.parse(json.dumps({"type": "part", "at": at}))
    assert part == Part(at)
    assert codec.parse_corner(at) == tuple(at)


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="empty"),
        pytest.param([1], id="one number"),
        pytest.param([1, 2, 3], id="three numbers"),
        pytest.param([-2, 0], id="negative"),
        pytest.param([0.5, 0], id="a fraction"),
        pytest.param([2.0, 0], id="a float"),
        pytest.param([True, 0], id="a truth value"),
        pytest.param(["2", "4"], id="numbers as text"),
        pytest.param("2,4", id="text"),
        pytest.param({"x": 2, "y": 4}, id="an object"),
    ],
)
def test_a_corner_that_cannot_be_used_is_refused_with_its_frame(at: object) -> None:
    part = codec.parse(json.dumps({"type": "part", "at": at}))
    assert isinstance(part, Part)
    with pytest.raises(InvalidPart) as caught:
        codec.parse_corner(part.at)
    assert caught.value.pointer == "/at"


def test_a_part_without_a_corner_is_refused_with_its_frame_too() -> None:
    assert codec.parse('{"type": "part"}') == Part(None)
