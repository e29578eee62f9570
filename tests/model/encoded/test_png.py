"""What the chunks of a PNG say."""

from __future__ import annotations

import pytest

from benchmarks import _crafted_png as crafted
from benchmarks._crafted_png import chunk, header, image, plain
from model.encoded.bounds import MAX_CHUNKS
from model.encoded.walk import walk
from model.errors import ImageTooLargeError, InvalidImageError

SOUND = plain(24, 16, 9)
END = chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(SOUND, id="one chunk of pixels"),
        pytest.param(plain(24, 16, 9, chunks=60), id="sixty"),
        pytest.param(image(24, 16, b"pixels", before=chunk(b"PLTE", bytes(768))), id="palette"),
    ],
)
def test_sound_images_are_taken_as_they_are(data: bytes) -> None:
    walked = walk(data, 24 * 16)
    assert walked.data is data
    assert (walked.width, walked.height, walked.ended) == (24, 16, True)


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP", b"tEXt", b"eXIf", b"acTL", b"fcTL", b"tRNS", b"prVt"])
def test_decoders_see_no_metadata(kind: bytes) -> None:
    assert walk(plain(24, 16, 9, before=chunk(kind, b"a\0\0" + bytes(50)) * 9)).data == SOUND


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(SOUND[: -len(END)] + chunk(b"fdAT", bytes(9)) + END, id="frames of an animation"),
        pytest.param(SOUND[: -len(END)] + crafted.bomb(b"zTXt", 3) + chunk(b"IDAT", b"more") + END, id="texts"),
        pytest.param(SOUND + b"more", id="bytes after the end"),
        pytest.param(SOUND[: -len(END)], id="no end"),
        pytest.param(SOUND[: -len(END)] + bytes(20), id="zeros instead of the end"),
    ],
)
def test_what_follows_the_pixels_is_left_out(data: bytes) -> None:
    assert walk(data).data == SOUND


@pytest.mark.parametrize("chunks", [65, 300])
def test_many_chunks_of_pixels_become_one(chunks: int) -> None:
    pixels = b"seven b" * chunks
    assert walk(image(24, 16, pixels, chunks=chunks)).data == image(24, 16, pixels)


def test_as_many_chunks_as_allowed_are_taken() -> None:
    assert walk(plain(24, 16, 9, before=chunk(b"prVt", b"") * (MAX_CHUNKS - 2))).data == SOUND


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(
            plain(24, 16, 9, before=chunk(b"prVt", b"") * (MAX_CHUNKS - 1)), "more than 16384 chunks", id="chunks"
        ),
        pytest.param(header(8, 8), "no pixels", id="header alone"),
        pytest.param(crafted.SIGNATURE, "no pixels", id="signature alone"),
        pytest.param(header(8, 8) + header(8, 8)[8:] + END, "two headers", id="two headers"),
        pytest.param(crafted.SIGNATURE + chunk(b"IDAT", b""), "does not begin with its header", id="no header"),
        pytest.param(
            crafted.SIGNATURE + chunk(b"IHDR", bytes(12)), "does not begin with its header", id="short header"
        ),
        pytest.param(header(8, 8) + chunk(b"a\0bc", b""), "broken chunk at byte 33", id="a kind that is no letters"),
        pytest.param(plain(24, 16)[:40], "no pixels", id="cut before the pixels"),
        pytest.param(header(0, 8) + END, "empty: 0 x 8", id="no width"),
    ],
)
def test_refusals_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidImageError, match=reason):
        walk(data)


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        pytest.param((5, 5), "5 x 5 pixels; at most 24 are allowed", id="pixels"),
        pytest.param((2**31 - 1, 2**31 - 1), "at most 24 are allowed", id="as large as it can say"),
    ],
)
def test_too_many_pixels_are_refused_at_the_header(size: tuple[int, int], reason: str) -> None:
    with pytest.raises(ImageTooLargeError, match=reason):
        walk(header(*size), 24)


@pytest.mark.parametrize("size", [(65_536, 1), (1, 65_536)])
def test_a_side_may_be_as_long_as_a_jpegs(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLargeError, match="a side may have at most 65535"):
        walk(header(*size), 10**9)
    shorter = min(size[0], 65_535), min(size[1], 65_535)
    assert (walked := walk(image(*shorter, b"pixels"), 10**9)).width == shorter[0]
    assert walked.height == shorter[1]


@pytest.mark.parametrize("there", [1, 7, 30])
def test_pixels_that_are_cut_off_are_passed_on_as_they_are(there: int) -> None:
    # Whether they end too early only the decoder can say.
    start = SOUND.index(b"IDAT") + 4
    assert walk(SOUND[: start + there]).data == image(24, 16, SOUND[start : start + there])


@pytest.mark.parametrize("lacking", [1, len(END), len(END) + 1, len(END) + 4])
def test_a_checksum_or_an_end_that_is_cut_off_is_made_again(lacking: int) -> None:
    assert walk(SOUND[:-lacking]).data == SOUND
