"""Measures candidates at start, on a rendered sequence: their speed, and their boxes against those of fp32.

The pictures are seeded noise, so that none need ship with the package.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from model.arrays import Float32, RgbImage
from model.boxes import Box
from model.data.rendered import Place, Scene, along, render
from model.inference.choice import REFERENCE, Candidate, Measured
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker

_log = logging.getLogger(__name__)

BUDGET_S = 1.5
"""Seconds after which no further turn begins; the first turn always runs."""
TURNS, FRAMES_A_TURN = 3, 3


def scene(frames: int = TURNS * FRAMES_A_TURN + 1) -> Scene:
    """A mottled square that moves and grows over a mottled ground of other colours."""
    path = along(lambda t: Place(130 + 40 * t, 110 + 24 * np.sin(3 * t), 1 + 0.15 * t), frames)
    return render(_mottled(320, 240, 1), _mottled(56, 64, 2), path)


def measure(
    chosen_from: Sequence[Candidate],
    make: Callable[[Candidate], Predictor],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Measured, ...]:
    """Every candidate's time (the best frame's) and drift over `scene`, in the order given.

    Candidates take turns of a few frames, so that a busy moment of the machine falls on several of them, and the last
    candidate's threads have gone to sleep by the end of a turn. A candidate that cannot be made, or fails, has an
    infinite drift. Raises an error of the reference's.
    """
    sequence = scene()
    runners = [_Runner(each, make, sequence, clock) for each in dict.fromkeys((REFERENCE, *chosen_from))]
    begun = clock()
    for at in range(1, len(sequence.frames), FRAMES_A_TURN):
        if at > 1 and clock() - begun > BUDGET_S:
            break
        for runner in runners:
            for frame in sequence.frames[at : at + FRAMES_A_TURN]:
                runner.follow(frame)
    by_candidate = {runner.candidate: runner.measured(runners[0]) for runner in runners}
    return tuple(by_candidate[each] for each in chosen_from)


class _Runner:
    """One candidate: its tracker, boxes and times."""

    def __init__(
        self,
        candidate: Candidate,
        make: Callable[[Candidate], Predictor],
        sequence: Scene,
        clock: Callable[[], float],
    ) -> None:
        self.candidate = candidate
        self._clock = clock
        self._boxes: list[list[float]] = []
        self._taken: list[float] = []
        self._tracker: SingleTracker | None = None
        try:
            predictor = make(candidate)
            predictor.warm_up()
            tracker = SingleTracker(predictor)
            tracker.start(sequence.frames[0], Box(*sequence.truth[0].tolist()))
            self._tracker = tracker
        except Exception:
            self._failed()

    def follow(self, frame: RgbImage) -> None:
        """The next frame."""
        if self._tracker is None:
            return
        begun = self._clock()
        try:
            box = self._tracker.update(frame).box
        except Exception:
            self._failed()
            return
        self._taken.append(self._clock() - begun)
        self._boxes.append(box.as_list())

    def measured(self, reference: _Runner) -> Measured:
        """Its time and its drift from the reference's boxes."""
        if self._tracker is None:
            return Measured(self.candidate, float("inf"), float("inf"))
        return Measured(self.candidate, 1e3 * min(self._taken), drift(self._boxes, reference._boxes))

    def _failed(self) -> None:
        if self.candidate == REFERENCE:
            raise  # noqa: PLE0704 - only called while an exception is handled
        # The other candidates may work.
        _log.warning("%s does not run here", self.candidate, exc_info=True)
        self._tracker = None


def drift(boxes: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]) -> float:
    """Mean over the frames of the greatest difference in x, y, w and h, in pixels; boxes are [N, 4]."""
    return float(np.abs(np.array(boxes) - np.array(reference)).max(axis=1).mean())


def _mottled(width: int, height: int, seed: int) -> RgbImage:
    """Noise of several coarsenesses, the coarse ones strongest as in photographs, uint8 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    total: Float32 = np.zeros((height, width, 3), np.float32)
    for cells in (3, 6, 12, 24):
        noise = rng.normal(0, 1, (cells, cells, 3)).astype(np.float32)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) / np.sqrt(cells)
    return np.asarray(np.clip(128 + 70 * total / total.std(), 0, 255), np.uint8)
