"""Fits the score of a weights file to rendered disappearances: `python -m benchmarks.fit_score IN OUT`.

For weights that were trained on every clip there is: fitted on those, the score would expect the strong answers that a
network gives to what it has seen. The scenes are those of `benchmarks/_disappearances.py`, of other seeds than
`benchmarks/lost.py` takes; their photographs are in no training corpus. Writes OUT, which differs from IN in the
score's constants alone, and prints them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks._disappearances import Case, case
from model.boxes import Box
from model.checkpoints import load_weights, save_weights
from model.evaluation.reliability import reliability
from model.inference import Predictor
from model.score_map import Peak
from model.training.calibration import Evidence, Reading, fit, readings

VISIBLE = 0.2
"""Visible share of the target from which it counts as there."""
RIGHT_SHARE = 0.85
"""Share of right boxes that the score expects unless told otherwise. In the scenes the target is away for longer than
in most streams, in which it is away now and then."""
LOST_BELOW = 0.5


def followed(predictor: Predictor, case: Case) -> list[Reading]:
    """A case's readings."""
    scene = case.scene
    truth = [
        Box(*map(float, row)) if visible > VISIBLE and np.isfinite(row).all() else None
        for row, visible in zip(scene.truth, scene.visible, strict=True)
    ]
    return list(readings(predictor, scene.frames, truth))


def main(arguments: list[str] | None = None) -> None:
    """Fit, write, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_score")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--cases", type=int, default=36)
    parser.add_argument("--right-share", type=float, default=RIGHT_SHARE, help="of boxes, as the score expects")
    parser.add_argument("--lost-below", type=float, default=LOST_BELOW, help="score under which a target is lost")
    chosen = parser.parse_args(arguments)
    weights = load_weights(chosen.source)
    predictor = Predictor(weights, runtime="auto")

    def runs() -> Iterator[tuple[list[Reading], float]]:
        for index in range(chosen.cases):
            one = case(chosen.seed, index)
            print(f"{index + 1}/{chosen.cases} {one.name}", file=sys.stderr)
            yield followed(predictor, one), 1.0

    evidence = Evidence.of(runs())
    fitted = fit(evidence.with_share(chosen.right_share))
    fitted = replace(
        fitted, lost_below=chosen.lost_below, uncertain_below=max(fitted.uncertain_below, chosen.lost_below)
    )
    save_weights(chosen.out, replace(weights, calibration=fitted))
    scores = np.array([fitted.score(Peak(0, 0, 0, logit, contrast)) for logit, contrast in evidence.features])
    told = reliability(scores, evidence.right)
    assert told is not None
    print(json.dumps({"calibration": asdict(fitted), "frames": told.frames, "ece": told.ece, "auroc": told.auroc}))


if __name__ == "__main__":
    main()
