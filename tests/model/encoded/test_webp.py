"""What the chunks of a WebP say."""

from __future__ import annotations

import pytest

from benchmarks import _crafted_webp as crafted
from benchmarks._crafted_webp import canvas, chunk, riff
from model.encoded.bounds import MAX_CHUNKS
from model.encoded.walk import walk
from model.errors import ImageTooLargeError, InvalidImageError

LOSSY = crafted.noise(24, 16, 30)
LOSSLESS = crafted.many_codes(24, 16)[12:]
ALPHA = chunk(b"ALPH", b"\0" + bytes(24 * 16))
METADATA = chunk(b"ICCP", bytes(9)) + chunk(b"unkn", bytes(3))
AFTER = chunk(b"EXIF", bytes(7)) + chunk(b"XMP ", bytes(8))
ANIMATED, WITH_ALPHA, WITH_METADATA = 0x02, 0x10, 0x2C
ANIMATION = chunk(b"ANIM", bytes(6))


def of_animation(*chunks: bytes) -> bytes:
    """A picture of an animation, as large as the canvas."""
    return chunk(b"ANMF", bytes(6) + bytes((23, 0, 0, 15, 0, 0, 40, 0, 0, 0)) + b"".join(chunks))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(riff(LOSSY), id="lossy"),
        pytest.param(riff(LOSSLESS), id="lossless"),
        pytest.param(riff(canvas(24, 16, WITH_ALPHA), ALPHA, LOSSY), id="with alpha"),
        pytest.param(riff(canvas(24, 16, 0), LOSSLESS), id="extended"),
        pytest.param(riff(canvas(24, 16, ANIMATED), ANIMATION, of_animation(ALPHA, LOSSY)), id="animation of one"),
    ],
)
def test_sound_images_are_taken_as_they_are(data: bytes) -> None:
    walked = walk(data, 24 * 16)
    assert walked.data is data
    assert (walked.width, walked.height, walked.ended) == (24, 16, True)


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        pytest.param(riff(LOSSY, AFTER), riff(LOSSY), id="after a simple picture"),
        pytest.param(riff(LOSSY) + b"more", riff(LOSSY), id="after the file"),
        pytest.param(
            riff(canvas(24, 16, WITH_METADATA | WITH_ALPHA), METADATA, ALPHA, LOSSY, AFTER),
            riff(canvas(24, 16, WITH_ALPHA), ALPHA, LOSSY),
            id="around a picture",
        ),
        pytest.param(
            riff(canvas(24, 16, WITH_METADATA | ANIMATED), METADATA, ANIMATION, of_animation(METADATA, LOSSY, AFTER)),
            riff(canvas(24, 16, ANIMATED), ANIMATION, of_animation(LOSSY)),
            id="in an animation",
        ),
        pytest.param(
            riff(canvas(24, 16, ANIMATED), ANIMATION, of_animation(LOSSY), of_animation(LOSSLESS) * 9, AFTER),
            riff(canvas(24, 16, ANIMATED), ANIMATION, of_animation(LOSSY)),
            id="further pictures",
        ),
    ],
)
def test_decoders_see_one_picture_and_no_metadata(data: bytes, kept: bytes) -> None:
    assert walk(data, 24 * 16).data == kept


def test_as_many_chunks_as_allowed_are_taken() -> None:
    data = riff(canvas(24, 16, 0), chunk(b"unkn", b"") * (MAX_CHUNKS - 2), LOSSY)
    assert walk(data).data == riff(canvas(24, 16, 0), LOSSY)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(
            riff(canvas(24, 16, 0), chunk(b"unkn", b"") * (MAX_CHUNKS - 1), LOSSY),
            "more than 16384 chunks",
            id="chunks",
        ),
        pytest.param(
            riff(canvas(24, 16, ANIMATED), of_animation(chunk(b"unkn", b"") * MAX_CHUNKS)),
            "more than 16384 chunks",
            id="chunks in a picture",
        ),
        pytest.param(
            riff(canvas(24, 16, ANIMATED), of_animation(of_animation(LOSSY))), "no whole picture", id="nested animation"
        ),
        pytest.param(riff(LOSSY)[:-1], "shorter than it says", id="cut off"),
        pytest.param(riff(canvas(24, 16, 0), AFTER), "no whole picture", id="no picture"),
        pytest.param(riff(canvas(24, 16, 0)), "no whole picture", id="header alone"),
        pytest.param(riff(), "no whole picture", id="nothing"),
        pytest.param(riff(LOSSY[:60]), "no whole picture", id="a chunk longer than the file"),
        pytest.param(riff(chunk(b"VP8X", bytes(9))), "header is too short", id="short header"),
        pytest.param(
            riff(canvas(24, 16, ANIMATED), chunk(b"ANMF", bytes(15))), "without its header", id="short picture"
        ),
        pytest.param(riff(chunk(b"VP8 ", bytes(20))), "does not begin with a picture", id="no start code"),
        pytest.param(riff(chunk(b"VP8L", bytes(20))), "does not begin with a picture", id="no signature"),
        pytest.param(riff(AFTER), "does not begin with a picture", id="metadata first"),
        pytest.param(riff(chunk(b"VP8 ", bytes(3) + b"\x9d\x01\x2a" + bytes(4))), "empty", id="no width"),
    ],
)
def test_refusals_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidImageError, match=reason):
        walk(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(riff(LOSSY), id="lossy"),
        pytest.param(riff(LOSSLESS), id="lossless"),
        pytest.param(riff(canvas(24, 16, 0)), id="canvas"),
        pytest.param(riff(canvas(8, 8, 0), LOSSY), id="a picture larger than its canvas"),
        pytest.param(riff(canvas(8, 8, ANIMATED), of_animation(LOSSLESS)), id="one of an animation"),
    ],
)
def test_too_many_pixels_are_refused_at_the_header(data: bytes) -> None:
    with pytest.raises(ImageTooLargeError, match="24 x 16 pixels; at most 383 are allowed"):
        walk(data, 24 * 16 - 1)


def test_a_canvas_has_the_sides_of_a_jpeg_at_most() -> None:
    with pytest.raises(ImageTooLargeError, match="a side may have at most 65535"):
        walk(riff(canvas(1 << 24, 1, 0)), 1 << 25)
