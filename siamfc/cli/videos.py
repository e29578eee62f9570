"""Video files and network streams, read by PyAV, which tells an end from a failure."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

import av
import av.error
import numpy as np

from model.file_kinds import foreign_kind
from siamfc.cli.failures import Failure, InputError
from siamfc.cli.frames import EVERY_FRAME, Sampling, SourceFrame, Uint8Image

if TYPE_CHECKING:
    from fractions import Fraction

    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_SLACK, _SLACK_FRAMES, _SLACK_S = 0.05, 2, 0.5
"""A container's count and length are estimates: a share of them, and frames and seconds, may be missing."""

_HELD_BACK = 256
"""Frames that a decoder may hold back at most."""

_BAD_FRAME = (av.error.InvalidDataError, av.error.PatchWelcomeError, av.error.ExternalError)
"""What a decoder raises for one frame, after which the next may be sound."""


_PIPED = "a pipe takes what is read from front to back: Matroska, MPEG-TS, NUT, YUV4MPEG, MP4 with its index first"


@dataclass(slots=True)
class _Tally:
    """What has come of a video so far.

    leading: how many of the unreadable frames come before the first that could be decoded. reached: the end of the last
    packet of any stream, seconds.
    """

    packets: int = 0
    leading: int = 0
    decoded: int = 0
    unreadable: int = 0
    damaged: int = 0
    reached: float = 0.0


class Video:
    """A video file to its end, or (live) a stream until it stops or is stopped. Frames are turned as players show them.

    total: frames in all, as far as the container says or its length and rate tell. fps: frames a second as the
    container says, else 30. fault: after the last frame, why the video failed; None where it ended.
    """

    def __init__(self, where: str, *, live: bool = False, timeout_s: float = 0.0, pipe: BinaryIO | None = None) -> None:
        """Open the file or the stream, which must give every frame within `timeout_s`. Raises InputError, Failure.

        pipe: what is read in the file's place, from front to back.
        """
        self.live = live
        self.files = () if live or pipe is not None else (Path(where),)
        self._pipe = pipe
        self.name = _shown(where) if live else where
        self.fault: InputError | Failure | None = None
        self._timeout_s = timeout_s
        self._container = self._open(where)
        try:
            self._stream = self._video()
        except InputError:
            self._container.close()
            raise
        rate = self._stream.average_rate or self._stream.base_rate
        self.total = None if live else self._count(rate)
        self.fps = float(rate) if rate and 0 < rate <= 1000 else 30.0
        self._longest_wait_s = 0.0

    def frames(self, sampling: Sampling = EVERY_FRAME) -> Iterator[SourceFrame]:
        """The frames of the sampling that can be decoded. Raises InputError or Failure where there is none at all."""
        tally = _Tally()
        try:
            for frame in self._decoded(tally):
                if not tally.decoded:
                    tally.leading = tally.unreadable
                # What could not be decoded after the first frame has a number too.
                index = tally.decoded + tally.unreadable - tally.leading
                tally.decoded += 1
                tally.damaged += bool(frame.is_corrupt)
                if sampling.takes(index):
                    yield SourceFrame(f"{self.name}, frame {index}", _pixels(frame), index)
        finally:
            self._container.close()
            if self._pipe is not None:
                self._pipe.close()
        if not tally.decoded:
            raise self.fault or InputError(f"{self.name}: no frame of the video could be decoded")

    def _open(self, where: str) -> InputContainer:
        # Without it FFmpeg asks for UDP first, which many networks swallow.
        options = {"rtsp_flags": "prefer_tcp"} if where.lower().startswith("rtsp") else {}
        began = time.monotonic()
        try:
            if self._pipe is not None:
                return av.open(self._pipe, "r")
            if not self.live:
                return av.open(where)
            return av.open(where, options=options, timeout=(self._timeout_s, self._timeout_s))
        except (av.error.FFmpegError, OSError, ValueError) as error:
            if self._pipe is not None:
                self._pipe.close()
                raise InputError(f"{where}: cannot be read as a video: {_reason(error)}; {_PIPED}") from error
            if not self.live:
                raise InputError(_why_not_opened(Path(where), error)) from error
            raise self._stream_fault(error, time.monotonic() - began, "cannot be opened") from error

    def _video(self) -> VideoStream:
        if not self._container.streams.video:
            raise InputError(f"{self.name}: cannot be opened as a video: there is no video in it")
        stream = self._container.streams.video[0]
        if stream.codec_context is None:
            raise InputError(f"{self.name}: cannot be opened as a video: there is no decoder here for its coding")
        # Frames decoded side by side come late: right for a file, wrong for what goes on now.
        stream.thread_type = "SLICE" if self.live else "AUTO"
        return stream

    def _decoded(self, tally: _Tally) -> Iterator[VideoFrame]:
        """The frames; says in `fault` why there are no more, unless that was the end."""
        failure: Exception | None = None
        try:
            for packet in self._packets(tally):
                yield from self._frames_of(packet, tally)
        except (av.error.FFmpegError, OSError) as error:
            failure = error
        yield from self._held_back(tally)
        if failure is None:
            self.fault = None if self.live else self._shortfall(tally)
        elif self.live:
            self.fault = self._stream_fault(failure, self._longest_wait_s, f"failed after {tally.decoded} frames")
        else:
            self.fault = InputError(f"{self.name}: cannot be read after {tally.decoded} frames: {_reason(failure)}")

    def _packets(self, tally: _Tally) -> Iterator[Packet[Any]]:
        """The video's packets that have content. The others count too: how far a file reaches shows in its sound."""
        packets = self._container.demux()
        while True:
            asked = time.monotonic()
            packet = next(packets, None)
            self._longest_wait_s = max(self._longest_wait_s, time.monotonic() - asked)
            if packet is None:
                return
            if packet.pts is not None and packet.time_base is not None:
                tally.reached = max(tally.reached, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream_index == self._stream.index and packet.size:
                tally.packets += 1
                yield packet

    def _frames_of(self, packet: Packet[Any] | None, tally: _Tally) -> Iterator[VideoFrame]:
        """The frames that the decoder gives for a packet, or (None) at the end; a failure is counted."""
        try:
            yield from self._stream.codec_context.decode(packet)
        except _BAD_FRAME:
            tally.unreadable += 1

    def _held_back(self, tally: _Tally) -> Iterator[VideoFrame]:
        """The frames that the decoder still has when there are no more packets, bad ones passed over."""
        for _ in range(_HELD_BACK):
            before = tally.unreadable
            try:
                yield from self._frames_of(None, tally)
            except av.error.EOFError:
                return
            if tally.unreadable == before:
                return

    def _count(self, rate: Fraction | None) -> int | None:
        if self._stream.frames > 0:
            return self._stream.frames
        length = self._length_s()
        return max(1, round(length * rate)) if length and rate else None

    def _length_s(self) -> float | None:
        length = self._container.duration
        return length / av.time_base if length and length > 0 else None

    def _shortfall(self, tally: _Tally) -> InputError | None:
        """What is missing of a file that was read to its end, against what its container promises."""
        reasons = []
        if self._is_short(tally):
            reasons.append("the file is cut short or damaged")
        if tally.unreadable:
            reasons.append(f"{tally.unreadable} could not be decoded")
        if tally.damaged:
            reasons.append(f"{tally.damaged} are damaged")
        if not reasons:
            return None
        of = f" of about {self.total}" if self.total else ""
        return InputError(f"{self.name}: {tally.decoded}{of} frames could be read; {', '.join(reasons)}")

    def _is_short(self, tally: _Tally) -> bool:
        if self._stream.frames > 0:
            # Packets, not frames: an edit list hides some frames on purpose.
            missing = self._stream.frames - tally.packets
            return missing > _SLACK * self._stream.frames + _SLACK_FRAMES
        length = self._length_s()
        if length is None:
            return False
        start = (self._container.start_time or 0) / av.time_base
        return length - (tally.reached - start) > _SLACK * length + _SLACK_S

    def _stream_fault(self, error: Exception, waited_s: float, what: str) -> InputError | Failure:
        if isinstance(error, av.error.ExitError) or waited_s >= 0.9 * self._timeout_s:
            return Failure(f"{self.name}: {what}: nothing came for {self._timeout_s:g} s (--timeout)")
        if isinstance(error, (av.error.ProtocolNotFoundError, av.error.DemuxerNotFoundError)):
            return InputError(f"{self.name}: {what}: there is no such kind of stream")
        return Failure(f"{self.name}: {what}: {_reason(error)}")


def _pixels(frame: VideoFrame) -> Uint8Image:
    """uint8 BGR [H, W, 3], turned by the rotation that the file states: degrees against the clock."""
    pixels = frame.to_ndarray(format="bgr24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns), np.uint8)


def _why_not_opened(path: Path, error: Exception) -> str:
    try:
        kind = foreign_kind(path)
        with path.open("rb") as file:
            is_mp4 = file.read(12)[4:8] == b"ftyp"
    except OSError as unread:
        return f"{path}: cannot be read: {unread.strerror}"
    reason = _reason(error)
    if kind is not None:
        reason = f"it is {kind}"
    elif is_mp4:
        reason = "its index is missing, as when a recording is cut off before its end"
    return f"{path}: cannot be opened as a video: {reason}"


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return str(text)[:1].lower() + str(text)[1:]


def _shown(url: str) -> str:
    """The URL without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
