"""One-pass evaluation: start at the first frame that shows the target, follow it to the end, never start again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from model.arrays import Float64
from model.boxes import Box
from model.data.sequences import Sequence
from model.errors import InvalidBoxError, SequenceError
from model.evaluation.metrics import SequenceScore, mean_score, score
from model.evaluation.reliability import Reliability, judged, reliability
from model.image_sizes import image_size


@dataclass(frozen=True, slots=True)
class Found:
    """A follower's result in a frame: the target's box, and its score, 0..1, if it gives one."""

    box: Box
    score: float | None = None


class Follower(Protocol):
    """Anything that follows one target: in process, through a server, or another library's tracker."""

    def start(self, frame: Path, box: Box) -> None:
        """Follow what `box` shows in the image file `frame` from now on."""

    def update(self, frame: Path) -> Found:
        """Where the target is in the next image file."""


OnFrame = Callable[[str, int, int], None]
"""Called after every frame with the sequence's name, how many of its frames are done, and how many it has."""


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """One sequence followed, N frames; all nan before the start.

    boxes: float64 [N, 4], the given one first. scores: float64 [N], 0..1, nan for the first and where the follower
    gives none. times: float64 [N], seconds spent in the follower, reading and decoding the image included.
    """

    sequence: Sequence
    boxes: Float64
    scores: Float64
    times: Float64

    @property
    def score(self) -> SequenceScore:
        """The sequence's numbers. Raises SequenceError where it has no truth to score against."""
        return score(self.boxes, self.sequence.truth)

    @property
    def fps(self) -> float:
        """Updates a second, the start not counted."""
        updates = self.times[self.sequence.first + 1 :]
        return len(updates) / max(float(updates.sum()), 1e-9)

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

    def reliability(self) -> Reliability | None:
        """The scores' reliability over the frames of all sequences; None for a follower without scores."""
        pairs = [judged(run.boxes, run.scores, run.sequence.truth) for run in self.runs]
        return reliability(np.concatenate([each[0] for each in pairs]), np.concatenate([each[1] for each in pairs]))

    def as_json(self, boxes: bool = False) -> dict[str, Any]:
        """Plain values: `{"mean": {...}, "calibration": {...}, "sequences": {name: {...}}}`.

        The mean has `ece` and `auroc` too, which are over all frames; null, as is the calibration, where the follower
        gives no score. With `boxes`, every sequence also has `"boxes"` and `"scores"`: one `[x, y, w, h]` and one
        score a frame, null where there is none.
        """
        worth = self.reliability()
        sequences: dict[str, dict[str, Any]] = {}
        for run in self.runs:
            entry: dict[str, Any] = dict(run.numbers())
            if boxes:
                entry["boxes"] = [None if np.isnan(row).any() else row.tolist() for row in run.boxes]
                entry["scores"] = [None if math.isnan(value) else value for value in run.scores.tolist()]
            sequences[run.sequence.name] = entry
        return {
            "mean": {
                **self.mean(),
                "ece": worth.ece if worth else None,
                "auroc": worth.auroc if worth else None,
            },
            "calibration": worth.as_json() if worth else None,
            "sequences": sequences,
        }

    def table(self) -> str:
        """The report as plain text: one line a sequence, the mean below, and the scores' reliability."""
        rows = [(run.sequence.name, run.numbers()) for run in self.runs]
        rows.append((f"mean of {len(self.runs)}", self.mean()))
        width = max(len(name) for name, _ in rows)
        columns = list(rows[0][1])
        lines = [" ".join(["sequence".ljust(width), *(f"{column:>12}" for column in columns)])]
        for name, numbers in rows:
            digits = (1 if column == "fps" else 3 for column in columns)
            values = [f"{numbers[column]:12.{n}f}" for column, n in zip(columns, digits, strict=True)]
            lines.append(" ".join([name.ljust(width), *values]))
        worth = self.reliability()
        if worth is not None:
            auroc = "undefined" if worth.auroc is None else f"{worth.auroc:.3f}"
            lines.append(f"score: calibration error {worth.ece:.3f}, AUROC {auroc}, over {worth.frames} frames")
        return "\n".join(lines)


def evaluate(
    sequences: SequenceOf[Sequence], make_follower: Callable[[], Follower], on_frame: OnFrame | None = None
) -> Report:
    """Follow every sequence once, each with a new follower. Raises SequenceError where there is no sequence."""
    if not sequences:
        raise SequenceError("no sequence to evaluate")
    return Report(tuple(follow(sequence, make_follower(), on_frame) for sequence in sequences))


def check(sequence: Sequence) -> None:
    """Hold a sequence against the service's rules, whoever follows it. By the images' headers.

    The first box must be at least a pixel wide and high and overlap its frame; all frames must have one size. Raises
    SequenceError, naming the sequence and the file. What cannot be told is left to the follower.
    """
    first = sequence.first
    size: tuple[int, int] | None = None
    for frame in sequence.frames[first:]:
        own = _size(frame)
        if own is not None and size is not None and own != size:
            raise SequenceError(
                f"{sequence.name}: {frame} is {own[0]} x {own[1]}, the frames before it {size[0]} x {size[1]}"
            )
        size = size or own
    if size is not None:
        try:
            Box.checked(sequence.truth[first].tolist(), size)
        except InvalidBoxError as error:
            raise SequenceError(f"{sequence.name}: {_truth_of(sequence)}, frame {first + 1}: {error}") from None


def _size(frame: Path) -> tuple[int, int] | None:
    try:
        return image_size(frame)
    except OSError:
        return None


def _truth_of(sequence: Sequence) -> str:
    return str(sequence.truth_files[0]) if sequence.truth_files else "the first box"


def follow(sequence: Sequence, follower: Follower, on_frame: OnFrame | None = None) -> Run:
    """Follow one sequence from its first frame that shows the target.

    Raises SequenceError, before the follower is asked, for what `check` refuses; and what the follower raises.
    """
    check(sequence)
    first, total = sequence.first, len(sequence.frames)
    boxes, scores, times = np.full((total, 4), np.nan), np.full(total, np.nan), np.full(total, np.nan)
    boxes[first] = sequence.truth[first]
    began = time.perf_counter()
    follower.start(sequence.frames[first], Box(*sequence.truth[first].tolist()))
    times[first] = time.perf_counter() - began
    if on_frame is not None:
        on_frame(sequence.name, first + 1, total)
    for index in range(first + 1, total):
        began = time.perf_counter()
        found = follower.update(sequence.frames[index])
        times[index] = time.perf_counter() - began
        boxes[index] = found.box.as_list()
        scores[index] = math.nan if found.score is None else found.score
        if on_frame is not None:
            on_frame(sequence.name, index + 1, total)
    return Run(sequence, boxes, scores, times)
