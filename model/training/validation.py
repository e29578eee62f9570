"""Validation on clips that are held out: the reference's two metrics over pairs, and real tracking.

A pair is cut as the reference validates (rafellerc/Pytorch-SiamFC): exemplar and search region both around the
target, no shift, nothing varied, at most `max_gap` frames apart. Pairs are the same in every validation of a run and
are drawn like training's, by source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.arrays import RgbImage
from model.boxes import Box, iou
from model.checkpoints import Weights
from model.config import NetworkConfig
from model.crops import Region, context_side, crop, mean_colour
from model.data.corpus import Corpus
from model.data.records import Member, Track
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker
from model.labels import create_bce_logit_label
from model.score_map import upscale
from model.training.config import TrainingConfig
from model.training.pairs import Sources

_AT_ONCE = 8
_CLIPS, _FRAMES = 8, 20


@dataclass(frozen=True, slots=True)
class Validation:
    """One validation's numbers; `overlap` is None if no clip was tracked.

    auc: area under the ROC curve over all labelled cells of the pairs' maps. error_px: mean distance, in pixels of
    the search region, of the upscaled map's peak from the target. overlap: mean IoU of tracking through clips.
    """

    step: int
    auc: float
    error_px: float
    overlap: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """exemplars: uint8 [N, 127, 127, 3]; searches: uint8 [N, 255, 255, 3]; RGB, the target in the middle of both."""

    exemplars: NDArray[np.uint8]
    searches: NDArray[np.uint8]


class Validator:
    """The held-out clips of a run, and the pairs cut from them."""

    def __init__(self, corpus: Corpus, held: Sequence[Track], network: NetworkConfig, config: TrainingConfig) -> None:
        self._corpus, self._config = corpus, config
        self._clips = _chosen([track for track in held if track.ordered and len(track.present) >= 2])
        self.pairs = _cut(corpus, self._clips, network, config) if self._clips else None

    def __bool__(self) -> bool:
        return self.pairs is not None

    def __call__(self, weights: Weights, step: int, device: str, *, track: bool) -> Validation:
        """Measure the network on pairs and, with `track`, on clips. Call it only if there are clips: see `bool`."""
        assert self.pairs is not None
        predictor = load_predictor(weights, device=device, precision="fp32")
        maps = responses(predictor, self.pairs)
        label = create_bce_logit_label(
            maps.shape[-1], self._config.positive_px, self._config.negative_px, weights.network.config.stride
        )
        overlap = self._track(predictor) if track else None
        error = peak_errors(maps, weights.network.config.stride).mean()
        return Validation(step, round(area_under_roc(maps, label), 5), round(float(error), 3), overlap)

    def example(self, weights: Weights, device: str, index: int = 0) -> tuple[RgbImage, RgbImage, NDArray[np.float32]]:
        """A pair's exemplar, search region and map (logits float32 [S, S]), for a picture."""
        assert self.pairs is not None
        one = Pairs(self.pairs.exemplars[index : index + 1], self.pairs.searches[index : index + 1])
        maps = responses(load_predictor(weights, device=device, precision="fp32"), one)
        return one.exemplars[0], one.searches[0], maps[0]

    def _track(self, predictor: Predictor) -> float:
        overlaps = [_followed(predictor, self._corpus, track) for track in _by_source(self._clips)[:_CLIPS]]
        return round(float(np.mean(overlaps)), 4)


def responses(predictor: Predictor, pairs: Pairs) -> NDArray[np.float32]:
    """Correlation maps of the pairs, logits float32 [N, S, S]."""
    found = []
    for start in range(0, len(pairs.exemplars), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        exemplars = predictor.embed(pairs.exemplars[part])
        found.append(predictor.maps(exemplars, pairs.searches[part][:, None])[:, 0])
    return np.concatenate(found)


def area_under_roc(maps: NDArray[np.float32], label: NDArray[np.float32]) -> float:
    """ROC AUC of the maps' [N, S, S] labelled cells; label: [S, S, 2] as of `create_bce_logit_label`.

    The chance that a positive cell of any pair is above a negative one of any pair, ties counting half.
    """
    positive = np.broadcast_to((label[..., 0] > 0) & (label[..., 1] > 0), maps.shape)
    negative = np.broadcast_to((label[..., 0] == 0) & (label[..., 1] > 0), maps.shape)
    high, low = maps[positive], np.sort(maps[negative])
    below = np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")
    return float(below.mean() / (2 * len(low)))


def peak_errors(maps: NDArray[np.float32], stride: int) -> NDArray[np.float64]:
    """Distance in search-region pixels, float64 [N], of the peaks of maps [N, S, S] from the middle.

    The maps are upscaled as the tracker does, to a value a pixel.
    """
    large = upscale(maps, stride)
    side = large.shape[-1]
    rows, columns = np.divmod(large.reshape(len(large), -1).argmax(1), side)
    return np.asarray(np.hypot(rows - (side - 1) / 2, columns - (side - 1) / 2))


def _chosen(tracks: list[Track]) -> list[Track]:
    """The first track of every clip."""
    return list({(track.source, track.clip): track for track in reversed(tracks)}.values())[::-1]


def _by_source(tracks: list[Track]) -> list[Track]:
    """The tracks, every source's first before any source's second."""
    seen: dict[str, int] = {}
    ranked = []
    for track in tracks:
        seen[track.source] = seen.get(track.source, 0) + 1
        ranked.append((seen[track.source], track))
    return [track for _, track in sorted(ranked, key=lambda each: each[0])]


def _cut(corpus: Corpus, clips: list[Track], network: NetworkConfig, config: TrainingConfig) -> Pairs:
    rng = np.random.default_rng(0)
    sources = Sources(clips, {})
    exemplars, searches = [], []
    for _ in range(config.validation_pairs):
        track = sources.draw(rng)
        first = int(rng.choice(track.present))
        near = [index for index in track.present if index != first and abs(index - first) <= config.max_gap]
        second = int(rng.choice(near)) if near else first
        exemplars.append(_around(corpus, track.frames[first], track.boxes[first], network.exemplar_size, network))
        searches.append(_around(corpus, track.frames[second], track.boxes[second], network.search_size, network))
    return Pairs(np.stack(exemplars), np.stack(searches))


def _around(corpus: Corpus, frame: Member, box: Box | None, size: int, network: NetworkConfig) -> RgbImage:
    assert box is not None
    image = corpus.rgb(frame)
    side = context_side(box.size, 0.5) * size / network.exemplar_size
    return crop(image, Region(*box.center, side), size, mean_colour(image))


def _followed(predictor: Predictor, corpus: Corpus, track: Track) -> float:
    """Mean IoU over the frames that show the target, except the first of them."""
    first = track.present[0]
    box = track.boxes[first]
    assert box is not None
    tracker = SingleTracker(predictor)
    tracker.start(corpus.rgb(track.frames[first]), box)
    overlaps = []
    for index in range(first + 1, min(len(track.frames), first + _FRAMES)):
        found, truth = tracker.update(corpus.rgb(track.frames[index])).box, track.boxes[index]
        if truth is not None:
            overlaps.append(float(iou(np.array(found.as_list()), np.array(truth.as_list()))))
    return float(np.mean(overlaps)) if overlaps else 0.0
