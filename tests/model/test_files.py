"""A file appears whole or not at all, and nothing is left beside it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from model.files import Replacement, replacing, write_text


class Halfway(Exception):
    pass


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _write_and_fail(partial: Path) -> None:
    partial.write_text("ne")
    raise Halfway


@pytest.mark.parametrize("before", [None, "old"])
def test_the_old_file_stays_until_the_end(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "out.txt"
    if before is not None:
        path.write_text(before)
    with replacing(path) as partial:
        partial.write_text("new")
        assert partial.parent == tmp_path
        assert partial.suffix == ".part"
        assert (path.read_text() if path.exists() else None) == before
    assert path.read_text() == "new"
    assert names(tmp_path) == ["out.txt"]


@pytest.mark.parametrize("before", [None, "old"])
def test_a_failure_leaves_what_was_there(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "out.txt"
    if before is not None:
        path.write_text(before)
    with pytest.raises(Halfway), replacing(path) as partial:
        _write_and_fail(partial)
    assert (path.read_text() if path.exists() else None) == before
    assert names(tmp_path) == ([] if before is None else ["out.txt"])


@pytest.mark.parametrize(("written", "kept"), [("some", "some"), ("", "old")])
def test_what_was_written_may_be_kept(tmp_path: Path, written: str, kept: str) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    replacement = Replacement(path)
    replacement.partial.write_text(written)
    replacement.abandon(keep=True)
    assert path.read_text() == kept
    assert names(tmp_path) == ["out.txt"]


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        done.append("sync")
        sync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        done.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", renamed)
    write_text(tmp_path / "out.txt", "new")
    assert done == ["sync", "rename", "sync"]


def test_a_link_goes_on_pointing_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    real, link = tmp_path / "there" / "real.txt", tmp_path / "link.txt"
    real.write_text("old")
    link.symlink_to(real)
    write_text(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert names(tmp_path / "there") == ["real.txt"]


def test_the_files_mode_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    path.chmod(0o640)
    write_text(path, "new")
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    write_text(pipe, "through")
    reader.join(10)
    assert read == ["through"]
    assert pipe.is_fifo()
    assert names(tmp_path) == ["pipe"]


def test_a_long_name(tmp_path: Path) -> None:
    write_text(tmp_path / ("n" * 250), "new")
    assert names(tmp_path) == ["n" * 250]
