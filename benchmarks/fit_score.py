"""Fits the score of a weights file to rendered disappearances: `python -m benchmarks.fit_score IN OUT`.

For weights that were trained on every clip there is: fitted on those, the score would expect the strong answers that a
network gives to what it has seen. The scenes are those of `benchmarks/_disappearances.py`, of other seeds than
`benchmarks/lost.py` takes; their photographs are in no training corpus. Writes OUT, which differs from IN in the
score's constants and thresholds alone, and prints them.
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
from model.box_reading import BoxReading
from model.boxes import Box
from model.calibration import Calibration
from model.checkpoints import Weights, find_weights, load_weights, save_weights
from model.config import TrackerConfig
from model.errors import ConfigError
from model.evaluation.reliability import reliability
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.score_map import Peak
from model.training.calibration import Evidence, Reading, fit, readings

VISIBLE = 0.2
"""Visible share of the target from which it counts as there."""
RIGHT_SHARE = 0.85
"""Share of right boxes that the score expects unless told otherwise. In the scenes the target is away for longer than
in most streams, in which it is away now and then."""
LOST_BELOW, UNCERTAIN_BELOW, REDETECT_SCORE = 0.5, 0.7, 0.85


def followed(predictor: Predictor, case: Case) -> list[Reading]:
    """A case's readings."""
    scene = case.scene
    truth = [
        Box(*map(float, row)) if visible > VISIBLE and np.isfinite(row).all() else None
        for row, visible in zip(scene.truth, scene.visible, strict=True)
    ]
    return list(readings(predictor, scene.frames, truth))


def scored(weights: Weights, evidence: Evidence, chosen: argparse.Namespace) -> Weights:
    """The weights with a score fitted to the evidence and the thresholds that were chosen.

    Raises ValueError for a share that cannot be had, ConfigError for thresholds that contradict one another.
    """
    fitted = replace(
        fit(evidence.with_share(chosen.right_share)),
        lost_below=chosen.lost_below,
        uncertain_below=chosen.uncertain_below,
    )
    return replace(
        weights, calibration=fitted, constants=replace(weights.constants, redetect_score=chosen.redetect_score)
    )


def _parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit_score")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--cases", type=int, default=36)
    parser.add_argument("--right-share", type=float, default=RIGHT_SHARE, help="of boxes, as the score expects")
    for name, default, what in (
        ("--lost-below", LOST_BELOW, "score under which a target is lost"),
        ("--uncertain-below", UNCERTAIN_BELOW, "score under which it is uncertain"),
        ("--redetect-score", REDETECT_SCORE, "score from which a lost target is believed to be elsewhere"),
    ):
        parser.add_argument(name, type=float, default=default, help=what)
    chosen = parser.parse_args(arguments)
    try:
        # Before the minutes that following takes.
        Calibration(lost_below=chosen.lost_below, uncertain_below=chosen.uncertain_below)
        TrackerConfig(redetect_score=chosen.redetect_score)
    except ConfigError as error:
        parser.error(str(error))
    if not 0 < chosen.right_share < 1:
        parser.error(f"--right-share must lie in (0, 1), not {chosen.right_share}")
    if chosen.cases < 1 or chosen.seed < 0:
        parser.error("--cases is 1 or more, --seed 0 or more")
    return chosen


def _peak(logit: float, contrast: float, quality: float) -> Peak:
    return Peak(0, 0, 0, logit, contrast, box=BoxReading(0, 0, 1, 1, quality))


def main(arguments: list[str] | None = None) -> None:
    """Fit, write, print."""
    chosen = _parsed(arguments)
    weights = load_weights(find_weights(chosen.source))
    predictor = load_predictor(weights, runtime="auto")

    def runs() -> Iterator[tuple[list[Reading], float]]:
        for index in range(chosen.cases):
            one = case(chosen.seed, index)
            print(f"{index + 1}/{chosen.cases} {one.name}", file=sys.stderr)
            yield followed(predictor, one), 1.0

    evidence = Evidence.of(runs())
    written = scored(weights, evidence, chosen)
    save_weights(chosen.out, written)
    fitted = written.calibration
    scores = np.array([fitted.score(_peak(*features)) for features in evidence.features])
    told = reliability(scores, evidence.right)
    assert told is not None
    print(json.dumps({"calibration": asdict(fitted), "frames": told.frames, "ece": told.ece, "auroc": told.auroc}))


if __name__ == "__main__":
    main()
