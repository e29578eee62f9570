"""Sizes from headers: the same as Pillow's, and None where there is no telling."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from model.image_sizes import image_size
from tests.support.scenes import photograph


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("JPEG", {}, id="JPEG"),
        pytest.param("JPEG", {"progressive": True}, id="progressive JPEG"),
        pytest.param("JPEG", {"comment": b"x" * 60_000}, id="JPEG with a long comment"),
        pytest.param("JPEG", {"exif": b"Exif\x00\x00" + b"\xff\xc0" * 200}, id="JPEG with markers in its EXIF"),
        pytest.param("PNG", {}, id="PNG"),
        pytest.param("WEBP", {}, id="lossy WebP"),
        pytest.param("WEBP", {"lossless": True}, id="lossless WebP"),
        pytest.param("WEBP", {"icc_profile": b"profile"}, id="extended WebP"),
    ],
)
@pytest.mark.parametrize("size", [(97, 33), (1, 260)])
def test_sizes(tmp_path: Path, kind: str, options: dict[str, Any], size: tuple[int, int]) -> None:
    path = tmp_path / "image"
    Pillow.fromarray(photograph("chelsea", 96)).resize(size).save(path, kind, **options)
    assert image_size(path) == size


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x01", b"GIF89a" + bytes(40)]
)
def test_what_does_not_tell(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "image"
    path.write_bytes(data)
    assert image_size(path) is None


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_cut_anywhere_it_raises_nothing(tmp_path: Path, kind: str) -> None:
    whole = io.BytesIO()
    Pillow.fromarray(photograph("chelsea", 96)).save(whole, kind)
    path = tmp_path / "image"
    found = set()
    for length in range(0, 700, 7):
        path.write_bytes(whole.getvalue()[:length])
        found.add(image_size(path))
    assert found == {None, (96, 64)}
