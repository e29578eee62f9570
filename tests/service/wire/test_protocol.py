"""The stream's state machine: every accepted frame is answered once, in order."""

from __future__ import annotations

import json

import pytest

from service.wire import codec, protocol
from service.wire.messages import End, Frame, RemoveTarget, SetTarget
from service.wire.protocol import Input, Mode, StreamProtocol, StreamState

BOX = (0.0, 0.0, 1.0, 1.0)
PROBLEM = {"status": 410}


def machine(mode: Mode = "every", window: int = 3, frames: int = 0) -> StreamProtocol:
    made = StreamProtocol(window, mode, 2)
    for _ in range(frames):
        made.receive_frame(b"")
    return made


def seqs(texts: list[str]) -> list[int]:
    return [json.loads(text)["seq"] for text in texts]


def kinds(texts: list[str]) -> list[str]:
    return [json.loads(text)["type"] for text in texts]


def take_frame(stream: StreamProtocol) -> Frame:
    item = stream.take()
    assert isinstance(item, Frame)
    return item


def in_state(state: StreamState) -> StreamProtocol:
    made = machine(frames=1)
    if state is StreamState.ENDING:
        made.end()
    if state is StreamState.CLOSED:
        made.lost()
    assert made.state is state
    return made


INPUTS = {
    Input.BINARY: lambda stream: stream.receive_frame(b""),
    Input.TEXT: lambda stream: stream.receive(RemoveTarget("0")),
    Input.END: lambda stream: stream.end(),
    Input.LOST: lambda stream: stream.lost(),
}


@pytest.mark.parametrize("state", StreamState)
@pytest.mark.parametrize("event", Input)
def test_the_table_decides_every_input_in_every_state(state: StreamState, event: Input) -> None:
    stream = in_state(state)
    unread = len(stream._mailbox)
    INPUTS[event](stream)
    assert stream.state is protocol._NEXT.get((state, event), state)
    if (state, event) not in protocol._NEXT:
        assert len(stream._mailbox) == unread, "an input without a row left something to do"


def test_no_state_is_left_backwards() -> None:
    order = list(StreamState)
    assert all(order.index(after) >= order.index(before) for (before, _), after in protocol._NEXT.items())


def test_every_state_can_be_reached_and_lost() -> None:
    assert {StreamState.OPEN, *protocol._NEXT.values()} == set(StreamState)
    assert all(protocol._NEXT[state, Input.LOST] is StreamState.CLOSED for state in StreamState)


def test_frames_are_numbered_and_taken_in_order() -> None:
    stream = machine()
    assert all(stream.receive_frame(bytes([k]), received_at=k) for k in range(3))
    frames = [take_frame(stream) for _ in range(3)]
    assert [(frame.seq, frame.data, frame.received_at) for frame in frames] == [
        (0, b"\0", 0),
        (1, b"\1", 1),
        (2, b"\2", 2),
    ]
    assert stream.take() is None


def test_answers_wait_for_earlier_answers() -> None:
    stream = machine(frames=3)
    assert stream.answer(2, codec.dropped(2)) == []
    assert seqs(stream.answer(0, codec.dropped(0))) == [0]
    assert not stream.idle or stream._mailbox
    assert seqs(stream.answer(1, codec.dropped(1))) == [1, 2]


@pytest.mark.parametrize(
    "seq", [pytest.param(0, id="sent"), pytest.param(2, id="waiting"), pytest.param(9, id="never-came")]
)
def test_an_answer_too_many_is_a_bug(seq: int) -> None:
    stream = machine(frames=3)
    stream.answer(0, codec.dropped(0))
    stream.answer(2, codec.dropped(2))
    with pytest.raises(AssertionError, match=f"frame {seq} "):
        stream.answer(seq, codec.dropped(seq))


def test_every_reads_no_more_than_the_window() -> None:
    stream = machine(window=2)
    assert stream.wants_input
    stream.receive_frame(b"")
    assert stream.wants_input
    stream.receive_frame(b"")
    assert not stream.wants_input
    take_frame(stream)
    assert not stream.wants_input
    stream.answer(0, codec.dropped(0))
    assert stream.wants_input


def test_latest_drops_the_waiting_frame_when_a_newer_one_comes() -> None:
    stream = machine("latest", frames=1)
    first = take_frame(stream)
    for _ in range(3):
        stream.receive_frame(b"")
    assert stream.displaced() == [], "an answer overtook the frame under way"
    assert take_frame(stream).seq == 3
    assert len(stream.take_dropped()) == 2
    assert stream.take_dropped() == []
    texts = stream.answer(first.seq, codec.bye())
    assert kinds(texts) == ["bye", "dropped", "dropped"]


def test_latest_answers_a_displaced_frame_at_once_if_nothing_is_under_way() -> None:
    stream = machine("latest", frames=2)
    assert seqs(stream.displaced()) == [0]


def test_latest_keeps_frames_with_boxes_on_them() -> None:
    stream = machine("latest")
    placement = SetTarget("cat", BOX)
    stream.receive(placement)
    for _ in range(3):
        stream.receive_frame(b"")
    first, second = take_frame(stream), take_frame(stream)
    assert (first.seq, first.placements) == (0, (placement,))
    assert (second.seq, second.placements) == (2, ())
    assert stream.take() is None


def test_latest_keeps_removals_in_their_place() -> None:
    stream = machine("latest", frames=1)
    stream.receive(RemoveTarget("cat"))
    stream.receive_frame(b"")
    assert stream.take() == RemoveTarget("cat")
    assert take_frame(stream).seq == 1


@pytest.mark.parametrize("mode", ["every", "latest"])
def test_messages_without_an_answer_do_not_pile_up(mode: Mode) -> None:
    stream = machine(mode)
    sent = 0
    while stream.wants_input:
        stream.receive(RemoveTarget("cat"))
        sent += 1
        assert sent < 10_000
    stream.take()
    assert stream.wants_input


def test_a_refused_frame_is_answered_as_dropped_in_order() -> None:
    stream = machine("latest", frames=1)
    first = take_frame(stream)
    assert stream.may_refuse
    assert stream.receive_frame(b"", refused=True)
    assert stream.take() is None
    assert kinds(stream.answer(first.seq, codec.bye())) == ["bye", "dropped"]
    assert stream.idle


@pytest.mark.parametrize(
    ("mode", "drawn", "may"),
    [("every", False, False), ("every", True, False), ("latest", False, True), ("latest", True, False)],
)
def test_which_frames_may_be_refused(mode: Mode, drawn: bool, may: bool) -> None:
    stream = machine(mode)
    if drawn:
        stream.receive(SetTarget("cat", BOX))
    assert stream.may_refuse is may


def test_boxes_belong_to_the_next_frame_alone() -> None:
    stream = machine()
    older, newer, other = SetTarget("a", BOX), SetTarget("a", (1.0, 1.0, 2.0, 2.0)), SetTarget("b", BOX)
    for message in (older, other, newer):
        assert stream.receive(message) is None
    stream.receive_frame(b"")
    stream.receive_frame(b"")
    assert take_frame(stream).placements == (newer, other)
    assert take_frame(stream).placements == ()


def test_a_removal_takes_back_a_box_that_was_not_yet_drawn_on_a_frame() -> None:
    stream = machine()
    stream.receive(SetTarget("a", BOX))
    stream.receive(RemoveTarget("a"))
    stream.receive_frame(b"")
    assert stream.take() == RemoveTarget("a")
    assert take_frame(stream).placements == ()


def test_too_many_boxes_on_one_frame_are_refused_and_the_others_kept() -> None:
    stream = machine()
    assert stream.receive(SetTarget("a", BOX)) is None
    assert stream.receive(SetTarget("b", BOX)) is None
    assert "at most 2" in (stream.receive(SetTarget("c", BOX)) or "")
    assert stream.receive(SetTarget("a", BOX)) is None
    stream.receive_frame(b"")
    assert [each.id for each in take_frame(stream).placements] == ["a", "b"]


def test_after_the_end_nothing_is_accepted_and_everything_accepted_is_answered() -> None:
    stream = machine(frames=2)
    assert stream.receive(End()) is None
    assert stream.state is StreamState.ENDING
    assert not stream.wants_input
    assert not stream.receive_frame(b"")
    assert stream.receive(RemoveTarget("a")) is None
    assert stream.receive(SetTarget("a", BOX)) is None
    assert not stream.idle
    for seq in (0, 1):
        assert take_frame(stream).seq == seq
        assert seqs(stream.answer(seq, codec.dropped(seq))) == [seq]
    assert stream.take() is None
    assert stream.idle


def test_a_lost_stream_gives_nothing() -> None:
    stream = machine(frames=3)
    stream.take()
    stream.answer(1, codec.dropped(1))
    stream.lost()
    assert stream.take() is None
    assert stream.answer(0, codec.dropped(0)) == []
    assert stream.fail_all(PROBLEM) == []
    assert stream.displaced() == []
    assert stream.idle
    assert not stream.wants_input


def test_fail_all_answers_every_open_frame_and_accepts_no_more() -> None:
    stream = machine(frames=3)
    take_frame(stream)
    stream.answer(1, codec.dropped(1))
    assert kinds(stream.fail_all(PROBLEM)) == ["error", "dropped", "error"]
    assert stream.idle
    assert not stream.receive_frame(b"")
    assert stream.fail_all(PROBLEM) == []


@pytest.mark.parametrize("mode", ["every", "latest"])
def test_only_a_frame_that_is_taken_next_is_shown_early(mode: Mode) -> None:
    stream = machine(mode, frames=1)
    take_frame(stream)
    assert stream.peek_frame() is None
    stream.receive_frame(b"")
    shown = stream.peek_frame()
    assert shown is None if mode == "latest" else shown is not None and shown == stream.take()
    stream.receive(RemoveTarget("a"))
    stream.receive_frame(b"")
    assert stream.peek_frame() is None
