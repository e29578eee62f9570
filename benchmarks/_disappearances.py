"""Rendered scenes in which the target vanishes and returns, each drawn from a seed.

Three kinds in turn: `edge` (the target leaves the frame and comes back over the same edge), `pillar` (it passes behind
something that stands still) and `passer` (something passes before it and stays for a while). Targets and occluders are
details of different photographs; the background is of the target's own photograph in half of the cases, and in half
another detail of that lies about. The target shrinks by up to a quarter; every frame has noise of its own and a
drifting brightness.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from model.arrays import RgbImage
from model.data.rendered import Photograph, Place, Scene, detail, photograph, render

KINDS = ("edge", "pillar", "passer")
WIDTH, HEIGHT = 320, 240
FULLY = 0.999

Points = NDArray[np.float64]
"""[N, 2]: a centre a frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A scene, the first frame that shows nothing of its target, and the first after it that shows all of it again."""

    name: str
    kind: str
    scene: Scene
    vanished: int
    returned: int


def cases(seed: int, count: int) -> Iterator[Case]:
    """So many cases of a seed, one after the other; case k of a seed is always the same."""
    for index in range(count):
        yield case(seed, index)


def case(seed: int, index: int) -> Case:
    """One case; of the same seed and index always the same, whatever else is drawn."""
    rng = np.random.default_rng([seed, index])
    kind = KINDS[index % len(KINDS)]
    names = rng.permutation(get_args(Photograph))
    width, height = int(rng.integers(36, 65)), int(rng.integers(36, 65))
    background = _crop(rng, names[rng.integers(2)], (WIDTH, HEIGHT))
    target = _crop(rng, names[1], (width, height))
    if rng.integers(2):
        x, y = int(rng.integers(WIDTH - width)), int(rng.integers(HEIGHT - height))
        background[y : y + height, x : x + width] = _crop(rng, names[1], (width, height))
    least = rng.uniform(0.75, 1.0)
    hidden = int(rng.integers(12, 25))
    if kind == "edge":
        places = _over_the_edge(rng, (width, height), hidden)
        scene = render(background, target, _as_places(places, least))
    else:
        move = _behind_a_pillar if kind == "pillar" else _behind_a_passer
        places, size, covers = move(rng, (width, height), hidden)
        occluder = _crop(rng, names[2], size)
        scene = render(background, target, _as_places(places, least), occluder, _as_places(covers))
    scene = replace(scene, frames=tuple(_weathered(rng, scene.frames)))
    gone = np.flatnonzero(scene.visible == 0)
    back = np.flatnonzero((scene.visible >= FULLY) & (np.arange(len(scene.frames)) > gone[-1]))
    return Case(f"{seed}-{index}-{kind}", kind, scene, int(gone[0]), int(back[0]))


def _crop(rng: np.random.Generator, name: Photograph, size: tuple[int, int]) -> RgbImage:
    """A random detail of the photograph with that shape: the busiest of a few, so that there is something to see."""
    image = photograph(name, 640)
    height, width = image.shape[:2]
    chosen, busiest = None, -1.0
    for _ in range(6):
        scale = min(rng.uniform(1.0, 2.5), width / size[0], height / size[1])
        w, h = int(size[0] * scale), int(size[1] * scale)
        box = int(rng.integers(0, width - w + 1)), int(rng.integers(0, height - h + 1)), w, h
        candidate = detail(image, box, size)
        busy = float(cv2.Laplacian(cv2.cvtColor(candidate, cv2.COLOR_RGB2GRAY), cv2.CV_32F).std())
        if busy > busiest:
            chosen, busiest = candidate, busy
    assert chosen is not None
    return chosen


def _weathered(rng: np.random.Generator, frames: tuple[RgbImage, ...]) -> Iterator[RgbImage]:
    brightness = 1.0
    for frame in frames:
        brightness = float(np.clip(brightness + rng.normal(0, 0.01), 0.9, 1.1))
        noise = rng.standard_normal(frame.shape, np.float32)
        yield np.asarray(np.clip(frame * np.float32(brightness) + 3 * noise, 0, 255).round(), np.uint8)


def _as_places(points: Points, last: float = 1.0) -> list[Place]:
    """A place a point; the scale goes evenly from 1 to `last`."""
    scales = np.linspace(1, last, len(points))
    return [Place(float(x), float(y), float(scale)) for (x, y), scale in zip(points, scales, strict=True)]


def _stroll(rng: np.random.Generator, start: Points, frames: int) -> Points:
    """A slow walk from a point, at most 2 px a frame, the first point the given one."""
    heading = rng.uniform(0, 2 * np.pi)
    steps = rng.uniform(0.3, 2.0) * np.array([np.cos(heading), np.sin(heading)]) + rng.normal(0, 0.3, (frames, 2))
    steps[0] = 0
    return np.asarray(start + np.cumsum(steps, axis=0))


def _straight(start: Points, end: Points, speed: float) -> Points:
    """From after `start` to `end` at so many pixels a frame."""
    count = max(int(np.ceil(np.linalg.norm(end - start) / speed)), 1)
    return np.asarray(start + np.linspace(0, 1, count + 1)[1:, None] * (end - start))


def _over_the_edge(rng: np.random.Generator, size: tuple[int, int], hidden: int) -> Points:
    axis = int(rng.integers(2))
    extent, half = (WIDTH, HEIGHT)[axis], size[axis] / 2
    far = bool(rng.integers(2))
    speed = rng.uniform(3, 7)
    first = np.array([rng.uniform(0.35, 0.65) * WIDTH, rng.uniform(0.35, 0.65) * HEIGHT])
    near = rng.uniform(20, 50) + half + 18
    first[axis] = extent - near if far else near
    start = _stroll(rng, first, 8)
    gone = start[-1].copy()
    gone[axis] = extent + half + 4 if far else -half - 4
    again = gone.copy()
    again[1 - axis] += rng.uniform(-15, 15)
    inside = again.copy()
    inside[axis] = extent - half - 12 if far else half + 12
    inside[1 - axis] = np.clip(inside[1 - axis], *_within(size[1 - axis], (WIDTH, HEIGHT)[1 - axis]))
    away = np.linspace(gone, again, hidden)
    comes = _straight(again, inside, speed)
    rest = _slowly(rng, comes[-1], size)
    return np.concatenate([start, _straight(start[-1], gone, speed), away, comes, rest])


def _behind_a_pillar(
    rng: np.random.Generator, size: tuple[int, int], hidden: int
) -> tuple[Points, tuple[int, int], Points]:
    speed = rng.uniform(3, 4.5)
    width = int(size[0] + min(hidden, 14) * speed) + 2
    left = rng.uniform(size[0] + 22, size[0] + 30)
    y = rng.uniform(*_within(size[1], HEIGHT))
    start = _stroll(rng, np.array([size[0] / 2 + 6, y]), 8)
    start[:, 0] = np.clip(start[:, 0], size[0] / 2 + 1, left - size[0] / 2 - 1)
    start[:, 1] = np.clip(start[:, 1], *_within(size[1], HEIGHT))
    beyond = np.array([min(left + width + size[0] / 2 + 6, WIDTH - size[0] / 2 - 2), start[-1, 1]])
    passes = _straight(start[-1], beyond, speed)
    points = np.concatenate([start, passes, np.repeat(passes[-1:], 18, axis=0)])
    cover = np.repeat([[left + width / 2, HEIGHT / 2]], len(points), axis=0)
    if rng.integers(2):  # from right to left
        points[:, 0], cover[:, 0] = WIDTH - points[:, 0], WIDTH - cover[:, 0]
    return points, (width, HEIGHT + 2), cover


def _behind_a_passer(
    rng: np.random.Generator, size: tuple[int, int], hidden: int
) -> tuple[Points, tuple[int, int], Points]:
    speed = rng.uniform(5, 10)
    cover = (size[0] + int(rng.integers(12, 30)), size[1] + int(rng.integers(12, 30)))
    middle = np.array([rng.uniform(0.4, 0.6) * WIDTH, rng.uniform(0.4, 0.6) * HEIGHT])
    angle = rng.uniform(0, 2 * np.pi)
    heading = np.array([np.cos(angle), np.sin(angle)])
    reach = float(np.hypot(*size) + np.hypot(*cover)) / 2 + 10  # more than the target trembles
    comes = _straight(middle - reach * heading, middle, speed)
    goes = _straight(middle, middle + reach * heading, speed)
    waits = np.repeat(comes[:1], 8, axis=0)
    gone = np.repeat(goes[-1:], 18, axis=0)
    covers = np.concatenate([waits, comes, np.repeat(middle[None], hidden, axis=0), goes, gone])
    # The target trembles on the spot, less than the cover is larger.
    points = middle + np.clip(np.cumsum(rng.normal(0, 0.5, (len(covers), 2)), axis=0), -5, 5)
    return points, cover, covers


def _slowly(rng: np.random.Generator, start: Points, size: tuple[int, int]) -> Points:
    points = _stroll(rng, start, 19)[1:]
    for axis, extent in enumerate((WIDTH, HEIGHT)):
        points[:, axis] = np.clip(points[:, axis], *_within(size[axis], extent))
    return points


def _within(length: int, extent: int) -> tuple[float, float]:
    """Where a centre may lie so that the whole of it is in the frame."""
    return length / 2 + 1, extent - length / 2 - 1
