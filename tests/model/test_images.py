from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from model import images
from model.encoded.bounds import Walked
from model.encoded.walk import walk
from model.errors import ModelError
from model.images import ImageTooLargeError, InvalidImageError, decode

SMOOTH = np.stack(np.meshgrid(np.arange(48) * 5, np.arange(32) * 7), -1).astype(np.uint8)
RGB = np.concatenate([SMOOTH, np.full((32, 48, 1), 90, np.uint8)], axis=2)


def encoded(image: Pillow.Image | np.ndarray, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture = Pillow.fromarray(image) if isinstance(image, np.ndarray) else image
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "tolerance"),
    [
        pytest.param(encoded(RGB, "PNG"), 0, id="png"),
        pytest.param(encoded(RGB, "WEBP", lossless=True), 0, id="lossless webp"),
        pytest.param(encoded(RGB, "JPEG", quality=98, subsampling=0), 4, id="jpeg"),
        pytest.param(encoded(RGB, "JPEG", quality=98, subsampling=0, progressive=True), 4, id="progressive jpeg"),
        pytest.param(encoded(RGB, "WEBP", quality=98), 12, id="lossy webp"),
    ],
)
def test_each_format_comes_back_as_rgb(data: bytes, tolerance: int) -> None:
    image = decode(data)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - RGB).max() <= tolerance


GREY = RGB[..., 0]
GREY_AS_RGB = np.repeat(GREY[..., None], 3, 2)
BITS = GREY > 100
BITS_AS_RGB = np.repeat(BITS[..., None] * np.uint8(255), 3, 2)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        pytest.param(Pillow.fromarray(GREY), GREY_AS_RGB, id="grey"),
        pytest.param(Pillow.fromarray(np.dstack([RGB, GREY])), RGB, id="alpha is dropped, not blended"),
        pytest.param(Pillow.fromarray(np.dstack([GREY, GREY]), "LA"), GREY_AS_RGB, id="grey and alpha"),
        pytest.param(Pillow.fromarray(BITS), BITS_AS_RGB, id="one bit"),
    ],
)
def test_other_modes_become_rgb(picture: Pillow.Image, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(decode(encoded(picture, "PNG")), expected)


@pytest.mark.parametrize("transparency", [None, 0, bytes([0, 128] * 8)], ids=["opaque", "one colour", "table"])
def test_a_palette_becomes_rgb(transparency: Any) -> None:
    indexes = (np.arange(64).reshape(8, 8) % 16).astype(np.uint8)
    colours = [(i * 16, 255 - i * 16, i) for i in range(16)]
    picture = Pillow.fromarray(indexes, "P")
    picture.putpalette([value for colour in colours for value in colour])
    options = {} if transparency is None else {"transparency": transparency}
    np.testing.assert_array_equal(decode(encoded(picture, "PNG", **options)), np.array(colours, np.uint8)[indexes])


def test_sixteen_bits_a_channel_are_scaled() -> None:
    deep = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    grey = cv2.imencode(".png", deep)[1].tobytes()
    np.testing.assert_array_equal(decode(grey), np.repeat((deep >> 8).astype(np.uint8)[..., None], 3, 2))
    colour = cv2.imencode(".png", np.dstack([deep, deep[::-1], deep.T]))[1].tobytes()
    expected = np.dstack([deep.T, deep[::-1], deep]) >> 8
    assert np.abs(decode(colour).astype(int) - expected).max() <= 1


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    picture = Pillow.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan: red
    red = decode(encoded(picture, "JPEG", quality=95))[8, 8]
    assert red[0] > 200
    assert red[1:].max() < 60


def test_exif_orientation_is_ignored() -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    image = decode(encoded(RGB, "JPEG", quality=98, subsampling=0, exif=exif))
    assert image.shape == RGB.shape
    assert np.abs(image.astype(int) - RGB).max() <= 4


def test_the_first_picture_of_an_animation_counts() -> None:
    second = Pillow.fromarray(255 - RGB)
    data = encoded(Pillow.fromarray(RGB), "WEBP", save_all=True, append_images=[second], lossless=True)
    np.testing.assert_array_equal(decode(data), RGB)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xd8\xff", id="the start of a jpeg"),
        pytest.param(b"hello, not an image", id="text"),
        pytest.param(bytes(1000), id="zeros"),
        pytest.param(encoded(RGB, "GIF"), id="gif"),
        pytest.param(encoded(RGB, "BMP"), id="bmp"),
        pytest.param(encoded(RGB, "TIFF"), id="tiff"),
        pytest.param(encoded(RGB, "PNG")[:-60], id="truncated png"),
        pytest.param(encoded(RGB, "JPEG")[:-60], id="truncated jpeg"),
        pytest.param(encoded(RGB, "WEBP")[:-60], id="truncated webp"),
        pytest.param(png_claiming(100, 100), id="png without pixels"),
        pytest.param(png_claiming(0, 10), id="png without width"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="svg"),
    ],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImageError):
        decode(data, 1_000_000)


@pytest.mark.parametrize("allowed", [32 * 48, 10_000])
def test_as_many_pixels_as_allowed_are_taken(allowed: int) -> None:
    assert decode(encoded(RGB, "PNG"), allowed).shape == (32, 48, 3)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png_claiming(60_000, 60_000), id="png of 60000 x 60000"),
        pytest.param(encoded(RGB, "PNG"), id="png"),
        pytest.param(encoded(RGB, "JPEG"), id="jpeg"),
        pytest.param(encoded(RGB, "WEBP"), id="webp"),
    ],
)
def test_too_many_pixels_are_refused_before_decoding(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_rgb", lambda image: pytest.fail("decoded"))
    monkeypatch.setattr(simplejpeg, "decode_jpeg", lambda *_: pytest.fail("decoded"))
    with pytest.raises(ImageTooLargeError, match="at most 1535 are allowed"):
        decode(data, 32 * 48 - 1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@given(data=st.data())
def test_damaged_bytes_raise_nothing_else(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(encoded(RGB, kind))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(damaged) // 2, len(damaged)))
    try:
        image = decode(bytes(damaged[:cut]), 100_000)
    except ModelError:
        return
    assert image.dtype == np.uint8
    assert image.shape[2] == 3


NOISE = np.random.default_rng(3).integers(0, 256, (45, 61, 3), np.uint8)


@pytest.mark.parametrize("picture", [RGB, NOISE, GREY], ids=["smooth", "noise", "grey"])
@pytest.mark.parametrize("subsampling", [0, 1, 2], ids=["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 20, "optimize": True}], ids=str)
def test_a_plain_jpeg_has_the_pixels_that_pillow_gives(
    picture: np.ndarray, subsampling: int, options: dict[str, Any]
) -> None:
    data = encoded(picture, "JPEG", subsampling=subsampling, **options)
    plain = images._plain_jpeg(walk(data), 1)
    assert plain is not None
    np.testing.assert_array_equal(plain.pixels, images._any(walk(data)))


@st.composite
def damaged_jpegs(draw: st.DrawFn) -> bytes:
    """A JPEG with up to three bytes changed, perhaps cut off."""
    damaged = bytearray(encoded(NOISE, "JPEG", progressive=draw(st.booleans())))
    for _ in range(draw(st.integers(0, 3))):
        damaged[draw(st.integers(0, len(damaged) - 1))] = draw(st.integers(0, 255))
    return bytes(damaged[: draw(st.one_of(st.just(len(damaged)), st.integers(len(damaged) // 2, len(damaged))))])


def pillow(data: bytes, max_pixels: int) -> np.ndarray:
    return images._any(Walked(data, 0, 0))


@given(damaged_jpegs())
def test_what_becomes_of_a_damaged_jpeg_is_what_pillow_says(data: bytes) -> None:
    try:
        walked = walk(data, 100_000)
    except ModelError:
        assert outcome(pillow, data)[0] == "InvalidImageError"
        return
    if walked.ended:
        assert outcome(decode, data) == outcome(pillow, data)
    else:
        assert outcome(pillow, data)[0] == "InvalidImageError"
        found = outcome(decode, data)
        assert found[0] == "InvalidImageError" or found == outcome(pillow, data + b"\xff\xd9")


def outcome(decoder: Callable[[bytes, int], np.ndarray], data: bytes) -> tuple[str, bytes]:
    try:
        image = decoder(data, 100_000)
    except ModelError as error:
        return type(error).__name__, str(error).encode()
    return str(image.shape), image.tobytes()
