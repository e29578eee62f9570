"""Files that are not what their name says: what their first bytes tell, in words for a message."""

from __future__ import annotations

from pathlib import Path

_BEGINNINGS = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file it stands for (`git lfs pull` brings that)"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as MATLAB and Keras write"),
    (b"%PDF-", "a PDF"),
    (b"Rar!\x1a", "a RAR archive; unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
)
_PAGES = (b"<!doctype html", b"<html", b"<head", b"<?xml")


def foreign_kind(path: Path) -> str | None:
    """What the file surely is, if it is something that no tracker reads; None where the first bytes do not tell.

    Text that follows "is": "empty (0 bytes)", "a web page (HTML), …". Raises OSError.
    """
    with path.open("rb") as file:
        start = file.read(1024)
    if not start:
        return "empty (0 bytes)"
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        return "a web page (HTML), as a download that failed leaves behind"
    for beginning, kind in _BEGINNINGS:
        if start.startswith(beginning):
            return kind
    return None
