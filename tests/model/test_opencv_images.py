"""Every reader of image files gives the pixels as stored, whatever the EXIF orientation."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from model.data.corpus import Corpus
from model.data.records import Member
from model.errors import ModelError
from model.images import decode
from model.opencv_images import decode_bgr, decode_rgba, read_bgr
from siamfc.cli.frames import SourceFrame
from tests.support.scenes import photograph

Reader = Callable[[Path], np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]
ORIENTATION = 0x0112


def write_tagged(path: Path, orientation: int) -> Path:
    """A photograph of a cat that says how it is to be turned."""
    exif = Pillow.Exif()
    exif[ORIENTATION] = orientation
    data = io.BytesIO()
    Pillow.fromarray(photograph("chelsea", 96)).save(data, path.suffix[1:].upper(), exif=exif.tobytes())
    path.write_bytes(data.getvalue())
    return path


def _of_a_corpus(path: Path, channels: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    corpus = Corpus()
    return (corpus.rgb if channels == 3 else corpus.rgba)(Member(str(path)))[..., :3]


READERS: dict[str, Reader] = {
    "the server and tracking in process": lambda path: decode(path.read_bytes()),
    "a frame of the command line": lambda path: SourceFrame("", path.read_bytes()).rgb(),
    "a frame to draw on": lambda path: SourceFrame("", path.read_bytes()).bgr()[..., ::-1],
    "pictures of a report, OpenCV's trackers": lambda path: read_bgr(path)[..., ::-1],
    "a training corpus": lambda path: _of_a_corpus(path, 3),
    "a corpus's cut-outs": lambda path: _of_a_corpus(path, 4),
}


@pytest.mark.parametrize("suffix", [".jpeg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("reader", list(READERS))
def test_pixels_are_as_stored(tmp_path: Path, reader: str, orientation: int, suffix: str) -> None:
    path = write_tagged(tmp_path / f"tagged{suffix}", orientation)
    stored = photograph("chelsea", 96)
    pixels = READERS[reader](path)
    assert pixels.shape == stored.shape
    # A turned or mirrored cat differs by more than compression does.
    assert np.abs(pixels.astype(int) - stored).mean() < 8


def test_opencv_turns_pictures_where_it_is_not_told(tmp_path: Path) -> None:
    path = write_tagged(tmp_path / "tagged.jpeg", 6)
    turned = cv2.imread(str(path))
    assert turned is not None
    assert turned.shape[:2] == photograph("chelsea", 96).shape[1::-1]


@pytest.mark.parametrize("data", [b"", b"no image", b"\xff\xd8\xff"])
def test_what_is_no_image(tmp_path: Path, data: bytes) -> None:
    assert decode_bgr(data) is None
    assert decode_rgba(data) is None
    path = tmp_path / "frame.jpg"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"frame\.jpg: not an image"):
        read_bgr(path)
    with pytest.raises(ModelError, match=r"none\.jpg: cannot be read: No such file"):
        read_bgr(tmp_path / "none.jpg")


def test_a_cutout_without_alpha_is_opaque() -> None:
    data = cv2.imencode(".png", photograph("chelsea", 32)[..., ::-1])[1].tobytes()
    rgba = decode_rgba(data)
    assert rgba is not None
    np.testing.assert_array_equal(rgba[..., :3], photograph("chelsea", 32))
    assert (rgba[..., 3] == 255).all()
    grey = cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tobytes()
    assert decode_rgba(grey) is None


@pytest.mark.parametrize("left_out", [1, 2])
def test_a_jpeg_without_its_end_marker_is_drawn_on(left_out: int) -> None:
    data = cv2.imencode(".jpg", photograph("chelsea", 96))[1].tobytes()
    whole, found = decode_bgr(data), decode_bgr(data[:-left_out])
    assert whole is not None
    assert found is not None
    np.testing.assert_array_equal(found, whole)
