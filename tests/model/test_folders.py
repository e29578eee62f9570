"""Which files of a folder are images, and their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.folders import EmptyFileError, image_files, natural_key


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"an image")
    return folder


def test_natural_order() -> None:
    names = ["b1", "a10", "a9", "a", "10", "2", "a9b"]
    assert sorted(names, key=natural_key) == ["2", "10", "a", "a9", "a9b", "a10", "b1"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(("10.jpg", "9.png", "1.JPG"), ["1.JPG", "9.png", "10.jpg"], id="in the order of their numbers"),
        pytest.param(("1.jpg", "._1.jpg", ".DS_Store"), ["1.jpg"], id="macOS's companions"),
        pytest.param(("1.jpg", "Thumbs.db", "desktop.ini", "notes.txt"), ["1.jpg"], id="Windows's, and notes"),
        pytest.param(("a2.webp", "a10.jpeg", "a1.gif"), ["a2.webp", "a10.jpeg"], id="every kind that is read"),
        pytest.param((), [], id="nothing"),
    ],
)
def test_images_of_a_folder(tmp_path: Path, names: tuple[str, ...], expected: list[str]) -> None:
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in image_files(fill(tmp_path, *names))] == expected


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "1.jpg")
    for name in ("10.jpg", "9.jpg", "._2.jpg"):
        (tmp_path / name).touch()
    with pytest.raises(EmptyFileError, match=r"9\.jpg: the image file is empty \(0 bytes\), as are 1 more$"):
        image_files(tmp_path)
