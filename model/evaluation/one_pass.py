"""One-pass evaluation: start at the first frame that shows the target, follow it to the end, never start again."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from model.boxes import Box, FloatArray
from model.evaluation.metrics import SequenceScore, mean_score, score
from model.evaluation.sequences import Sequence


class Follower(Protocol):
    """Anything that follows one target: in process, or through a server."""

    def start(self, frame: Path, box: Box) -> None:
        """Follow what `box` shows in the image file `frame` from now on."""

    def update(self, frame: Path) -> Box:
        """Where the target is in the next image file."""


OnFrame = Callable[[str, int, int], None]
"""Called after every frame with the sequence's name, how many of its frames are done, and how many it has."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One sequence followed: boxes float64 [N, 4] (the given one first; nan before the start) and their score.

    seconds: spent in the follower's updates, `updates` of them; reading and decoding the images included.
    """

    sequence: Sequence
    boxes: FloatArray
    score: SequenceScore
    seconds: float
    updates: int

    @property
    def fps(self) -> float:
        """Updates a second: their number over the sum of their times."""
        return self.updates / max(self.seconds, 1e-9)

    def numbers(self) -> dict[str, float]:
        """The score and the speed by name, as the report has them."""
        return {**asdict(self.score), "fps": self.fps}


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """All sequences' runs."""

    runs: tuple[Run, ...]

    def mean(self) -> dict[str, float]:
        """The mean over sequences of every number, `fps` among them."""
        return {
            **asdict(mean_score([run.score for run in self.runs])),
            "fps": float(np.mean([run.fps for run in self.runs])),
        }

    def as_json(self, boxes: bool = False) -> dict[str, Any]:
        """Plain values: `{"mean": {...}, "sequences": {name: {...}}}`.

        With `boxes`, every sequence also has `"boxes"`: one `[x, y, w, h]` a frame, null before the start.
        """
        sequences: dict[str, dict[str, Any]] = {}
        for run in self.runs:
            sequences[run.sequence.name] = dict(run.numbers())
            if boxes:
                rows = [None if np.isnan(row).any() else row.tolist() for row in run.boxes]
                sequences[run.sequence.name]["boxes"] = rows
        return {"mean": self.mean(), "sequences": sequences}

    def table(self) -> str:
        """The same as plain text, one line a sequence and the mean below."""
        rows = [(run.sequence.name, run.numbers()) for run in self.runs]
        rows.append((f"mean of {len(self.runs)}", self.mean()))
        width = max(len(name) for name, _ in rows)
        columns = list(rows[0][1])
        lines = [" ".join(["sequence".ljust(width), *(f"{column:>12}" for column in columns)])]
        for name, numbers in rows:
            digits = (1 if column == "fps" else 3 for column in columns)
            values = [f"{numbers[column]:12.{n}f}" for column, n in zip(columns, digits, strict=True)]
            lines.append(" ".join([name.ljust(width), *values]))
        return "\n".join(lines)


def evaluate(
    sequences: SequenceOf[Sequence], make_follower: Callable[[], Follower], on_frame: OnFrame | None = None
) -> Report:
    """Follow every sequence once, each with a new follower. Raises SequenceError where there is no sequence."""
    runs = tuple(follow(sequence, make_follower(), on_frame) for sequence in sequences)
    mean_score([run.score for run in runs])
    return Report(runs)


def follow(sequence: Sequence, follower: Follower, on_frame: OnFrame | None = None) -> Run:
    """Follow one sequence from its first frame that shows the target."""
    first, total = sequence.first, len(sequence.frames)
    boxes = np.full((total, 4), np.nan)
    boxes[first] = sequence.truth[first]
    follower.start(sequence.frames[first], Box(*sequence.truth[first].tolist()))
    if on_frame is not None:
        on_frame(sequence.name, first + 1, total)
    seconds = 0.0
    for index in range(first + 1, total):
        began = time.perf_counter()
        box = follower.update(sequence.frames[index])
        seconds += time.perf_counter() - began
        boxes[index] = box.as_list()
        if on_frame is not None:
            on_frame(sequence.name, index + 1, total)
    return Run(sequence, boxes, score(boxes, sequence.truth), seconds, total - first - 1)
