"""The exported networks, run by ONNX Runtime as docs/export.md says, follow a target as our tracker does."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from model.arrays import Float32, RgbImage
from model.boxes import Box
from model.checkpoints import Weights, bundled_weights, load_weights
from model.crops import Region, context_side, crop, mean_colour
from model.export import EXEMPLAR, NUMBERS, SEARCH, export_onnx
from model.inference.loading import load_predictor
from model.inference.single import SingleTracker
from model.score_map import cosine_window, upscale
from model.tracker import Track
from tests.support.scenes import translation

pytest.importorskip("onnxscript", reason="the extra export is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


@pytest.fixture(scope="module", params=["swift", "light"])
def weights(request: pytest.FixtureRequest) -> Weights:
    return load_weights(bundled_weights(request.param))


@pytest.fixture(scope="module")
def folder(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("onnx")
    assert export_onnx(weights, made) == (made / EXEMPLAR, made / SEARCH, made / NUMBERS)
    return made


class FromThePage:
    """The steps of docs/export.md, by numpy and ONNX Runtime alone but for the cutting of crops."""

    def __init__(self, folder: Path) -> None:
        self.numbers = json.loads((folder / NUMBERS).read_text())
        self._embed, self._search = (onnxruntime.InferenceSession(folder / name) for name in (EXEMPLAR, SEARCH))
        self._speed = 16.0

    def start(self, frame: RgbImage, box: list[float]) -> None:
        x, y, w, h = box
        self._center, self._size, self._fill = [x + w / 2, y + h / 2], [w, h], mean_colour(frame)
        side = context_side((w, h), self.numbers["tracker"]["context"])
        pixels = self._pixels(frame, side, self.numbers["exemplar_size"])
        (self._exemplar,) = self._embed.run(None, {"crop": pixels})
        scale = self.numbers["exemplar_size"] / side
        self._shape = np.array([[w * scale, h * scale]], np.float32)
        self._zero = np.zeros(4)
        dx, dy, _, (right, down, width, height, _) = self._ask(frame)
        if max(abs(dx + right), abs(dy + down)) <= 1:
            self._zero = np.array([dx + right, dy + down, width, height])

    def update(self, frame: RgbImage) -> list[float]:
        tracker, numbers = self.numbers["tracker"], self.numbers
        dx, dy, side, (right, down, width, height, quality) = self._ask(frame)
        right, down, width, height = np.array([right, down, width, height]) - self._zero
        dx, dy = dx + tracker["offset_share"] * right, dy + tracker["offset_share"] * down
        cell = numbers["stride"] * side / numbers["search_size"]
        self._center = [self._center[0] + dx * cell, self._center[1] + dy * cell]
        self._speed += 0.2 * (numbers["stride"] * math.hypot(dx, dy) - self._speed)
        share = tracker["scale_damping"] / (1 + math.exp(-quality))
        said = self._shape[0] * np.exp([width, height]) * side / numbers["search_size"]
        self._size = [now * (new / now) ** share for now, new in zip(self._size, said.tolist(), strict=True)]
        return [self._center[0] - self._size[0] / 2, self._center[1] - self._size[1] / 2, *self._size]

    def go_on_from(self, track: Track) -> None:
        """Differences do not add up from frame to frame then."""
        self._center, self._size, self._speed = [*track.box.center], [*track.box.size], track.speed

    def _ask(self, frame: RgbImage) -> tuple[float, float, float, list[float]]:
        """The peak, the search region's side, and the head's outputs at the peak."""
        side = context_side((self._size[0], self._size[1]), self.numbers["tracker"]["context"])
        side *= self.numbers["search_size"] / self.numbers["exemplar_size"]
        pixels = self._pixels(frame, side, self.numbers["search_size"])
        given = {"crop": pixels, "exemplar": self._exemplar, "shape": self._shape}
        response, boxes = self._search.run(None, given)
        quality = self.numbers["tracker"]["quality_influence"] * boxes[0, 4].clip(-8, 3)
        dx, dy = self._peak(response[0, 0] + quality)
        return dx, dy, side, self._read(boxes[0], dx, dy)

    def _pixels(self, frame: RgbImage, side: float, size: int) -> Float32:
        region = Region(self._center[0], self._center[1], side)
        return crop(frame, region, size, self._fill).transpose(2, 0, 1)[None].astype(np.float32)

    def _peak(self, cells: Float32) -> tuple[float, float]:
        tracker = self.numbers["tracker"]
        large = upscale(cells, tracker["upscale"])
        stillness = math.exp(-self._speed / tracker["still_speed"])
        share = tracker["window_influence"] + (tracker["still_influence"] - tracker["window_influence"]) * stillness
        raised = large - large.min()
        blended = (1 - share) * raised / raised.sum() + share * cosine_window(len(large))
        row, column = divmod(int(blended.argmax()), len(large))
        half = (len(large) - 1) / 2
        return (column - half) / tracker["upscale"], (row - half) / tracker["upscale"]

    def _read(self, boxes: Float32, dx: float, dy: float) -> list[float]:
        """The outputs between cells, by the plain formula."""
        middle = (boxes.shape[-1] - 1) / 2
        row, column = dy + middle, dx + middle
        total = np.zeros(5)
        for i in range(boxes.shape[-1]):
            for j in range(boxes.shape[-1]):
                total += boxes[:, i, j] * max(0.0, 1 - abs(row - i)) * max(0.0, 1 - abs(column - j))
        found: list[float] = total.tolist()
        return found


def test_the_page_s_steps_follow_as_our_tracker_does(weights: Weights, folder: Path) -> None:
    if weights.network.head is None:
        pytest.skip("the steps above are those with a head; the network without one is compared below")
    scene = translation(frames=12)
    theirs, ours = FromThePage(folder), SingleTracker(load_predictor(weights, device="cpu", precision="fp32"))
    box = scene.truth[0].tolist()
    theirs.start(scene.frames[0], box)
    ours.start(scene.frames[0], Box(*box))
    apart = []
    for frame in scene.frames[1:]:
        track = ours.update(frame)
        apart.append(np.abs(np.subtract(theirs.update(frame), track.box.as_list())))
        theirs.go_on_from(track)
    assert np.mean(apart) < 0.02
    # Rounding may choose between two values of the upscaled map that are nearly equal, half a pixel of the crop apart.
    assert np.median(apart) < 0.01
    assert np.max(apart) < 0.5


def test_the_networks_answer_as_torch_does(weights: Weights, folder: Path, rng: np.random.Generator) -> None:
    predictor, size = load_predictor(weights, device="cpu", precision="fp32"), weights.network.config.search_size
    pixels, exemplar_pixels = (rng.integers(0, 256, (1, side, side, 3), np.uint8) for side in (size, 127))
    embed, search = (onnxruntime.InferenceSession(folder / name) for name in (EXEMPLAR, SEARCH))
    (exemplar,) = embed.run(None, {"crop": exemplar_pixels.transpose(0, 3, 1, 2).astype(np.float32)})
    expected = predictor.embed(exemplar_pixels)
    np.testing.assert_allclose(exemplar, expected.float().numpy(), rtol=2e-3, atol=2e-3 * float(np.abs(exemplar).max()))
    given = {"crop": pixels.transpose(0, 3, 1, 2).astype(np.float32), "exemplar": expected.float().numpy()}
    if weights.network.head is not None:
        given["shape"] = np.array([[60, 80]], np.float32)
    response = search.run(None, given)[0]
    maps = predictor.maps(expected, pixels[:, None])[0]
    np.testing.assert_allclose(response[0], maps, rtol=1e-3, atol=1e-3 * float(np.ptp(maps)))
