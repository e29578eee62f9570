"""The image files of a folder, in order: one rule for tracking, evaluation and training."""

from __future__ import annotations

import os
import re
from pathlib import Path

from model.errors import ModelError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


class EmptyFileError(ModelError):
    """An image file of a folder has no bytes."""


def image_files(folder: Path) -> tuple[Path, ...]:
    """The JPEG, PNG and WebP files in `folder`, by their suffix in any case, in the natural order of their names.

    Names that begin with a dot are left out: macOS puts a companion `._NAME` beside a file on some disks. Raises
    EmptyFileError, naming the first one, where a file is empty: left out, it would shift every frame after it.
    """
    found: list[str] = []
    empty: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name) or not entry.name.lower().endswith(IMAGE_SUFFIXES) or not entry.is_file():
                continue
            found.append(entry.name)
            if entry.stat().st_size == 0:
                empty.append(entry.name)
    if empty:
        more = f", as are {len(empty) - 1} more" if len(empty) > 1 else ""
        raise EmptyFileError(f"{folder / min(empty, key=natural_key)}: the image file is empty (0 bytes){more}")
    return tuple(folder / name for name in sorted(found, key=natural_key))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of that name is none of a user's data: `._0001.jpg`, `.DS_Store`."""
    return name.startswith(".")


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts numbers inside names by their value: frame2 before frame10."""
    parts = re.findall(r"\d+|\D+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts)
