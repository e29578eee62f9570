"""What the markers of a JPEG say: bounds, kinds, metadata, ends. The images are written bit by bit."""

from __future__ import annotations

import pytest

from benchmarks import _crafted_jpeg as crafted
from benchmarks._crafted_jpeg import EOI, SOI, segment
from model.encoded.bounds import MAX_SCANS, MAX_SEGMENTS
from model.encoded.walk import walk
from model.errors import ImageTooLargeError, InvalidImageError

PIXELS = 256 * 256
PLAIN = crafted.dense(24, 16, 3, 5)
GREY = crafted.dense(24, 16, 1, 5)
PROGRESSIVE = crafted.refined(24, 16, 3, 12)
COMPLETE = crafted.refined(24, 16, 1, 1 + 4 * 63)
# 24 times 65,536 pixels are 24,576 blocks, and 256 x 256 pixels of one component have 1,024.
MOST_SCANS_OF_ALL_BLOCKS = 24


def with_frame(kind: int, *, bits: int = 8, factors: tuple[int, ...] = (0x11,)) -> bytes:
    """A JPEG whose frame header says so, with one scan."""
    components = b"".join(bytes((name + 1, factor, 0)) for name, factor in enumerate(factors))
    frame = segment(kind, bytes((bits, 0, 8, 0, 8, len(factors))) + components)
    return SOI + frame + crafted.scan([0], 0, 63, 0, b"\0") + EOI


@pytest.mark.parametrize(
    ("data", "size"),
    [
        pytest.param(PLAIN, (24, 16), id="baseline"),
        pytest.param(GREY, (24, 16), id="grey"),
        pytest.param(crafted.dense(24, 16, 4, 5), (24, 16), id="four components"),
        pytest.param(crafted.dense(32, 8, 3, 5, sampling=2), (32, 8), id="subsampled"),
        pytest.param(PROGRESSIVE, (24, 16), id="progressive"),
        pytest.param(crafted.smoothed(16, 16, 3), (16, 16), id="progressive, one scan"),
        pytest.param(with_frame(0xC1), (8, 8), id="extended"),
        pytest.param(crafted.refined(8, 8, 1, MAX_SCANS - 3), (8, 8), id="as many scans as it can say"),
        pytest.param(
            crafted.refined(256, 256, 1, MOST_SCANS_OF_ALL_BLOCKS), (256, 256), id="as many blocks as allowed"
        ),
    ],
)
def test_sound_images_are_taken_as_they_are(data: bytes, size: tuple[int, int]) -> None:
    walked = walk(data, PIXELS)
    assert walked.data is data
    assert (walked.width, walked.height) == size
    assert walked.ended


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(crafted.refined(8, 8, 4, MAX_SCANS + 1), "more than 256 scans", id="scans"),
        pytest.param(
            crafted.refined(256, 256, 1, MOST_SCANS_OF_ALL_BLOCKS + 1), "visit more than 24576 blocks", id="blocks"
        ),
        pytest.param(crafted.with_exif(PLAIN, MAX_SEGMENTS), "more than 1024 segments", id="exif segments"),
        pytest.param(SOI + b"\xff\x01" * 2_000 + PLAIN[2:], "more than 1024 segments", id="markers alone"),
        pytest.param(with_frame(0xC9), "arithmetic coded", id="arithmetic"),
        pytest.param(with_frame(0xCA), "arithmetic coded", id="progressive arithmetic"),
        pytest.param(with_frame(0xC3), "lossless", id="lossless"),
        pytest.param(with_frame(0xC5), "hierarchical", id="hierarchical"),
        pytest.param(with_frame(0xC0, bits=12), "1 components of 12 bits", id="twelve bits"),
        pytest.param(with_frame(0xC0, factors=(0x11, 0x11)), "2 components", id="two components"),
        pytest.param(with_frame(0xC0, factors=(0x51,)), "sampling factor", id="sampling factor 5"),
        pytest.param(with_frame(0xC0, factors=(0x10,)), "sampling factor", id="sampling factor 0"),
        pytest.param(SOI + segment(0xC0, bytes(5)) + GREY[2:], "wrong length", id="short frame header"),
        pytest.param(crafted.header(8, 8, 1) + GREY[2:], "two frame headers", id="two frame headers"),
        pytest.param(SOI + crafted.scan([0], 0, 63, 0, b"") + EOI, "before its frame header", id="scan first"),
        pytest.param(crafted.header(8, 8, 1) + crafted.scan([1], 0, 63, 0, b"") + EOI, "does not name", id="component"),
        pytest.param(crafted.header(8, 8, 1) + segment(0xDA, b"\1\1\0") + EOI, "wrong length", id="short scan header"),
        pytest.param(
            crafted.header(8, 8, 1, progressive=True) + crafted.scan([0], 5, 64, 0, b"") + EOI,
            "coefficients 5 to 64",
            id="coefficients",
        ),
        pytest.param(SOI + SOI + GREY[2:], "begins twice", id="two starts"),
        pytest.param(SOI + segment(0xF3, b"") + GREY[2:], "means nothing: 0xFFF3", id="unknown marker"),
        pytest.param(SOI + b"\xff\xfe\0\1" + GREY[2:], "shorter than its own length", id="segment length"),
        pytest.param(crafted.header(8, 8, 1) + EOI, "no pixels", id="no scan"),
        pytest.param(crafted.header(8, 8, 1), "cut off", id="header alone"),
        pytest.param(GREY[:8], "cut off within a segment", id="cut within a segment"),
        pytest.param(crafted.header(0, 8, 1) + EOI, "empty", id="no width"),
    ],
)
def test_refusals_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(InvalidImageError, match=reason):
        walk(data, PIXELS)


def test_too_many_pixels_are_refused_at_the_frame_header() -> None:
    with pytest.raises(ImageTooLargeError, match="257 x 256 pixels; at most 65536 are allowed"):
        walk(crafted.header(257, 256, 1), PIXELS)


@pytest.mark.parametrize(
    "inserted",
    [
        pytest.param(segment(0xE1, b"Exif\0\0" + bytes(500)) * (MAX_SEGMENTS - 20), id="exif"),
        pytest.param(segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(500)), id="colour profile"),
        pytest.param(segment(0xED, b"Photoshop 3.0\0"), id="photoshop"),
        pytest.param(segment(0xFE, b"a comment"), id="comment"),
        pytest.param(segment(0xE0, b"AVI1"), id="another APP0"),
        pytest.param(segment(0xDC, b"\0\0"), id="number of lines"),
        pytest.param(b"\xff" * 70_000, id="fill bytes beyond a window"),
        pytest.param(b"\xff" + b"\0" * 65_534 + b"\xff\xfe\0\2", id="a marker across the edge of a window"),
    ],
)
@pytest.mark.parametrize("image", [PLAIN, PROGRESSIVE], ids=["baseline", "progressive"])
def test_decoders_see_no_metadata(image: bytes, inserted: bytes) -> None:
    assert walk(SOI + inserted + image[2:], PIXELS).data == image


@pytest.mark.parametrize(
    "kind", [pytest.param((0xE0, b"JFIF\0"), id="jfif"), pytest.param((0xEE, b"Adobe"), id="adobe")]
)
def test_what_says_how_colours_are_coded_stays(kind: tuple[int, bytes]) -> None:
    marked = SOI + segment(kind[0], kind[1] + bytes(9)) + PLAIN[2:]
    assert walk(marked, PIXELS).data is marked


def test_what_follows_the_end_is_left_out_or_ignored() -> None:
    assert walk(PROGRESSIVE + b"more" + PLAIN, PIXELS).data == PROGRESSIVE
    # One scan: the decoder stops before it.
    assert walk(PLAIN + b"more", PIXELS).data == PLAIN


@pytest.mark.parametrize("image", [PLAIN, GREY, COMPLETE], ids=["baseline", "grey", "progressive"])
@pytest.mark.parametrize("lacking", [1, 2])
def test_a_missing_end_marker_is_added(image: bytes, lacking: int) -> None:
    walked = walk(image[:-lacking], PIXELS)
    assert not walked.ended
    assert walked.data.startswith(image[:-2])
    assert walked.data.endswith(EOI)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(crafted.smoothed(16, 16, 3)[:-2], id="no coefficient but the first"),
        pytest.param(crafted.refined(8, 8, 1, 1 + 63)[:-2], id="the low bits of coefficients"),
        pytest.param(
            crafted.header(8, 8, 3) + b"".join(crafted.scan([each], 0, 63, 0, b"\0") for each in (0, 1)),
            id="a component",
        ),
    ],
)
def test_without_an_end_marker_every_bit_must_have_had_its_scan(data: bytes) -> None:
    with pytest.raises(InvalidImageError, match="not every pixel is there"):
        walk(data, PIXELS)


def test_without_a_limit_the_passes_are_counted_for_the_image_itself() -> None:
    large = crafted.header(8192, 4096, 1, progressive=True) + crafted.scan([0], 0, 0, 0, b"\0") * 24
    assert walk(large + EOI).width == 8192
    with pytest.raises(InvalidImageError, match="visit more than 12582912 blocks"):
        walk(large + crafted.scan([0], 0, 0, 0, b"\0") + EOI)
