"""Images that lack their end, and images that ask for more work than they look like."""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from benchmarks import _crafted_jpeg, _crafted_png, _crafted_webp
from benchmarks._crafted_jpeg import SOI, segment
from benchmarks._mutations import corpus, mutated
from model.errors import ModelError
from model.images import InvalidImageError, decode

NOISE = np.random.default_rng(3).integers(0, 256, (29, 45, 3), np.uint8)
SHORT_S = 0.5


def jpeg(mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Pillow.fromarray(NOISE).convert(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


CAMERAS = {
    "baseline": jpeg(),
    "grey": jpeg("L"),
    "subsampled": jpeg(subsampling=2, quality=30),
    "restart markers": jpeg(restart_marker_blocks=3),
    "progressive": jpeg(progressive=True),
    "cmyk": jpeg("CMYK"),
    "exif": jpeg(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"),
}


@pytest.mark.parametrize("data", CAMERAS.values(), ids=CAMERAS)
@pytest.mark.parametrize("lacking", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_marker_is_taken(data: bytes, lacking: int) -> None:
    np.testing.assert_array_equal(decode(data[:-lacking]), decode(data))


@pytest.mark.parametrize("data", CAMERAS.values(), ids=CAMERAS)
def test_a_jpeg_that_is_cut_anywhere_is_refused_or_whole(data: bytes) -> None:
    whole, taken = decode(data), []
    for end in range(len(data)):
        try:
            image = decode(data[:end])
        except InvalidImageError:
            continue
        taken.append(end)
        np.testing.assert_array_equal(image, whole)
    # The last byte of the last scan may hold nothing but padding.
    assert len(data) - 2 in taken
    assert min(taken) >= len(data) - 3


def test_a_cut_says_so() -> None:
    with pytest.raises(InvalidImageError, match="cut off"):
        decode(CAMERAS["baseline"][:-60])


def test_many_exif_segments_are_not_read() -> None:
    # Joined one by one they took time that grew with the square of their number.
    plain = CAMERAS["baseline"]
    tagged = SOI + segment(0xE1, b"Exif\0\0" + bytes(8_000)) * 1_000 + plain[2:]
    assert decoded_within(SHORT_S, tagged).tobytes() == decode(plain).tobytes()


@pytest.mark.parametrize("kind", [b"zTXt", b"iTXt", b"iCCP"])
def test_compressed_texts_and_profiles_are_not_inflated(kind: bytes) -> None:
    # Two gigabytes of zeros.
    bombs = _crafted_png.bomb(kind, 2_000)
    assert decoded_within(SHORT_S, _crafted_png.plain(24, 16, 9, before=bombs)).shape == (16, 24, 3)


def test_damaged_metadata_raises_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert decode(_crafted_jpeg.with_exif(CAMERAS["progressive"], 2, b"II*\0\xff\xff\xff\xff")).shape == NOISE.shape


def test_thousands_of_scans_are_refused_before_decoding() -> None:
    before = time.thread_time()
    with pytest.raises(InvalidImageError, match="more than 6291456 blocks"):
        decode(_crafted_jpeg.refined(4096, 4096, 1, 250), 4096 * 4096)
    assert time.thread_time() - before < SHORT_S


CRAFTED: dict[str, Callable[[], bytes]] = {
    "many scans": lambda: _crafted_jpeg.refined(64, 48, 3, 20),
    "many scans, and a doubt": lambda: _crafted_jpeg.refined(64, 48, 3, 20, doubt=True),
    "dense": lambda: _crafted_jpeg.dense(64, 48, 3, 41),
    "dense, four components": lambda: _crafted_jpeg.dense(64, 48, 4, 31),
    "subsampled": lambda: _crafted_jpeg.dense(64, 48, 3, 20, sampling=4),
    "smoothed": lambda: _crafted_jpeg.smoothed(64, 48, 3),
    "tables": lambda: _crafted_png.tabled(64, 48, 20_000),
    "chunks": lambda: _crafted_png.plain(64, 48, 99, chunks=300),
    "codes": lambda: _crafted_webp.many_codes(64, 48),
    "alpha": lambda: _crafted_webp.with_alpha(64, 48, 5),
}


@pytest.mark.parametrize("make", CRAFTED.values(), ids=CRAFTED)
def test_what_the_benchmark_crafts_can_be_decoded(make: Callable[[], bytes]) -> None:
    assert decode(make(), 64 * 48).shape == (48, 64, 3)


@given(st.integers(0, 2**63))
def test_mutated_images_raise_nothing_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for name, data in corpus().items():
        try:
            image = decode(mutated(data, rng), 100_000)
        except ModelError:
            continue
        assert image.dtype == np.uint8, name
        assert image.shape[2] == 3, name


def decoded_within(limit_s: float, data: bytes) -> np.ndarray:
    before = time.thread_time()
    image = decode(data)
    assert time.thread_time() - before < limit_s
    return image
