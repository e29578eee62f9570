"""Whatever the bytes are, a walk ends soon, with what it found or with its own error."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import _crafted_jpeg, _crafted_png, _crafted_webp
from benchmarks._crafted_jpeg import EOI, SOI, segment
from model.encoded.bounds import Walked
from model.encoded.walk import walk
from model.errors import ImageTooLargeError, InvalidImageError

SEEDS = {
    "baseline": _crafted_jpeg.dense(24, 16, 3, 5),
    "progressive": _crafted_jpeg.refined(24, 16, 3, 12),
    "exif": _crafted_jpeg.with_exif(_crafted_jpeg.dense(24, 16, 1, 5), 3, bytes(range(256))),
    "png": _crafted_png.plain(24, 16, 9, chunks=3, before=_crafted_png.bomb(b"zTXt", 2)),
    "lossy": _crafted_webp.with_alpha(24, 16, 30),
    "lossless": _crafted_webp.many_codes(24, 16),
}
PIXELS = 10_000
MEGABYTES = 4
SLOWEST_S = 1.0


def outcome(data: bytes) -> Walked | None:
    """What the walk finds; None where it refuses. Any other error is raised."""
    try:
        return walk(data, PIXELS)
    except (InvalidImageError, ImageTooLargeError):
        return None


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sound image with bytes changed, left out, put in, copied; perhaps cut off."""
    data = bytearray(draw(st.sampled_from(list(SEEDS.values()))))
    for _ in range(draw(st.integers(1, 6))):
        at, length = draw(st.integers(0, len(data))), draw(st.integers(0, 40))
        source = draw(st.integers(0, len(data)))
        put = draw(st.one_of(st.binary(max_size=8), st.just(bytes(data[source : source + length]))))
        data[at : at + draw(st.sampled_from([0, 1, length]))] = put
    return bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))])


@pytest.mark.parametrize("data", SEEDS.values(), ids=SEEDS)
def test_sound_images_are_walked(data: bytes) -> None:
    walked = outcome(data)
    assert walked is not None
    assert (walked.width, walked.height, walked.ended) == (24, 16, True)


@given(st.one_of(mutated(), st.binary(max_size=200)))
def test_a_walk_finds_a_bounded_image_or_refuses(data: bytes) -> None:
    walked = outcome(data)
    if walked is None:
        return
    assert 0 < walked.width * walked.height <= PIXELS
    # No longer than before but for a header, an end and a checksum that were missing.
    assert len(walked.data) <= len(data) + 32


@given(mutated())
def test_what_is_kept_is_kept_by_another_walk(data: bytes) -> None:
    walked = outcome(data)
    if walked is not None:
        again = outcome(walked.data)
        assert again is not None
        assert again.data == walked.data
        assert (again.width, again.height) == (walked.width, walked.height)


@pytest.mark.parametrize("name", SEEDS)
@given(data=st.data())
def test_the_start_of_an_image_is_refused_or_an_image(name: str, data: st.DataObject) -> None:
    cut = SEEDS[name][: data.draw(st.integers(0, len(SEEDS[name]) - 1))]
    walked = outcome(cut)
    assert walked is None or (walked.width, walked.height) == (24, 16)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello, not an image", id="text"),
        pytest.param(b"GIF89a" + bytes(100), id="gif"),
        pytest.param(b"RIFF\x20\0\0\0WAVE" + bytes(100), id="another RIFF"),
        pytest.param(SOI, id="the start of a jpeg"),
        pytest.param(SEEDS["png"][:7], id="the start of a png"),
    ],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImageError, match="not a JPEG, PNG or WebP image"):
        walk(data)


def repeated(part: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """Some megabytes of a part."""
    return before + part * (MEGABYTES * 2**20 // len(part)) + after


BASELINE, PROGRESSIVE, PNG = SEEDS["baseline"], SEEDS["progressive"], SEEDS["png"]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(repeated(b"\xff\0", BASELINE[:-2], EOI), id="stuffed bytes in a scan"),
        pytest.param(repeated(b"\xff\0", PROGRESSIVE[:-2], EOI), id="stuffed bytes in the last of many scans"),
        pytest.param(repeated(b"\xff\xd0", PROGRESSIVE[:-2], EOI), id="restart markers"),
        pytest.param(repeated(b"\xff", PROGRESSIVE[:-2], EOI), id="fill bytes"),
        pytest.param(repeated(b"\xff", SOI, BASELINE[2:]), id="fill bytes first"),
        pytest.param(repeated(b"\xff\x01", SOI, BASELINE[2:]), id="markers alone"),
        pytest.param(repeated(segment(0xFE, b""), SOI, BASELINE[2:]), id="comments"),
        pytest.param(repeated(segment(0xE1, b"Exif\0\0"), SOI, BASELINE[2:]), id="exif"),
        pytest.param(repeated(segment(0xC4, bytes(17)), BASELINE[:-2], EOI), id="tables"),
        pytest.param(repeated(_crafted_jpeg.scan([0], 1, 1, 0, b"\0"), PROGRESSIVE[:-2], EOI), id="scans"),
        pytest.param(repeated(_crafted_png.chunk(b"prVt", b""), PNG[:33], PNG[33:]), id="chunks of a png"),
        pytest.param(repeated(_crafted_png.chunk(b"IDAT", b""), PNG[:33], PNG[33:]), id="chunks of pixels"),
        pytest.param(
            _crafted_webp.riff(_crafted_webp.canvas(24, 16, 0), repeated(_crafted_webp.chunk(b"unkn", b""))),
            id="chunks of a webp",
        ),
        pytest.param(
            _crafted_webp.riff(_crafted_webp.canvas(24, 16, 2), repeated(b"ANMF\xff\xff\x3f\0" + bytes(16))),
            id="nested pictures",
        ),
    ],
)
def test_many_small_parts_take_little_time(data: bytes) -> None:
    # Far more than it takes, far less than anything quadratic would.
    before = time.thread_time()
    outcome(data)
    assert time.thread_time() - before < SLOWEST_S
