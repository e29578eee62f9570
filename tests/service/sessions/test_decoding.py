"""The decoder's errors become the service's errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ImageTooLarge, InvalidImage, ServiceError
from service.sessions.decoding import decode_frame
from tests.support import blobs

PNG = blobs.frame(10, 10)


def test_a_frame_is_decoded() -> None:
    image = decode_frame(PNG, blobs.WIDTH * blobs.HEIGHT)
    np.testing.assert_array_equal(image.pixels, blobs.picture(10, 10))
    assert image.size == (blobs.WIDTH, blobs.HEIGHT)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello", id="text"),
        pytest.param(PNG[:8], id="signature-alone"),
        pytest.param(PNG[: len(PNG) // 2], id="cut-off"),
        pytest.param(b"GIF89a" + bytes(100), id="gif"),
    ],
)
def test_bytes_that_are_no_image_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        decode_frame(data, 10**6)


def test_too_many_pixels_are_refused_by_the_header_alone() -> None:
    # The file ends where the pixels begin: decoding it would raise InvalidImage.
    with pytest.raises(ImageTooLarge, match="160 x 120"):
        decode_frame(PNG[: PNG.index(b"IDAT") + 4], blobs.WIDTH * blobs.HEIGHT - 1)


@given(st.integers(0, len(PNG) - 1), st.integers(1, 255), st.integers(0, len(PNG)))
def test_a_damaged_image_raises_nothing_else(at: int, change: int, length: int) -> None:
    damaged = bytearray(PNG)
    damaged[at] ^= change
    try:
        image = decode_frame(bytes(damaged[:length]), 10**6)
    except ServiceError:
        return
    assert image.pixels.dtype == np.uint8
    assert image.pixels.shape[2] == 3
