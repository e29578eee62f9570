"""Where frames begin in a client's bytes, held against the parser that the server uses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from service.wire.frame_walk import SMALL, FrameWalk, Passed

MANY = 1000
SIZES = st.sampled_from([0, 1, 125, 126, SMALL - 1, SMALL, 65_535, 65_536])
KINDS = st.sampled_from([Opcode.CONT, Opcode.TEXT, Opcode.BINARY])
DATA_FRAMES = st.builds(lambda kind, size, fin: Frame(kind, bytes(size), fin), KINDS, SIZES, st.booleans())
CONTROL_FRAMES = st.builds(lambda kind: Frame(kind, b"12"), st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.CLOSE]))


def sent(*frames: Frame) -> bytes:
    return b"".join(frame.serialize(mask=True) for frame in frames)


def small(frame: Frame) -> bool:
    if frame.opcode is Opcode.BINARY:
        return not frame.fin and len(frame.data) < SMALL
    return frame.opcode is not Opcode.CONT or len(frame.data) < SMALL


@given(st.lists(DATA_FRAMES | CONTROL_FRAMES, max_size=6), st.integers(1, 70_000))
def test_all_frames_are_found_however_their_bytes_arrive(frames: list[Frame], step: int) -> None:
    walk, waiting, passed, counted = FrameWalk(), b"", b"", 0
    data = sent(*frames)
    for at in range(0, len(data), step):
        waiting += data[at : at + step]
        came = walk.walk(waiting, MANY)
        assert came.stop == "bytes"
        passed, waiting, counted = passed + waiting[: came.end], waiting[came.end :], counted + came.small
    assert (passed, waiting, counted) == (data, b"", sum(map(small, frames)))


@given(st.lists(DATA_FRAMES | CONTROL_FRAMES, min_size=1, max_size=8), st.integers(1, 8))
def test_no_more_frames_pass_than_allowed(frames: list[Frame], most: int) -> None:
    came = FrameWalk().walk(sent(*frames), most)
    ends = [len(sent(*frames[:count])) for count in range(len(frames) + 1)]
    assert came.end == ends[min(most, len(frames))]
    assert came.stop == ("bytes" if most >= len(frames) else "frames")


def test_a_ping_is_held_back() -> None:
    frames = (Frame(Opcode.BINARY, b"1"), Frame(Opcode.PING, b""), Frame(Opcode.BINARY, b"1"))
    walk, data = FrameWalk(), sent(*frames)
    first = len(sent(frames[0]))
    assert walk.walk(data, MANY, pings=False) == Passed(first, 0, "ping")
    assert walk.walk(data[first:], MANY) == Passed(len(data) - first, 1, "bytes")


@pytest.mark.parametrize("size", range(14))
def test_a_header_that_is_cut_waits(size: int) -> None:
    header = sent(Frame(Opcode.TEXT, bytes(70_000)))[:14]
    came = FrameWalk().walk(header[:size], MANY)
    assert came == Passed(0, 0, "bytes")
    assert FrameWalk().walk(header, MANY) == Passed(14, 1, "bytes")
