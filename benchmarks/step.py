"""One frame of one target in process, by network, runtime and precision, against a plain eager loop in the same run.

The plain loop is SiamFC as it is usually written, with the weights `paper`: cv2 crops of a padded frame, fp32, batch
norms as they are, three scales, numpy post-processing. All follow the same rendered scene; decoding is in none.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks._machine import facts
from benchmarks._runtimes import predictor, ways, weights_at_hand
from benchmarks._scenes import translation
from model.arrays import RgbImage
from model.boxes import Box
from model.checkpoints import Weights
from model.correlation import match_corr
from model.crops import context_side, mean_colour
from model.inference.choice import Candidate
from model.inference.single import SingleTracker

_ROUNDS = 3
PLAIN = ("paper", "plain loop", "fp32")
"""The plain loop's network, "runtime" and precision."""


def run() -> dict[str, Any]:
    """Milliseconds a frame (median over the scene, best of three rounds), and the plain loop's as a multiple."""
    machine = facts()
    at_hand = weights_at_hand()
    scene = translation(30)
    box = Box(*scene.truth[0])
    steps: dict[tuple[str, ...], Callable[[], Callable[[RgbImage], object]]] = {
        PLAIN: partial(_plain, at_hand["paper"], scene, box)
    }
    for name, weights in at_hand.items():
        for way in ways(weights.network.config):
            steps[name, way.runtime, way.precision] = partial(_ours, weights, way, scene, box)
    times = dict.fromkeys(steps, float("inf"))
    for _ in range(_ROUNDS):
        # In turn, so that a busy moment of the machine falls on all of them.
        for key, make in steps.items():
            times[key] = min(times[key], _median_ms(make(), scene.frames[1:]))
    return {
        "machine": machine,
        "rows": [
            {
                **dict(zip(("network", "runtime", "precision"), key, strict=True)),
                "ms_a_frame": round(value, 2),
                "times_the_plain_loop": round(times[PLAIN] / value, 2),
            }
            for key, value in times.items()
        ],
    }


def table(result: dict[str, Any]) -> list[list[str]]:
    """The result of `run` as rows of text, the header first."""
    lines = [["network", "runtime", "precision", "ms a frame", "times the plain loop"]]
    for row in result["rows"]:
        measured = f"{row['ms_a_frame']:.1f}", f"{row['times_the_plain_loop']:.2f}"
        lines.append([row["network"], row["runtime"], row["precision"], *measured])
    return lines


def _median_ms(step: Callable[[RgbImage], object], frames: Sequence[RgbImage]) -> float:
    taken = []
    for frame in frames:
        begun = time.perf_counter()
        step(frame)
        taken.append(time.perf_counter() - begun)
    return 1e3 * float(np.median(taken))


def _ours(weights: Weights, way: Candidate, scene: Any, box: Box) -> Callable[[RgbImage], object]:
    tracker = SingleTracker(predictor(weights, way))
    tracker.start(scene.frames[0], box)
    return tracker.update


def _plain(weights: Weights, scene: Any, box: Box) -> Callable[[RgbImage], object]:
    network = weights.network.eval()
    constants, config = weights.constants, weights.network.config
    center, size = np.array(box.center), np.array(box.size)
    fill = mean_colour(scene.frames[0])
    window = np.outer(np.hanning(272), np.hanning(272))
    window /= window.sum()

    def embed(crops: list[RgbImage]) -> torch.Tensor:
        pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
        return network.embed((pixels - weights.preprocessing.mean) / weights.preprocessing.std)

    with torch.no_grad():
        exemplar = embed([_padded_crop(scene.frames[0], center, context_side(tuple(size), 0.5), 127, fill)])

    @torch.no_grad()
    def update(frame: RgbImage) -> object:
        nonlocal center, size
        side = context_side(tuple(size), constants.context) * config.search_size / config.exemplar_size
        factors = constants.scale_factors
        crops = [_padded_crop(frame, center, side * factor, config.search_size, fill) for factor in factors]
        searches = embed(crops)
        maps = match_corr(exemplar.expand(len(crops), -1, -1, -1), searches, network.match_norm)[:, 0].numpy()
        maps = np.stack([cv2.resize(each, (272, 272), interpolation=cv2.INTER_CUBIC) for each in maps])
        maps -= maps.min()
        maps[[0, 2]] *= constants.scale_penalty
        best = int(maps.max((1, 2)).argmax())
        response = maps[best] / maps[best].sum()
        response = (1 - constants.window_influence) * response + constants.window_influence * window
        row, column = np.unravel_index(response.argmax(), response.shape)
        shift = (np.array([column, row]) - 135.5) * config.stride / 16 * side * factors[best] / config.search_size
        center = center + shift
        size = size * (1 + constants.scale_damping * (factors[best] - 1))
        return center

    return update


def _padded_crop(
    frame: RgbImage, center: NDArray[np.float64], side: float, size: int, fill: tuple[float, float, float]
) -> RgbImage:
    """The usual crop: pad the whole frame by as much as the region sticks out, cut, resize."""
    length = round(side)
    corner = np.round(center - length / 2).astype(int)
    pad = max(0, -corner.min(), *(corner + length - np.array(frame.shape[1::-1])))
    padded = cv2.copyMakeBorder(frame, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=fill)
    x, y = corner + pad
    return np.asarray(cv2.resize(padded[y : y + length, x : x + length], (size, size)), np.uint8)
