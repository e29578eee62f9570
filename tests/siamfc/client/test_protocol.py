"""The stream's state machine, without sockets: windows, order, and what a reconnect does to every frame."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamfc.client import errors
from siamfc.client.outgoing import Message
from siamfc.client.protocol import LATEST_DEPTH, Mode, StreamProtocol
from siamfc.client.results import Answer, Dropped, Failed, Result, SessionState
from tests.siamfc.client.test_results import SESSION, TARGET


def ready(frame_index: int = 0, window: int = 4, **more: Any) -> str:
    return json.dumps({"type": "ready", "session_id": "s", "frame_index": frame_index, "window": window, **more})


def result(seq: int, frame_index: int) -> str:
    return json.dumps({"type": "result", "seq": seq, "frame_index": frame_index, "targets": [TARGET], "timing_ms": {}})


def error(seq: int | None, slug: str) -> str:
    body: dict[str, Any] = {"type": "error", "problem": {"type": f"about:blank#{slug}", "detail": slug}}
    return json.dumps(body if seq is None else body | {"seq": seq})


def state(frame_index: int) -> SessionState:
    return replace(SessionState.parse(SESSION), frame_index=frame_index)


def opened(*frames: bytes, mode: Mode = "every", window: int = 4) -> StreamProtocol:
    """A connected protocol that has sent those frames."""
    protocol = StreamProtocol(mode)
    protocol.connected(ready(window=window))
    for frame in frames:
        protocol.submit(frame)
    protocol.data_to_send()
    return protocol


def numbers(answers: list[Answer]) -> list[int]:
    return [answer.seq for answer in answers]


def test_frames_are_answered_in_order() -> None:
    protocol = opened(b"0", b"1", b"2")
    answers = [
        *protocol.receive(result(0, 1)),
        *protocol.receive(error(1, "invalid-image")),
        *protocol.receive(json.dumps({"type": "dropped", "seq": 2})),
    ]
    assert [type(answer) for answer in answers] == [Result, Failed, Dropped]
    assert numbers(answers) == [0, 1, 2]
    assert protocol.outstanding == 0


def test_no_more_than_the_window_is_under_way() -> None:
    protocol = opened(window=2)
    for frame in (b"0", b"1", b"2"):
        protocol.submit(frame)
    assert protocol.data_to_send() == [b"0", b"1"]
    assert not protocol.room
    protocol.receive(result(0, 1))
    assert protocol.data_to_send() == [b"2"]
    protocol.receive(result(1, 2))
    assert protocol.room


def test_latest_may_send_beyond_the_window() -> None:
    protocol = opened(mode="latest", window=1)
    sent = 0
    while protocol.room:
        protocol.submit(b"x")
        sent += len(protocol.data_to_send())
    assert sent == LATEST_DEPTH


def test_controls_keep_their_place_among_frames() -> None:
    protocol = opened(window=1)
    protocol.submit(b"0")
    protocol.set_target("a", (1, 2, 3, 4))
    protocol.submit(b"1")
    protocol.remove_target("b")
    control = json.dumps({"type": "set_target", "id": "a", "box": [1, 2, 3, 4]})
    assert protocol.data_to_send() == [b"0", control]
    assert protocol.data_to_send() == []
    protocol.receive(result(0, 1))
    assert protocol.data_to_send() == [b"1", json.dumps({"type": "remove_target", "id": "b"})]


def test_a_refused_control_goes_with_the_next_result() -> None:
    protocol = opened(b"0", b"1")
    assert protocol.receive(error(None, "invalid-box")) == []
    (first,) = protocol.receive(result(0, 1))
    (second,) = protocol.receive(result(1, 2))
    assert isinstance(first, Result)
    assert isinstance(second, Result)
    assert [type(refused) for refused in first.refused] == [errors.InvalidBox]
    assert second.refused == ()


def test_a_repeated_removal_is_not_refused() -> None:
    protocol = opened(b"0")
    protocol.disconnected(None)
    protocol.connected(ready())
    protocol.receive(error(None, "target-not-found"))
    assert protocol.data_to_send() == [b"0"]
    (answer,) = protocol.receive(result(0, 1))
    assert isinstance(answer, Result)
    assert answer.refused == ()


def test_numbers_begin_anew_with_a_stream() -> None:
    protocol = opened(b"0")
    protocol.receive(result(0, 1))
    protocol.renumber()
    assert protocol.submit(b"1") == 0
    protocol.data_to_send()
    assert numbers(protocol.receive(result(1, 2))) == [0]


# Frames b"0" to b"3"; the first is answered, then the connection breaks and the server has counted `counted` frames.
@pytest.mark.parametrize(
    ("mode", "counted", "state_index", "recovered", "sent_again"),
    [
        pytest.param("every", 1, None, [], [b"1", b"2", b"3"], id="nothing lost: all unanswered again"),
        pytest.param("every", 2, 2, [1], [b"2", b"3"], id="one answer lost: it is the session's state"),
        pytest.param("every", 2, 3, [], [b"1", b"2", b"3"], id="the state moved on meanwhile: all again"),
        pytest.param("every", 3, None, [], [b"1", b"2", b"3"], id="two answers lost: all again"),
        pytest.param("every", 0, None, [], [b"1", b"2", b"3"], id="restored from an older state: all again"),
        pytest.param("latest", 2, None, [], [b"1", b"2", b"3"], id="latest: nobody knows which, all again"),
    ],
)
def test_a_reconnect(
    mode: Mode, counted: int, state_index: int | None, recovered: list[int], sent_again: list[Message]
) -> None:
    protocol = opened(b"0", b"1", b"2", b"3", mode=mode)
    assert numbers(protocol.receive(result(0, 1))) == [0]
    protocol.disconnected(None)
    protocol.connected(ready(counted))
    assert protocol.needs_state is (state_index is not None)
    answers = protocol.recover(state(state_index)) if state_index is not None else []
    assert numbers(answers) == recovered
    assert protocol.data_to_send() == sent_again
    # The answers of the new connection count from 0 again, and reach the frames they belong to.
    for seq in range(len(sent_again)):
        answers += protocol.receive(result(seq, counted + seq + 1))
    assert numbers(answers) == [1, 2, 3]
    assert protocol.outstanding == 0


def test_a_recovered_answer_is_the_state() -> None:
    protocol = opened(b"0")
    protocol.disconnected(1006)
    protocol.connected(ready(1))
    (answer,) = protocol.recover(state(1))
    assert answer == Result(0, 1, state(1).targets)


def test_a_drop_while_the_state_is_fetched() -> None:
    protocol = opened(b"0", b"1")
    protocol.disconnected(None)
    protocol.connected(ready(1))
    assert protocol.needs_state
    protocol.disconnected(None)
    protocol.connected(ready(1))
    assert protocol.needs_state
    assert numbers(protocol.recover(state(1))) == [0]
    assert protocol.data_to_send() == [b"1"]


def test_frames_another_client_sent_are_not_ours() -> None:
    protocol = opened()
    protocol.submit(b"0")
    protocol.disconnected(None)
    protocol.connected(ready(1))
    assert not protocol.needs_state
    assert protocol.data_to_send() == [b"0"]


def test_a_corrupt_frame_is_sent_again_and_fails_again() -> None:
    """It was not counted, so that the server's count says nothing of it."""
    protocol = opened(b"bad", b"1")
    protocol.disconnected(None)
    protocol.connected(ready(0))
    assert protocol.data_to_send() == [b"bad", b"1"]
    assert isinstance(protocol.receive(error(0, "invalid-image"))[0], Failed)
    assert numbers(protocol.receive(result(1, 1))) == [1]


def test_controls_are_sent_again_with_their_frame() -> None:
    protocol = opened(b"0")
    protocol.set_target("a", (1, 2, 3, 4))
    protocol.submit(b"1")
    (control, _) = protocol.data_to_send()
    protocol.disconnected(1012)
    protocol.connected(ready(1))
    protocol.recover(state(1))
    assert protocol.data_to_send() == [control, b"1"]


@pytest.mark.parametrize("code", [None, 1001, 1005, 1006, 1012, 1013, 1014])
def test_closures_worth_another_connection(code: int | None) -> None:
    opened(b"0").disconnected(code)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param(1000, errors.ConnectionLost, id="done"),
        pytest.param(1003, errors.UnsupportedMedia, id="data type"),
        pytest.param(1008, errors.Unauthorized, id="key"),
        pytest.param(1009, errors.PayloadTooLarge, id="too big"),
        pytest.param(1011, errors.ServerFault, id="bug"),
        pytest.param(4404, errors.SessionNotFound, id="no such session"),
        pytest.param(4409, errors.SessionBusy, id="taken"),
        pytest.param(4410, errors.SessionEnded, id="ended"),
    ],
)
def test_closures_that_are_final(code: int, expected: type[errors.ClientError]) -> None:
    with pytest.raises(expected):
        opened(b"0").disconnected(code)


def test_busy_is_tried_again_only_after_an_own_connection() -> None:
    with pytest.raises(errors.SessionBusy):
        StreamProtocol().disconnected(4409, opening=True)
    StreamProtocol(driven_before=True).disconnected(4409, opening=True)
    lost = StreamProtocol()
    lost.disconnected(None, opening=True)
    lost.disconnected(4409, opening=True)
    dropped = opened(b"0")
    dropped.disconnected(None)
    dropped.disconnected(4409, opening=True)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"binary", id="binary"),
        pytest.param("{", id="no json"),
        pytest.param("[]", id="no object"),
        pytest.param(result(1, 1), id="another frame's answer"),
        pytest.param('{"type":"guess","seq":0}', id="unknown answer"),
    ],
)
def test_words_outside_the_contract(message: Message) -> None:
    with pytest.raises(errors.UnexpectedAnswer):
        opened(b"0").receive(message)


def test_an_answer_nobody_waits_for() -> None:
    with pytest.raises(errors.UnexpectedAnswer):
        opened().receive(result(0, 1))


@pytest.mark.parametrize("message", ['{"type":"bye"}', '{"type":"news"}'])
def test_notices_are_no_answers(message: str) -> None:
    protocol = opened(b"0")
    assert protocol.receive(message) == []
    assert protocol.outstanding == 1


@pytest.mark.parametrize("message", [result(0, 1), "{}", '{"type":"ready"}', '{"type":"ready","frame_index":"x"}'])
def test_what_must_come_first(message: str) -> None:
    with pytest.raises(errors.UnexpectedAnswer):
        StreamProtocol().connected(message)


@given(
    count=st.integers(1, 12),
    window=st.integers(1, 5),
    breaks=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=6),
)
def test_every_frame_is_answered_once_whatever_breaks(count: int, window: int, breaks: list[tuple[int, int]]) -> None:
    """Connections that answer some of the frames they carried, lose some more answers, and break."""
    protocol = StreamProtocol()
    for index in range(count):
        protocol.submit(str(index).encode())
    answered: list[int] = []
    counted = 0
    for delivered, lost in [*breaks, (10**6, 0)]:
        protocol.connected(ready(counted, window))
        if protocol.needs_state:
            answered += numbers(protocol.recover(state(counted)))
        seq, on_the_wire = 0, protocol.data_to_send()
        while seq < min(delivered, len(on_the_wire)):
            counted += 1
            answered += numbers(protocol.receive(result(seq, counted)))
            seq += 1
            on_the_wire += protocol.data_to_send()
        counted += min(lost, len(on_the_wire) - seq)
        assert len(on_the_wire) - seq <= window
        protocol.disconnected(None)
    assert answered == list(range(count))


def known(*frames: bytes, window: int = 4) -> StreamProtocol:
    """A protocol over the connection `c1` that has sent those frames."""
    protocol = StreamProtocol()
    assert protocol.resume is None
    protocol.connected(ready(window=window, connection="c1"))
    for frame in frames:
        protocol.submit(frame)
    protocol.data_to_send()
    return protocol


def bodies(*texts: str) -> list[Any]:
    return [json.loads(text) for text in texts]


def test_what_was_missed_is_answered_and_the_rest_sent_again() -> None:
    protocol = known(b"0", b"1", b"2", b"3")
    assert numbers(protocol.receive(result(0, 1))) == [0]
    assert protocol.resume == "c1:1"
    protocol.disconnected(None)
    missed = bodies(error(1, "invalid-image"), error(None, "invalid-box"), result(2, 2))
    answers = protocol.connected(ready(2, connection="c2", missed=missed))
    assert [type(answer) for answer in answers] == [Failed, Result]
    assert numbers(answers) == [1, 2]
    assert isinstance(answers[1], Result)
    assert [type(refused) for refused in answers[1].refused] == [errors.InvalidBox]
    assert not protocol.needs_state
    assert protocol.data_to_send() == [b"3"]
    assert protocol.resume == "c2:0"
    assert numbers(protocol.receive(result(0, 3))) == [3]


def test_controls_of_a_missed_frame_are_not_sent_again() -> None:
    protocol = known()
    protocol.set_target("a", (1, 2, 3, 4))
    protocol.submit(b"0")
    protocol.remove_target("b")
    protocol.submit(b"1")
    (_, _, removal, _) = protocol.data_to_send()
    protocol.disconnected(None)
    assert numbers(protocol.connected(ready(1, connection="c2", missed=bodies(result(0, 1))))) == [0]
    assert protocol.data_to_send() == [removal, b"1"]


def test_a_connection_that_the_server_does_not_know_any_more() -> None:
    protocol = known(b"0", b"1")
    protocol.disconnected(None)
    assert protocol.connected(ready(1, connection="c2")) == []
    assert protocol.needs_state


@pytest.mark.parametrize(
    "missed",
    [
        pytest.param(bodies(result(1, 1)), id="a frame left out"),
        pytest.param(bodies(result(0, 1), result(0, 1)), id="one twice"),
        pytest.param(bodies(result(0, 1), result(1, 2), result(2, 3)), id="one never sent"),
        pytest.param([1], id="no message"),
        pytest.param(7, id="no list"),
    ],
)
def test_what_cannot_have_been_missed(missed: Any) -> None:
    protocol = known(b"0", b"1")
    protocol.disconnected(None)
    with pytest.raises(errors.UnexpectedAnswer):
        protocol.connected(ready(2, connection="c2", missed=missed))


def test_frames_that_could_not_be_kept_wait_for_the_shell() -> None:
    protocol = known(b"0", b"1", b"2")
    protocol.submit(b"3")
    protocol.submit(b"4")
    assert protocol.data_to_send() == [b"3"]
    assert protocol.receive(error(0, "store-unavailable")) == []
    assert not protocol.stalled, "the others are under way"
    assert protocol.data_to_send() == []
    for seq in (1, 2, 3):
        assert protocol.receive(error(seq, "store-unavailable")) == []
    assert protocol.stalled
    assert protocol.outstanding == 5
    protocol.go_on()
    assert not protocol.stalled
    assert protocol.data_to_send() == [b"0", b"1", b"2", b"3"]
    assert numbers(protocol.receive(result(4, 1))) == [0]


def test_given_up_they_have_failed() -> None:
    protocol = known(b"0", b"1", window=2)
    protocol.submit(b"2")
    for seq in range(2):
        protocol.receive(error(seq, "store-unavailable"))
    assert protocol.data_to_send() == []
    assert numbers(protocol.give_up()) == [0, 1]
    assert protocol.data_to_send() == [b"2"]


def test_a_later_frame_that_was_counted_settles_those_before_it() -> None:
    protocol = known(b"0", b"1")
    assert protocol.receive(error(0, "store-unavailable")) == []
    answers = protocol.receive(result(1, 1))
    assert [type(answer) for answer in answers] == [Failed, Result]
    assert numbers(answers) == [0, 1]
    assert not protocol.stalled


def test_a_drop_while_frames_wait_sends_them_again() -> None:
    protocol = known(b"0", b"1")
    protocol.receive(error(0, "store-unavailable"))
    assert protocol.resume == "c1:1"
    protocol.disconnected(None)
    assert protocol.connected(ready(0, connection="c2", missed=[])) == []
    assert protocol.data_to_send() == [b"0", b"1"]


@given(
    count=st.integers(1, 12),
    window=st.integers(1, 5),
    breaks=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.booleans()), max_size=6),
)
def test_with_resume_every_frame_is_counted_once_too(
    count: int, window: int, breaks: list[tuple[int, int, bool]]
) -> None:
    """As above, over a server that keeps the answers of the last connection; some connections break before `ready`."""
    protocol = StreamProtocol()
    for index in range(count):
        protocol.submit(str(index).encode())
    answered: list[int] = []
    counted: list[bytes] = []
    journal: list[str] = []
    name, last = 0, ""
    for delivered, lost, deaf in [*breaks, (10**6, 0, False)]:
        name += 1
        if deaf:
            continue  # the server has greeted, and the client never heard it
        resume = protocol.resume
        token, _, had = (resume or "").partition(":")
        more = {"missed": bodies(*journal[int(had) :])} if token == last != "" else {}
        answered += numbers(protocol.connected(ready(len(counted), window, connection=f"c{name}", **more)))
        last, journal = f"c{name}", []
        assert not protocol.needs_state
        seq, on_the_wire = 0, protocol.data_to_send()
        while seq < len(on_the_wire) and seq < delivered + lost:
            frame = on_the_wire[seq]
            counted.append(frame if isinstance(frame, bytes) else b"")
            journal.append(result(seq, len(counted)))
            if seq < delivered:
                answered += numbers(protocol.receive(journal[-1]))
                on_the_wire += protocol.data_to_send()
            seq += 1
        protocol.disconnected(None)
    assert answered == list(range(count))
    assert counted == [str(index).encode() for index in range(count)]
