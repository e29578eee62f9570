"""What a format's writer is, and the words and numbers that formats share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from siamfc.client.results import Target

NAMELESS = "target"


@dataclass(frozen=True, slots=True)
class Clip:
    """The source of the frames. size: width and height, pixels."""

    name: str
    size: tuple[int, int]


class Writer(Protocol):
    """Writes one clip's results. Frames come in order; frames may be missing."""

    def write(self, frame_index: int, targets: Sequence[Target]) -> None:
        """One frame, numbered from 0, and its targets."""

    def close(self) -> None:
        """The end: writes what could not be written before. Leaves the file open."""


class Numbers:
    """A number from 1 for every target, in the order in which they came."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def of(self, key: str) -> int:
        """The number of the target, or of another word that is counted."""
        return self._numbers.setdefault(key, len(self._numbers) + 1)

    def words(self) -> list[str]:
        """All words, by number."""
        return list(self._numbers)


def label_of(target: Target) -> str:
    """The class of the object: the target's id where it is a name; a server's own ids, "0", "1", are none."""
    return NAMELESS if target.id.isdecimal() else target.id


def rounded(*values: float) -> list[float]:
    """The numbers with two decimals, which is finer than any box is known."""
    return [round(value, 2) for value in values]
