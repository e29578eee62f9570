"""Fitting the score: from a peak's logit, contrast and quality to the probability that the box is right.

The tracker follows an object through its clip, and then on into another clip's frames, where the object is absent. A
logistic regression is fitted to "overlaps the truth by IoU >= 0.5". The clips should not be the network's training
clips: it responds more strongly to objects it has seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.arrays import RgbImage
from model.boxes import Box, iou
from model.calibration import Calibration
from model.data.corpus import Corpus, Track
from model.errors import CorpusError
from model.frames import Frame
from model.inference.predictor import Predictor
from model.inference.single import start, update

_ABSENT_FRAMES = 6
_ABSENT_SHARE = 0.1
"""Weight of a run's frames without the target: in a stream a target is absent now and then, not every other frame."""
_RIDGE = 1e-2


@dataclass(frozen=True, slots=True)
class Reading:
    """One frame: its peak's logit and contrast, whether the box was right, and whether the target was present.

    quality: the logit that a box head reads at the peak; 0 without one.
    """

    logit: float
    contrast: float
    right: bool
    present: bool
    quality: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """features: float64 [N, 3], logit, contrast and quality of each peak, or the first two alone; right: bool [N].

    weights: float64 [N].
    """

    features: NDArray[np.float64]
    right: NDArray[np.bool_]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, runs: Iterable[tuple[Sequence[Reading], float]]) -> Evidence:
        """The evidence of weighted runs. Frames with the target share one part of the weight, the others the rest."""
        rows = []
        for readings, weight in runs:
            counts = Counter(reading.present for reading in readings)
            shares = {True: 1 - _ABSENT_SHARE, False: _ABSENT_SHARE} if len(counts) == 2 else dict.fromkeys(counts, 1.0)
            for each in readings:
                part = weight * shares[each.present] / counts[each.present]
                rows.append((each.logit, each.contrast, each.quality, each.right, part))
        table = np.array(rows, np.float64)
        return cls(table[:, :3], table[:, 3] > 0.5, table[:, 4])

    def with_share(self, right: float) -> Evidence:
        """The evidence, weighted so that this share of it is right: the score's prior.

        Raises ValueError unless there are right and wrong boxes, and 0 < `right` < 1.
        """
        if not 0 < right < 1 or self.right.all() or not self.right.any():
            raise ValueError(f"no share of {right} right boxes can be had from {self.right.sum()} of {len(self.right)}")
        share = self.weights[self.right].sum() / self.weights.sum()
        factors = np.where(self.right, right / share, (1 - right) / (1 - share))
        return replace(self, weights=self.weights * factors)


def gather(predictor: Predictor, corpus: Corpus, tracks: Sequence[Track], max_frames: int = 60) -> Evidence:
    """Follow every ordered track of `tracks`, at most `max_frames` frames each, and into another clip after it.

    A track's weight does not depend on its length; a source's is the square root of its number of tracks. Raises
    CorpusError where there are fewer than two ordered clips.
    """
    usable = usable_tracks(tracks)
    sizes = Counter(track.source for track in usable)
    if not can_calibrate(usable):
        raise CorpusError("a calibration needs at least two ordered clips")

    def runs() -> Iterator[tuple[list[Reading], float]]:
        for index, track in enumerate(usable):
            others = [other for other in usable[index + 1 :] + usable[:index] if _clip(other) != _clip(track)]
            # Preferably another source's frames: clips of one source can show the same scene.
            stranger = next((other for other in others if other.source != track.source), others[0])
            yield list(_followed(predictor, corpus, track, stranger, max_frames)), 1 / sizes[track.source] ** 0.5

    return Evidence.of(runs())


def usable_tracks(tracks: Iterable[Track]) -> list[Track]:
    """The tracks that a calibration can follow: ordered, and shown in at least three frames."""
    return [track for track in tracks if track.ordered and len(track.present) >= 3]


def can_calibrate(tracks: Iterable[Track]) -> bool:
    """Whether at least two ordered clips are among the tracks."""
    return len({_clip(track) for track in usable_tracks(tracks)}) >= 2


def _clip(track: Track) -> tuple[str, str]:
    return track.source, track.clip


def _followed(
    predictor: Predictor, corpus: Corpus, track: Track, stranger: Track, max_frames: int
) -> Iterator[Reading]:
    first = track.present[0]
    last = min(len(track.frames), first + max_frames)
    frames = [*track.frames[first:last], *stranger.frames[:_ABSENT_FRAMES]]
    truth = [*track.boxes[first:last], *[None] * _ABSENT_FRAMES]
    return readings(predictor, (corpus.rgb(frame) for frame in frames), truth)


def readings(predictor: Predictor, frames: Iterable[RgbImage], truth: Sequence[Box | None]) -> Iterator[Reading]:
    """One reading a frame after the first, which shows the target; `truth` is None where a frame does not.

    The target never counts as lost on the way, because the score that would say so is still to be fitted.
    """
    tracker = predictor.tracker
    images = map(Frame.whole, frames)
    box = truth[0]
    assert box is not None
    target, exemplar = start(predictor, tracker, next(images), box)
    for frame, there in zip(images, truth[1:], strict=False):
        done = update(predictor, tracker, replace(target, status="tracking"), exemplar, frame)
        target = done.track
        right = there is not None and float(iou(np.array(target.box.as_list()), np.array(there.as_list()))) >= 0.5
        quality = 0.0 if done.peak.box is None else done.peak.box.quality
        yield Reading(done.peak.logit, done.peak.contrast, right, there is not None, quality)


def fit(evidence: Evidence, steps: int = 50) -> Calibration:
    """The logistic regression of the evidence, by Newton's method with a small ridge."""
    mean, spread = evidence.features.mean(0), evidence.features.std(0) + 1e-9
    x = np.column_stack([np.ones(len(evidence.right)), (evidence.features - mean) / spread])
    weights = evidence.weights / evidence.weights.sum()
    coefficients = np.zeros(x.shape[1])
    for _ in range(steps):
        probability = 1 / (1 + np.exp(-np.clip(x @ coefficients, -30, 30)))
        gradient = x.T @ (weights * (probability - evidence.right)) + _RIDGE * coefficients
        curvature = (x.T * (weights * probability * (1 - probability))) @ x + _RIDGE * np.eye(x.shape[1])
        coefficients -= np.linalg.solve(curvature, gradient)
    slopes = coefficients[1:] / spread
    return Calibration(float(coefficients[0] - slopes @ mean), *map(float, slopes))
