"""Whether the tracker says that its target has gone, and finds it when it is back: rendered scenes with exact truth.

`python -m benchmarks.lost --seed 7 --cases 12 --weights F` runs other scenes, fewer, or other weights. What the numbers
mean is said at `Numbers`; the scenes are those of `benchmarks/_disappearances.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._disappearances import FULLY, KINDS, Case, cases
from benchmarks._machine import facts
from model.boxes import Box, iou
from model.checkpoints import find_weights, load_weights
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker
from model.tracker import Track

LOST_WITHIN = 10
BACK_WITHIN = 15


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case. Frames are counted from the event's own, which is the first.

    lost_after: frames from the target's vanishing until the status was `lost`, while it was away; None: never.
    back_after: frames from its return until a box overlapped it by IoU >= 0.5; None: never. held: whether the last
    frame's did. away, lost_away: frames without the target, and how many of them said `lost`. there, false_lost:
    frames that showed all of it, and how many of them said `lost`. on_target, false_lost_on_target: the same of those
    whose box overlapped it by IoU >= 0.5.
    """

    kind: str
    lost_after: int | None
    back_after: int | None
    held: bool
    away: int
    lost_away: int
    there: int
    false_lost: int
    on_target: int
    false_lost_on_target: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """Figures over several outcomes.

    lost_in_time: share of cases with status `lost` within LOST_WITHIN frames of vanishing.
    back_in_time: share with IoU >= 0.5 within BACK_WITHIN frames of the return. held: share with it in the last frame.
    lost_while_away: share of the frames without the target that say `lost`. false_lost: share of the frames that show
    the whole target and say `lost`. false_lost_on_target: the same share, among frames whose box is right.
    """

    cases: int
    lost_in_time: float
    back_in_time: float
    held: float
    lost_while_away: float
    false_lost: float
    false_lost_on_target: float


def run(seed: int = 0, count: int = 48, weights: Path | None = None) -> dict[str, Any]:
    """The numbers over `count` cases of a seed, by kind and over all; a table of them goes to stderr."""
    machine = facts()
    predictor = load_predictor(load_weights(find_weights(weights)))
    outcomes = []
    for index, case in enumerate(cases(seed, count), 1):
        outcomes.append(outcome(case, follow(case, predictor)))
        print(f"\r{index} of {count} scenes", end="", file=sys.stderr, flush=True)
    rows = {kind: [each for each in outcomes if each.kind == kind] for kind in KINDS}
    numbers = {name: summed(each) for name, each in {**rows, "all": outcomes}.items() if each}
    print("\r" + table(numbers), file=sys.stderr)
    return {
        "machine": machine,
        "weights": predictor.weights.sha256,
        "precision": predictor.precision,
        "seed": seed,
        "numbers": {name: asdict(each) for name, each in numbers.items()},
    }


def follow(case: Case, predictor: Predictor) -> list[Track]:
    """The track after every frame, the first included."""
    tracker = SingleTracker(predictor)
    first = tracker.start(case.scene.frames[0], Box(*case.scene.truth[0].tolist()))
    return [first, *(tracker.update(frame) for frame in case.scene.frames[1:])]


def outcome(case: Case, tracks: Sequence[Track]) -> Outcome:
    """The outcome of a case, from the track after each of its frames."""
    lost = np.array([track.status == "lost" for track in tracks])
    boxes = np.array([track.box.as_list() for track in tracks])
    right = np.nan_to_num(iou(boxes, case.scene.truth), nan=0.0) >= 0.5
    away = case.scene.visible == 0
    there = case.scene.visible >= FULLY
    there[0] = False  # the given box
    return Outcome(
        kind=case.kind,
        lost_after=_first(lost[away]),
        back_after=_first(right[case.returned :]),
        held=bool(right[-1]),
        away=int(away.sum()),
        lost_away=int(lost[away].sum()),
        there=int(there.sum()),
        false_lost=int(lost[there].sum()),
        on_target=int((there & right).sum()),
        false_lost_on_target=int(lost[there & right].sum()),
    )


def summed(outcomes: Sequence[Outcome]) -> Numbers:
    """The numbers of some outcomes; there must be one at least."""
    return Numbers(
        cases=len(outcomes),
        lost_in_time=_share(each.lost_after is not None and each.lost_after < LOST_WITHIN for each in outcomes),
        back_in_time=_share(each.back_after is not None and each.back_after < BACK_WITHIN for each in outcomes),
        held=_share(each.held for each in outcomes),
        lost_while_away=sum(each.lost_away for each in outcomes) / sum(each.away for each in outcomes),
        false_lost=sum(each.false_lost for each in outcomes) / sum(each.there for each in outcomes),
        false_lost_on_target=sum(each.false_lost_on_target for each in outcomes)
        / max(sum(each.on_target for each in outcomes), 1),
    )


def table(numbers: dict[str, Numbers]) -> str:
    """A line a kind of case."""
    columns = [name for name in Numbers.__slots__ if name != "cases"]
    lines = ["  ".join(["scenes".ljust(12), "cases", *(column.rjust(5) for column in columns)])]
    for name, each in numbers.items():
        values = [f"{getattr(each, column):{max(len(column), 5)}.3f}" for column in columns]
        lines.append("  ".join([name.ljust(12), f"{each.cases:5d}", *values]))
    return "\n".join(lines)


def _first(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int | None:
    return int(flags.argmax()) if flags.any() else None


def _share(flags: Iterable[bool]) -> float:
    return float(np.mean(list(flags)))


def main() -> None:
    """The numbers as JSON on stdout."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lost", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=48)
    parser.add_argument("--weights", type=Path)
    given = parser.parse_args()
    if given.seed < 0 or given.cases < 1:
        parser.error("--seed is 0 or more, --cases 1 or more")
    print(json.dumps({"lost": run(given.seed, given.cases, given.weights)}, indent=2))


if __name__ == "__main__":
    main()
