"""Fitting the score: from a peak's logit and contrast to the probability that the box is right.

Evidence comes from the corpus's ordered clips alone: the tracker follows each object through its clip, and then on
into another clip's frames, where the object is not. A logistic regression is fitted to "overlaps the truth by
IoU >= 0.5".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from model.boxes import Box, iou
from model.crops import Image
from model.errors import CorpusError
from model.inference import Predictor
from model.score_map import find_peak
from model.tracker import Calibration, conclude, search_regions, start
from model.tracker import Track as Target
from model.training.corpus import Corpus, Track

_ABSENT_FRAMES = 6
_RIDGE = 1e-2


@dataclass(frozen=True, slots=True)
class Evidence:
    """features: float64 [N, 2], logit and contrast of each peak; right: bool [N]; weights: float64 [N]."""

    features: NDArray[np.float64]
    right: NDArray[np.bool_]
    weights: NDArray[np.float64]


def gather(predictor: Predictor, corpus: Corpus, max_frames: int = 60) -> Evidence:
    """Track every ordered clip, at most `max_frames` frames each, and another clip's frames after it.

    A clip counts the same however long it is, a source as the square root of its clips. Raises CorpusError where the
    corpus has fewer than two ordered clips.
    """
    tracks = usable_tracks(corpus)
    sizes = Counter(track.source for track in tracks)
    if not can_calibrate(corpus):
        raise CorpusError("a calibration needs at least two ordered clips")
    rows: list[tuple[float, float, bool, float]] = []
    for index, track in enumerate(tracks):
        others = [other for other in tracks[index + 1 :] + tracks[:index] if _clip(other) != _clip(track)]
        # Another source's frames where there are any: clips of one source can show the same scene.
        stranger = next((other for other in others if other.source != track.source), others[0])
        found = list(_followed(predictor, corpus, track, stranger, max_frames))
        rows += [(*row, 1 / (len(found) * sizes[track.source] ** 0.5)) for row in found]
    table = np.array(rows, np.float64)
    return Evidence(table[:, :2], table[:, 2] > 0.5, table[:, 3])


def usable_tracks(corpus: Corpus) -> list[Track]:
    """The tracks that a calibration can follow: ordered, and shown in at least three frames."""
    return [track for track in corpus.tracks if track.ordered and len(track.present) >= 3]


def can_calibrate(corpus: Corpus) -> bool:
    """Whether there are two ordered clips at least."""
    return len({_clip(track) for track in usable_tracks(corpus)}) >= 2


def _clip(track: Track) -> tuple[str, str]:
    return track.source, track.clip


def _followed(
    predictor: Predictor, corpus: Corpus, track: Track, stranger: Track, max_frames: int
) -> Iterator[tuple[float, float, bool]]:
    weights = predictor.weights
    first = track.present[0]
    box = track.boxes[first]
    assert box is not None
    target, pixels = start(corpus.rgb(track.frames[first]), box, weights.network.config, weights.tracker)
    exemplar = predictor.embed(pixels[None])
    last = min(len(track.frames), first + max_frames)
    for index in range(first + 1, last):
        target, logit, contrast = _step(predictor, target, exemplar, corpus.rgb(track.frames[index]))
        yield logit, contrast, _is_right(target.box, track.boxes[index])
    for frame in stranger.frames[:_ABSENT_FRAMES]:
        target, logit, contrast = _step(predictor, target, exemplar, corpus.rgb(frame))
        yield logit, contrast, False


def _step(predictor: Predictor, target: Target, exemplar: Tensor, frame: Image) -> tuple[Target, float, float]:
    weights = predictor.weights
    network = weights.network.config
    search = search_regions(frame, target, network, weights.tracker)
    maps = predictor.respond(exemplar, search.crops[None])[0]
    peak = find_peak(maps, weights.tracker)
    size = frame.shape[1], frame.shape[0]
    moved = conclude(target, search, maps, size, network, weights.tracker, weights.calibration)
    return moved, peak.logit, peak.contrast


def _is_right(box: Box, truth: Box | None) -> bool:
    return truth is not None and float(iou(np.array(box.as_list()), np.array(truth.as_list()))) >= 0.5


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
    return Calibration(bias=float(coefficients[0] - slopes @ mean), logit=float(slopes[0]), contrast=float(slopes[1]))


def expected_calibration_error(scores: NDArray[np.float64], right: NDArray[np.bool_], bins: int = 10) -> float:
    """Mean distance of score and share of right boxes over equally wide bins of the score, weighted by their sizes."""
    index = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [
        abs(scores[index == each].mean() - right[index == each].mean()) * (index == each).mean()
        for each in range(bins)
        if (index == each).any()
    ]
    return float(sum(gaps))
