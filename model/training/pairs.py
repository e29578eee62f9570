"""Which two pictures of one object make a training item, and the batches made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from model.boxes import Box
from model.config import NetworkConfig
from model.data.corpus import Corpus
from model.data.records import Cutout, Member, Still, Track
from model.errors import CorpusError
from model.training.augment import Picture, Plan, Props, Shared, plan_view
from model.training.config import AugmentConfig, TrainingConfig
from model.training.rendering import Decoded, Sizes, render


@dataclass(frozen=True, slots=True)
class Item:
    """One object in two pictures. `group` names what it was taken from: items of a group are no negatives."""

    first: Picture
    second: Picture
    group: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Views two by two: 2i and 2i + 1 show one object.

    pixels: uint8 [2N, side, side, 3] RGB, a tensor where they were rendered on the device; shifts: float32 [2N, 2],
    the target's (x, y) from the crop's centre in crop pixels; log_scales: float32 [2N], see `Plan`; groups: int64
    [2N].
    """

    pixels: NDArray[np.uint8] | Tensor
    shifts: NDArray[np.float32]
    log_scales: NDArray[np.float32]
    groups: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BoxBatch:
    """N pairs cut as in tracking: exemplar i's target is in search region i.

    firsts: uint8 [N, 255, 255, 3] RGB, the search regions of the exemplars' own frames, whose middle 127 px are the
    exemplar crops. searches: uint8 [N, 255, 255, 3]. Both are tensors where they were rendered on the device. shapes:
    float32 [N, 2], width and height of the exemplar's box. centres, sizes: float32 [N, 2], (x, y) of the search
    target's centre from the region's centre, and its width and height. All in crop pixels. groups: int64 [N].
    """

    firsts: NDArray[np.uint8] | Tensor
    searches: NDArray[np.uint8] | Tensor
    shapes: NDArray[np.float32]
    centres: NDArray[np.float32]
    sizes: NDArray[np.float32]
    groups: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Planned:
    """A batch before it is rendered: its views' plans, two by two, and each one's group."""

    views: tuple[Plan, ...]
    groups: NDArray[np.int64]

    def batch(self, pixels: NDArray[np.uint8] | Tensor) -> Batch:
        """The batch, given the views' pixels."""
        return Batch(
            pixels=pixels,
            shifts=np.array([[view.dx, view.dy] for view in self.views], np.float32),
            log_scales=np.array([view.log_scale for view in self.views], np.float32),
            groups=self.groups,
        )

    def box_batch(self, pixels: NDArray[np.uint8] | Tensor) -> BoxBatch:
        """The batch of the box objective, given the views' pixels."""
        first, second = self.views[::2], self.views[1::2]
        return BoxBatch(
            firsts=pixels[::2],
            searches=pixels[1::2],
            shapes=np.array([view.size for view in first], np.float32),
            centres=np.array([(view.dx, view.dy) for view in second], np.float32),
            sizes=np.array([view.size for view in second], np.float32),
            groups=self.groups[::2],
        )


Drawn = TypeVar("Drawn", Still, Track)


class Sources(Generic[Drawn]):
    """Draws by source first, with weight sqrt(size), so that a large source does not drown the others."""

    def __init__(self, records: Sequence[Drawn], factors: dict[str, float]) -> None:
        groups: dict[str, list[Drawn]] = {}
        for record in records:
            groups.setdefault(record.source, []).append(record)
        self._groups: list[list[Drawn]] = list(groups.values())
        weights = np.array([factors.get(name, 1.0) * len(group) ** 0.5 for name, group in groups.items()])
        if len(weights) and not weights.sum() > 0:
            raise CorpusError(f"all of the corpus's sources {', '.join(groups)} have weight 0")
        self._shares = weights / weights.sum() if len(weights) else weights

    def __len__(self) -> int:
        return len(self._groups)

    def draw(self, rng: Generator) -> Drawn:
        group = self._groups[int(rng.choice(len(self._groups), p=self._shares))]
        return group[int(rng.integers(len(group)))]


class PairSampler:
    """Draws items and renders batches. Batch `step` of a seed is always the same, whatever came before it."""

    def __init__(self, corpus: Corpus, network: NetworkConfig, config: TrainingConfig) -> None:
        self._network, self._config = network, config
        self._pictures = Decoded(corpus)
        self._stills: Sources[Still] = Sources([still for still in corpus.stills if still.boxes], config.source_weights)
        self._tracks: Sources[Track] = Sources(
            [track for track in corpus.tracks if len(track.present) >= 2], config.source_weights
        )
        self._cutouts: tuple[Cutout, ...] = corpus.cutouts
        if not len(self._stills) and not len(self._tracks):
            raise CorpusError("the corpus has no still with a box and no track that is shown twice")

    def batch(self, step: int) -> Batch | BoxBatch:
        """The batch of that step, rendered on the CPU."""
        planned = self.plan(step, self._pictures)
        views = np.stack([render(view, self._pictures) for view in planned.views])
        return planned.box_batch(views) if self._config.objective == "box" else planned.batch(views)

    def plan(self, step: int, pictures: Sizes) -> Planned:
        """The batch of that step as plans; `pictures` says how large the images are."""
        rng = np.random.default_rng([self._config.seed, step])
        items = [self._item(rng, pictures) for _ in range(self._config.items)]
        views = [view for item in items for view in self._views(item, rng, pictures)]
        names = {item.group: index for index, item in enumerate(items)}
        groups = np.repeat(np.array([names[item.group] for item in items], np.int64), 2)
        return Planned(tuple(views), groups)

    def _item(self, rng: Generator, pictures: Sizes) -> Item:
        item = self._drawn(rng, pictures)
        jitter = self._config.augment.box_jitter
        # A pasted object fills its box, wherever that lies.
        if not jitter or item.first.pasted is not None:
            return item
        ratios, shifts = np.exp(rng.normal(0, jitter, 2)), rng.normal(0, jitter / 2, 2)
        first, second = (replace(each, box=_redrawn(each.box, ratios, shifts)) for each in (item.first, item.second))
        return replace(item, first=first, second=second)

    def _drawn(self, rng: Generator, pictures: Sizes) -> Item:
        kind, config = rng.random(), self._config
        if len(self._tracks) and (kind < config.video_share or not len(self._stills)):
            return self._video_item(rng, pictures)
        if self._cutouts and kind < config.video_share + config.composite_share:
            return self._composite_item(rng, pictures)
        return self._still_item(rng, pictures)

    def _still_item(self, rng: Generator, pictures: Sizes) -> Item:
        still = self._stills.draw(rng)
        box = still.boxes[rng.integers(len(still.boxes))]
        size = pictures.size(still.image)
        if rng.random() < self._config.part_share:
            box = _part(box, size, rng)
        picture = Picture(still.image, size, box)
        return Item(picture, picture, _name(still.image))

    def _video_item(self, rng: Generator, pictures: Sizes) -> Item:
        track = self._tracks.draw(rng)
        present = np.array(track.present)
        first = int(rng.choice(present))
        near = present[present != first]
        if track.ordered:
            close = near[np.abs(near - first) <= self._config.max_gap]
            near = close if len(close) else near
        found: list[Picture] = []
        for index in (first, int(rng.choice(near))):
            box, frame = track.boxes[index], track.frames[index]
            assert box is not None
            found.append(Picture(frame, pictures.size(frame), box))
        return Item(found[0], found[1], f"{track.source}/{track.clip}")

    def _composite_item(self, rng: Generator, pictures: Sizes) -> Item:
        """A cut-out pasted into a picture twice, at two places; or into two pictures."""
        cutout = self._cutout(rng)
        wide, high = pictures.size(cutout, 4)
        height = float(rng.uniform(32, 100))
        across, down = _stretch(rng) if rng.random() < self._config.augment.elongated else (1.0, 1.0)
        found: list[Picture] = []
        for _ in range(2):
            image = self._scenery(rng) if not found or rng.random() < 0.5 else found[0].image
            size = pictures.size(image)
            tall = height * rng.uniform(0.9, 1.1)
            columns = max(8, round(across * tall * wide / high * rng.uniform(0.9, 1.1)))
            rows = max(12, round(down * tall)) if down == 1 else max(4, round(down * tall))
            center = float(rng.uniform(0.15, 0.85)) * size[0], float(rng.uniform(0.15, 0.85)) * size[1]
            found.append(Picture(image, size, Box.around(center, (columns, rows)), cutout, (wide, high)))
        return Item(found[0], found[1], f"composite:{rng.integers(2**62)}")

    def _views(self, item: Item, rng: Generator, pictures: Sizes) -> tuple[Plan, Plan]:
        shared = Shared.draw(self._config.augment, rng)
        as_searched = self._config.augment
        first = _as_given(as_searched) if self._config.objective == "box" else as_searched
        return (
            self._view(item.first, shared, first, rng, pictures),
            self._view(item.second, shared, as_searched, rng, pictures),
        )

    def _view(
        self,
        picture: Picture,
        shared: Shared,
        config: AugmentConfig,
        rng: Generator,
        pictures: Sizes,
    ) -> Plan:
        distractor, occluder = (
            self._prop(rng, pictures) if self._cutouts and rng.random() < chance else None
            for chance in (config.distractor, config.occluder)
        )
        scenery = self._scenery(rng) if shared.fill == "scenery" else None
        sides = self._network.search_size, self._network.exemplar_size
        return plan_view(picture, sides, shared, Props(scenery, distractor, occluder), config, rng)

    def _prop(self, rng: Generator, pictures: Sizes) -> tuple[Member, tuple[int, int]]:
        cutout = self._cutout(rng)
        return cutout, pictures.size(cutout, 4)

    def _cutout(self, rng: Generator) -> Member:
        return self._cutouts[int(rng.integers(len(self._cutouts)))].image

    def _scenery(self, rng: Generator) -> Member:
        if len(self._stills):
            return self._stills.draw(rng).image
        return self._tracks.draw(rng).frames[0]


def _as_given(config: AugmentConfig) -> AugmentConfig:
    """A first frame's view: the target in the middle, whole, as large as its box asks for."""
    return replace(
        config, max_shift=0.0, scale_jitter=0.0, aspect_jitter=0.0, rotation=0.0, truncation=0.0, occluder=0.0
    )


def _name(member: Member) -> str:
    return f"{member.shard}:{member.offset}"


def _redrawn(box: Box, ratios: NDArray[np.float64], shifts: NDArray[np.float64]) -> Box:
    """The box with width and height times `ratios`, its centre moved by `shifts` in widths and heights."""
    (x, y), (w, h) = box.center, box.size
    center = x + float(shifts[0]) * w, y + float(shifts[1]) * h
    return Box.around(center, (w * float(ratios[0]), h * float(ratios[1])))


def _stretch(rng: Generator) -> tuple[float, float]:
    """Factors (across, down) that make a thing up to twenty times as long as wide; their product is 1."""
    factor = float(np.exp(rng.uniform(np.log(3.0), np.log(20.0)) / 2))
    return (factor, 1 / factor) if rng.random() < 0.5 else (1 / factor, factor)


def _part(box: Box, size: tuple[int, int], rng: Generator) -> Box:
    """A part of a large object, small enough for its search region to lie mostly on the picture; else the box."""
    # A square target of side w is searched in about 4 w.
    limit = min(size) / 3.2
    if max(box.w, box.h) <= limit:
        return box
    w, h = (float(min(length, limit * rng.uniform(0.5, 1.0))) for length in box.size)
    return Box(box.x + float(rng.random()) * (box.w - w), box.y + float(rng.random()) * (box.h - h), w, h)
