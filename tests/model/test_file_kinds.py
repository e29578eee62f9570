"""What a file is that is not what its name says."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.file_kinds import foreign_kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b"", "empty (0 bytes)", id="empty"),
        pytest.param(b"<!DOCTYPE html><html></html>", "a web page", id="a page"),
        pytest.param(b"\xef\xbb\xbf\n <html lang=en>", "a web page", id="a page after a byte order mark"),
        pytest.param(b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer", id="a pointer"),
        pytest.param(b"MATLAB 5.0 MAT-file, Platform: GLNXA64", "a MATLAB file", id="MATLAB"),
        pytest.param(b"\x89HDF\r\n\x1a\nrest", "an HDF5 file", id="HDF5"),
        pytest.param(b"\x1f\x8b\x08rest", "a gzip archive", id="gzip"),
    ],
)
def test_what_it_is(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    found = foreign_kind(path)
    assert found is not None
    assert found.startswith(kind)


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"\x80\x02}q", b"\x00\x00\x00\x20ftypisom", b"a page: <html>"])
def test_what_may_be_anything(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(content)
    assert foreign_kind(path) is None
