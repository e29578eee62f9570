"""The server's words as values."""

from __future__ import annotations

from typing import Any

import pytest

from siamfc.client.errors import InvalidImage, UnexpectedAnswer
from siamfc.client.results import Dropped, Failed, Result, SessionState, Target, parse_answer
from tests.support.fake_server import ENCODED_MAP, RESPONSE_MAP

TARGET = {"id": "a", "box": [1, 2, 3, 4], "score": 0.5, "status": "uncertain"}
SESSION = {
    "session_id": "s",
    "frame_index": 3,
    "frame_size": [64, 48],
    "targets": [TARGET],
    "created_at": "2026-01-02T03:04:05Z",
    "expires_at": "2026-01-02T03:14:05Z",
}


def test_a_result() -> None:
    timing = {"decode": 1, "queue": 2, "infer": 3, "total": 6}
    answer = parse_answer({"type": "result", "seq": 9, "frame_index": 4, "targets": [TARGET], "timing_ms": timing}, 7)
    assert isinstance(answer, Result)
    assert (answer.seq, answer.frame_index, answer.box, answer.timing_ms) == (7, 4, (1.0, 2.0, 3.0, 4.0), timing)
    assert answer.target == Target("a", (1.0, 2.0, 3.0, 4.0), 0.5, "uncertain")
    assert answer.target.as_json() == TARGET


def test_a_response_map() -> None:
    target = Target.parse(TARGET | {"response_map": ENCODED_MAP, "map_box": [0, 0, 10, 10]})
    assert target.response_map is not None
    assert target.response_map.tolist() == RESPONSE_MAP.tolist()
    assert target.map_box == (0.0, 0.0, 10.0, 10.0)


def test_dropped_and_failed() -> None:
    assert parse_answer({"type": "dropped", "seq": 0}, 5) == Dropped(5)
    failed = parse_answer({"type": "error", "seq": 0, "problem": {"type": "about:blank#invalid-image"}}, 5)
    assert isinstance(failed, Failed)
    assert (failed.seq, type(failed.problem)) == (5, InvalidImage)


@pytest.mark.parametrize("count", [pytest.param(0, id="none"), pytest.param(2, id="two")])
def test_the_short_way_is_for_one_target(count: int) -> None:
    answer = parse_answer({"type": "result", "seq": 0, "frame_index": 1, "targets": [TARGET] * count}, 0)
    assert isinstance(answer, Result)
    with pytest.raises(ValueError, match=f"{count} targets"):
        _ = answer.box


def test_a_session() -> None:
    state = SessionState.parse(SESSION)
    assert (state.session_id, state.frame_index, state.frame_size) == ("s", 3, (64, 48))
    assert (state.expires_at - state.created_at).total_seconds() == 600
    assert state.created_at.utcoffset() is not None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"type": "result", "seq": 0}, id="no targets"),
        pytest.param({"type": "result", "seq": 0, "frame_index": "x", "targets": []}, id="no number"),
        pytest.param({"type": "result", "frame_index": 1, "targets": [TARGET | {"box": [1, 2, 3]}]}, id="short box"),
        pytest.param({"type": "result", "frame_index": 1, "targets": [TARGET | {"box": [1, 2, 3, "nan"]}]}, id="nan"),
        pytest.param({"type": "result", "frame_index": 1, "targets": [TARGET | {"response_map": "AA=="}]}, id="no png"),
        pytest.param({"type": "result", "frame_index": 1, "targets": [7]}, id="no target"),
        pytest.param({"type": "error", "seq": 0}, id="no problem"),
        pytest.param({"type": "error", "seq": 0, "problem": 3}, id="odd problem"),
        pytest.param({"type": "guess", "seq": 0}, id="unknown type"),
    ],
)
def test_answers_outside_the_contract(body: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedAnswer):
        parse_answer(body, 0)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="a list"),
        pytest.param(SESSION | {"frame_size": [1]}, id="one side"),
        pytest.param(SESSION | {"created_at": "yesterday"}, id="no time"),
    ],
)
def test_sessions_outside_the_contract(body: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        SessionState.parse(body)
