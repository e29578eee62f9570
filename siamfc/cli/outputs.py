"""The files that commands write: never over an input, never two into one, and whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from model.files import Replacement, write_text
from siamfc.cli.failures import InputError

STDOUT = "-"


def check_outputs(outputs: Mapping[str, Path | str | None], inputs: Iterable[Path] = ()) -> None:
    """Refuse, before the work, files that must not or cannot be written. `outputs` is keyed by the option's name.

    Raises InputError where an output is the same file as an input or as another output (by another name or through a
    link too), where it is a folder, and where it has no folder or one that cannot be written to. None and `-` (stdout)
    are left out.
    """
    paths = {name: Path(path) for name, path in outputs.items() if path is not None and path != STDOUT}
    for name, path in paths.items():
        _check_place(name, path)
    _refuse_inputs(paths, inputs)
    chosen: dict[Path, str] = {}
    for name, path in paths.items():
        other = chosen.setdefault(path.resolve(), name)
        if other != name and not _is_special(path):
            raise InputError(f"{other} and {name} are the same file, {path}")


def check_folder(name: str, folder: Path | None) -> None:
    """Refuse a folder of outputs that is a file. It is made when it is written to. Raises InputError."""
    if folder is not None and folder.exists() and not folder.is_dir():
        raise InputError(f"{name} {folder}: is a file, not a folder")


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give the path of a `model.files.Replacement` to write to, which is kept as far as it came if the work fails.

    Raises InputError, naming the file, where it cannot be made or put into its place.
    """
    with _named(path):
        replacement = Replacement(path)
    try:
        yield replacement.partial
    except BaseException:
        with _named(path):
            replacement.abandon(keep=True)
        raise
    with _named(path):
        replacement.finish()


def save_text(path: Path, text: str) -> None:
    """Write a whole text file. Raises InputError, naming the file, where it cannot be written."""
    with _named(path):
        write_text(path, text)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from error


def _check_place(name: str, path: Path) -> None:
    if path.is_dir():
        raise InputError(f"{name} {path}: is a folder; give a file's name")
    folder = path.resolve().parent
    if not folder.is_dir():
        raise InputError(f"{name} {path}: cannot be written: there is no folder {path.parent}")
    if not _is_special(path) and not os.access(folder, os.W_OK):
        raise InputError(f"{name} {path}: cannot be written: no permission to write in {path.parent}")


def _refuse_inputs(paths: Mapping[str, Path], inputs: Iterable[Path]) -> None:
    # A file that is not there yet is no input: the inputs, perhaps many thousands, are looked at for the others alone.
    there = {_identity(path): name for name, path in paths.items() if path.exists() and not _is_special(path)}
    if not there:
        return
    for path in inputs:
        if path.exists() and (name := there.get(_identity(path))) is not None:
            raise InputError(f"{name} {paths[name]}: is the same file as the input {path}; choose another name")


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _is_special(path: Path) -> bool:
    """Whether the path is there and neither file nor folder: a device, a pipe."""
    return path.exists() and not path.is_file() and not path.is_dir()
