"""A part's announcement belongs to one frame: the next."""

from __future__ import annotations

import pytest

from service.wire.messages import Frame, Part, RemoveTarget, SetTarget
from service.wire.protocol import Mode, StreamProtocol

PART = Part([20, 30])


def machine(mode: Mode = "every") -> StreamProtocol:
    return StreamProtocol(4, mode, 3)


def taken(stream: StreamProtocol) -> list[Frame | RemoveTarget]:
    items = []
    while (item := stream.take()) is not None:
        items.append(item)
    return items


def test_the_next_frame_is_the_part_and_no_other() -> None:
    stream = machine()
    stream.receive_frame(b"a")
    assert stream.receive(PART) is None
    stream.receive_frame(b"b")
    stream.receive_frame(b"c")
    assert [frame.part for frame in taken(stream)] == [None, PART, None]


def test_the_last_announcement_counts() -> None:
    stream = machine()
    stream.receive(PART)
    stream.receive(Part([2, 4]))
    stream.receive_frame(b"a")
    assert [frame.part for frame in taken(stream)] == [Part([2, 4])]


def test_other_messages_may_come_between() -> None:
    stream = machine()
    stream.receive(PART)
    stream.receive(SetTarget("0", (20, 30, 5, 5)))
    stream.receive(RemoveTarget("1"))
    stream.receive_frame(b"a")
    removal, frame = taken(stream)
    assert removal == RemoveTarget("1")
    assert isinstance(frame, Frame)
    assert (frame.part, [each.id for each in frame.placements]) == (PART, ["0"])


@pytest.mark.parametrize("refused", [True, False], ids=["over the rate", "displaced"])
def test_a_part_is_dropped_with_its_frame(refused: bool) -> None:
    stream = machine("latest")
    stream.receive(PART)
    stream.receive_frame(b"a", refused=refused)
    stream.receive_frame(b"b")
    assert [(frame.data, frame.part) for frame in taken(stream)] == [(b"b", None)]
    assert stream.take_dropped() == [0]


def test_nothing_is_announced_after_the_end() -> None:
    stream = machine()
    stream.end()
    assert stream.receive(PART) is None
    assert not stream.receive_frame(b"a")
    assert taken(stream) == []
