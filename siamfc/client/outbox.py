"""Frames on their way out: which part of an array is sent, how it is encoded, and what that saved."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from siamfc.client.frames import Encoding, Frame, checked_array, read_bytes
from siamfc.client.outgoing import Outgoing
from siamfc.client.parts import PartChooser, PartsMode
from siamfc.client.results import Answer, Part, Result, Target


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a session has sent as frames, and what parts of frames saved.

    frames: sent in all; parts: those sent in part; missed: parts that did not show all that the server wanted.
    bytes_sent: of images. encode_ms: milliseconds of encoding arrays. bytes_saved and encode_saved_ms: what the pixels
    that were left out would have added, at the rate of those that were sent.
    """

    frames: int = 0
    parts: int = 0
    missed: int = 0
    bytes_sent: int = 0
    bytes_saved: int = 0
    encode_ms: float = 0.0
    encode_saved_ms: float = 0.0


class Outbox:
    """One session's frames, in the order in which they are sent and answered."""

    def __init__(
        self, encoding: Encoding, mode: PartsMode, frame_size: tuple[int, int], targets: Iterable[Target]
    ) -> None:
        self._encoding = encoding
        self._mode = mode
        self._chooser = PartChooser(frame_size, targets)
        self.traffic = Traffic()

    def read(self, frame: Frame) -> bytes | NDArray[np.uint8]:
        """The frame's bytes, or the array that is to be encoded. Raises InvalidFrame."""
        return checked_array(frame) if isinstance(frame, np.ndarray) else read_bytes(frame)

    def encode(self, frame: bytes | NDArray[np.uint8], *, parts: bool, keep: bool) -> Outgoing:
        """The next frame to send, from what `read` gave.

        parts: whether the server takes parts. keep: whether the whole frame may be asked for later, when the caller may
        have put other pixels into the array. Raises InvalidFrame.
        """
        outgoing = self._encoded(frame, keep) if parts and self._mode == "auto" else self._whole(frame)
        self._chooser.sent()
        return outgoing

    def draw(self) -> None:
        """A box is drawn on the next frame, which is then sent whole."""
        self._chooser.draw()

    def note(self, answer: Answer) -> None:
        """The oldest frame under way is answered."""
        self._chooser.answered(answer)
        if isinstance(answer, Result) and answer.missed:
            self.traffic = replace(self.traffic, missed=self.traffic.missed + 1)

    def disconnected(self) -> None:
        """The frames under way are given up."""
        self._chooser.disconnected()

    def _encoded(self, frame: bytes | NDArray[np.uint8], keep: bool) -> Outgoing:
        part = self._chooser.choose((frame.shape[1], frame.shape[0])) if isinstance(frame, np.ndarray) else None
        if part is None or not isinstance(frame, np.ndarray):
            return self._whole(frame)
        x, y, w, h = part
        begun = time.perf_counter()
        data = self._encoding.encode(np.ascontiguousarray(frame[y : y + h, x : x + w]))
        self._count(data, 1e3 * (time.perf_counter() - begun), part, frame.shape[0] * frame.shape[1])
        return Outgoing(data, (x, y), _Later(self._encoding, frame.copy()) if keep else None)

    def _whole(self, frame: bytes | NDArray[np.uint8]) -> Outgoing:
        begun = time.perf_counter()
        data = self._encoding.encode(frame)
        taken_ms = 1e3 * (time.perf_counter() - begun) if isinstance(frame, np.ndarray) else 0.0
        self._count(data, taken_ms)
        return Outgoing(data)

    def _count(self, data: bytes, taken_ms: float, part: Part | None = None, pixels: int = 0) -> None:
        before, times = self.traffic, 0.0 if part is None else pixels / (part[2] * part[3]) - 1
        self.traffic = replace(
            before,
            frames=before.frames + 1,
            parts=before.parts + (part is not None),
            bytes_sent=before.bytes_sent + len(data),
            bytes_saved=before.bytes_saved + round(times * len(data)),
            encode_ms=before.encode_ms + taken_ms,
            encode_saved_ms=before.encode_saved_ms + times * taken_ms,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Later:
    """Encodes a whole frame when it is asked for."""

    encoding: Encoding
    frame: NDArray[Any]

    def __call__(self) -> bytes:
        return self.encoding.encode(self.frame)
