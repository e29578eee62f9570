"""Writing files: a new one is written beside its place, and takes it when it is whole."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NAME = 200
"""Characters of a file's name that its partial file's name begins with; names may have 255 bytes."""


class Replacement:
    """A new file in the making beside `path`: empty at first, to be written to at `partial`, and ended once.

    What is there and no file, such as `/dev/null` or a pipe, is written to as it is. A symbolic link goes on pointing
    to its file, which is replaced.
    """

    def __init__(self, path: Path) -> None:
        """Make the partial file, whose name ends in `.part`. Raises OSError."""
        self._target = path.resolve()
        self._special = path.exists() and not path.is_file()
        if self._special:
            self.partial = path
            return
        self.partial = self._target.with_name(f"{self._target.name[:_NAME]}.{secrets.token_hex(4)}.part")
        os.close(os.open(self.partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        if self._target.exists():
            self.partial.chmod(stat.S_IMODE(self._target.stat().st_mode))

    def finish(self) -> None:
        """Put the new file in its place. It is on the disk first, so that a power cut leaves the old or the new one."""
        if not self._special:
            with self.partial.open("rb+") as file:
                os.fsync(file.fileno())
            self.partial.replace(self._target)
            _sync_folder(self._target.parent)

    def abandon(self, *, keep: bool = False) -> None:
        """Leave the old file in its place; with `keep`, put the new one there unless it is empty."""
        if self._special:
            return
        if keep and self.partial.stat().st_size:
            self.finish()
        else:
            self.partial.unlink(missing_ok=True)


@contextmanager
def replacing(path: Path, *, keep: bool = False) -> Iterator[Path]:
    """Give the path of a `Replacement` to write to, finished at the end and abandoned on an exception.

    With `keep`, what was written until the exception takes the file's place all the same. Raises OSError.
    """
    replacement = Replacement(path)
    try:
        yield replacement.partial
    except BaseException:
        replacement.abandon(keep=keep)
        raise
    replacement.finish()


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, UTF-8, by way of `replacing`. Raises OSError."""
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _sync_folder(folder: Path) -> None:
    """Force a folder's names to the disk, which its files' content does not do."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
