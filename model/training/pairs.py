"""Which two pictures of one object make a training item, and the batches made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.boxes import Box
from model.config import NetworkConfig
from model.training.augment import Image, Shared, View, make_view, paste
from model.training.config import TrainingConfig
from model.training.corpus import Corpus, Member, Still, Track

Picture = tuple[Image, Box]
"""An image, uint8 [height, width, 3] RGB, and the target's box in it."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object in two pictures. `group` names what it was taken from: items of a group are no negatives."""

    first: Picture
    second: Picture
    group: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Views two by two: 2i and 2i + 1 show one object.

    pixels: uint8 [2N, side, side, 3] RGB; shifts: float32 [2N, 2], the target's (x, y) from the crop's centre in crop
    pixels; log_scales: float32 [2N], see `View`; groups: int64 [2N].
    """

    pixels: NDArray[np.uint8]
    shifts: NDArray[np.float32]
    log_scales: NDArray[np.float32]
    groups: NDArray[np.int64]


Drawn = TypeVar("Drawn", Still, Track)


class _Sources(Generic[Drawn]):
    """Draws by source first, with weight sqrt(size), so that a large source does not drown the others."""

    def __init__(self, records: Sequence[Drawn], factors: dict[str, float]) -> None:
        groups: dict[str, list[Drawn]] = {}
        for record in records:
            groups.setdefault(record.source, []).append(record)
        self._groups: list[list[Drawn]] = list(groups.values())
        weights = np.array([factors.get(name, 1.0) * len(group) ** 0.5 for name, group in groups.items()])
        self._shares = weights / weights.sum()

    def __len__(self) -> int:
        return len(self._groups)

    def draw(self, rng: Generator) -> Drawn:
        group = self._groups[int(rng.choice(len(self._groups), p=self._shares))]
        return group[int(rng.integers(len(group)))]


class PairSampler:
    """Draws items and renders batches. Batch `step` of a seed is always the same, whatever came before it."""

    def __init__(self, corpus: Corpus, network: NetworkConfig, config: TrainingConfig) -> None:
        self._corpus, self._network, self._config = corpus, network, config
        self._stills: _Sources[Still] = _Sources(
            [still for still in corpus.stills if still.boxes], config.source_weights
        )
        self._tracks: _Sources[Track] = _Sources(
            [track for track in corpus.tracks if len(track.present) >= 2], config.source_weights
        )

    def batch(self, step: int) -> Batch:
        """The batch of that step."""
        rng = np.random.default_rng([self._config.seed, step])
        items = [self._item(rng) for _ in range(self._config.items)]
        views = [view for item in items for view in self._views(item, rng)]
        names = {item.group: index for index, item in enumerate(items)}
        return Batch(
            pixels=np.stack([view.pixels for view in views]),
            shifts=np.array([[view.dx, view.dy] for view in views], np.float32),
            log_scales=np.array([view.log_scale for view in views], np.float32),
            groups=np.repeat(np.array([names[item.group] for item in items], np.int64), 2),
        )

    def _item(self, rng: Generator) -> Item:
        kind, config = rng.random(), self._config
        if len(self._tracks) and (kind < config.video_share or not len(self._stills)):
            return self._video_item(rng)
        if self._corpus.cutouts and kind < config.video_share + config.composite_share:
            return self._composite_item(rng)
        return self._still_item(rng)

    def _still_item(self, rng: Generator) -> Item:
        still = self._stills.draw(rng)
        box = still.boxes[rng.integers(len(still.boxes))]
        image = self._corpus.rgb(still.image)
        if rng.random() < self._config.part_share:
            box = _part(box, image, rng)
        return Item((image, box), (image, box), _name(still.image))

    def _video_item(self, rng: Generator) -> Item:
        track = self._tracks.draw(rng)
        present = np.array(track.present)
        first = int(rng.choice(present))
        near = present[present != first]
        if track.ordered:
            close = near[np.abs(near - first) <= self._config.max_gap]
            near = close if len(close) else near
        pictures: list[Picture] = []
        for index in (first, int(rng.choice(near))):
            box = track.boxes[index]
            assert box is not None
            pictures.append((self._corpus.rgb(track.frames[index]), box))
        return Item(pictures[0], pictures[1], f"{track.source}/{track.clip}")

    def _composite_item(self, rng: Generator) -> Item:
        """A cut-out pasted into a picture twice, at two places; or into two pictures."""
        cutout = self._cutout(rng)
        height = float(rng.uniform(32, 100))
        pictures: list[Picture] = []
        for _ in range(2):
            image = self._scenery(rng) if not pictures or rng.random() < 0.5 else pictures[0][0].copy()
            rows = max(12, round(height * rng.uniform(0.9, 1.1)))
            columns = max(8, round(rows * cutout.shape[1] / cutout.shape[0] * rng.uniform(0.9, 1.1)))
            center = float(rng.uniform(0.15, 0.85)) * image.shape[1], float(rng.uniform(0.15, 0.85)) * image.shape[0]
            pictures.append((image, Box.around(center, (columns, rows))))
        for image, box in pictures:
            paste(image, cutout, box.center, (round(box.w), round(box.h)))
        return Item(pictures[0], pictures[1], f"composite:{rng.integers(2**62)}")

    def _views(self, item: Item, rng: Generator) -> tuple[View, View]:
        shared = Shared.draw(self._config.augment, rng)
        first, second = (self._view(image, box, shared, rng) for image, box in (item.first, item.second))
        return first, second

    def _view(self, image: Image, box: Box, shared: Shared, rng: Generator) -> View:
        cutouts = [self._cutout(rng) for _ in range(2)] if self._corpus.cutouts else []
        scenery = self._scenery(rng) if shared.fill == "scenery" else image
        sizes = self._network.search_size, self._network.exemplar_size
        return make_view(image, box, *sizes, shared, scenery, cutouts, self._config.augment, rng)

    def _cutout(self, rng: Generator) -> Image:
        return self._corpus.rgba(self._corpus.cutouts[int(rng.integers(len(self._corpus.cutouts)))].image)

    def _scenery(self, rng: Generator) -> Image:
        if len(self._stills):
            return self._corpus.rgb(self._stills.draw(rng).image)
        return self._corpus.rgb(self._tracks.draw(rng).frames[0])


def _name(member: Member) -> str:
    return f"{member.shard}:{member.offset}"


def _part(box: Box, image: Image, rng: Generator) -> Box:
    """A part of a large object, small enough for its search region to lie mostly on the picture; else the box."""
    height, width = image.shape[:2]
    # A square target of side w is searched in about 4 w.
    limit = min(width, height) / 3.2
    if max(box.w, box.h) <= limit:
        return box
    w, h = (float(min(length, limit * rng.uniform(0.5, 1.0))) for length in box.size)
    return Box(box.x + float(rng.random()) * (box.w - w), box.y + float(rng.random()) * (box.h - h), w, h)
