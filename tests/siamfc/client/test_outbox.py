"""Frames on their way out: cut, encoded and counted."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from siamfc import InvalidFrame, Result, Target
from siamfc.client.frames import Encoding
from siamfc.client.outbox import Outbox, Traffic

WANTS = (20, 10, 16, 12)
TARGETS = (Target("0", (24.0, 12.0, 8.0, 6.0), 0.9, "tracking", wants=WANTS),)
PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


def outbox(mode: str = "auto") -> Outbox:
    return Outbox(Encoding(".png"), mode, (64, 48), TARGETS)  # type: ignore[arg-type]


def decoded(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(image)


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[..., 0]], ids=["colour", "grey"])
def test_the_part_that_is_wanted_is_cut_before_it_is_encoded(pixels: np.ndarray) -> None:
    box = outbox()
    sent = box.encode(box.read(pixels), parts=True, keep=False)
    assert (sent.at, sent.whole) == ((20, 10), None)
    np.testing.assert_array_equal(decoded(sent.data), pixels[10:22, 20:36])


@pytest.mark.parametrize(
    ("mode", "parts"), [("never", True), ("auto", False)], ids=["told not to", "the server takes none"]
)
def test_whole_frames(mode: str, parts: bool) -> None:
    box = outbox(mode)
    sent = box.encode(box.read(PIXELS), parts=parts, keep=True)
    assert (sent.at, sent.whole) == (None, None)
    np.testing.assert_array_equal(decoded(sent.data), PIXELS)


def test_bytes_are_sent_as_they_are() -> None:
    box = outbox()
    assert box.encode(box.read(b"an image"), parts=True, keep=True).data == b"an image"
    assert box.traffic == Traffic(frames=1, bytes_sent=8)


def test_the_whole_frame_can_be_had_later_even_if_the_caller_changes_it() -> None:
    box, pixels = outbox(), PIXELS.copy()
    sent = box.encode(box.read(pixels), parts=True, keep=True)
    pixels[:] = 0
    assert sent.whole is not None
    np.testing.assert_array_equal(decoded(sent.whole()), PIXELS)


def test_what_is_no_frame_is_not_counted() -> None:
    box = outbox()
    with pytest.raises(InvalidFrame):
        box.read(PIXELS.astype(np.float32))
    assert box.traffic == Traffic()


def test_traffic() -> None:
    box = outbox()
    box.draw()
    whole = box.encode(PIXELS, parts=True, keep=False)
    box.note(Result(0, 1, TARGETS))
    part = box.encode(PIXELS, parts=True, keep=False)
    box.note(Result(1, 2, TARGETS, missed=("0",)))
    traffic = box.traffic
    assert (traffic.frames, traffic.parts, traffic.missed) == (2, 1, 1)
    assert traffic.bytes_sent == len(whole.data) + len(part.data)
    # Fifteen times the part's pixels were left out.
    assert traffic.bytes_saved == 15 * len(part.data)
    assert traffic.encode_ms > 0
    assert 0 < traffic.encode_saved_ms < 15 * traffic.encode_ms
