"""The GPU's rendering, run on CPU tensors, against OpenCV's: same plans, near pixels."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from model.boxes import Box
from model.config import preset
from model.data.corpus import Corpus
from model.data.records import Member
from model.training.augment import Picture, Plan, Props, Shared, plan_view
from model.training.config import AugmentConfig, TrainingConfig
from model.training.device_rendering import DeviceBatches, render_all
from model.training.image_pool import ImagePool
from model.training.pairs import PairSampler
from model.training.rendering import render
from tests.model.conftest import Gallery
from tests.support.scenes import face, photograph

CPU = torch.device("cpu")
ALPHA = np.full((64, 52, 1), 255, np.uint8)
GALLERY = Gallery(
    image=photograph("coffee", 300),
    other=photograph("chelsea", 420),
    scenery=photograph("rocket", 200),
    cutout=np.dstack([face(), ALPHA]),
)
PLAIN = Shared(flip=False, grey=False, resolution=1.0, fill="mean")


@pytest.fixture
def pool() -> ImagePool:
    return ImagePool(GALLERY, CPU, 2**22)  # type: ignore[arg-type]


def plans(config: AugmentConfig, shared: Shared, box: Box, count: int = 3, props: Props | None = None) -> list[Plan]:
    found = []
    for seed in range(count):
        image = Member("image" if seed % 2 == 0 else "other")
        picture = Picture(image, GALLERY.size(image), box)
        rng = np.random.default_rng(seed)
        found.append(plan_view(picture, (255, 127), shared, props or Props(), config, rng))
    return found


def differences(chosen: list[Plan], pool: ImagePool) -> np.ndarray:
    """Absolute differences float [B, 255, 255, 3] of both renderings."""
    ours = render_all(tuple(chosen), pool)
    assert (ours.shape, ours.dtype) == ((len(chosen), 255, 255, 3), torch.uint8)
    return np.abs(ours.numpy().astype(float) - np.stack([render(plan, GALLERY) for plan in chosen]))


PLAINEST = dict.fromkeys((field.name for field in fields(AugmentConfig) if field.name != "max_shift"), 0.0)
MOVING = {**PLAINEST, "scale_jitter": 0.2, "aspect_jitter": 0.1, "rotation": 15.0}
CUTOUT = (Member("cutout"), (52, 64))


@pytest.mark.parametrize(
    ("changes", "shared", "props", "mean"),
    [
        pytest.param(PLAINEST, {}, Props(), 0.6, id="plain"),
        pytest.param(MOVING, {}, Props(), 0.6, id="warped"),
        pytest.param(MOVING, {"flip": True}, Props(), 0.6, id="flipped"),
        pytest.param(MOVING, {"fill": "mirror"}, Props(), 0.6, id="mirrored beyond the edge"),
        pytest.param(MOVING, {"fill": "scenery"}, Props(scenery=Member("scenery")), 1.5, id="scenery beyond it"),
        pytest.param({**MOVING, "truncation": 1.0}, {}, Props(), 0.6, id="truncated"),
        pytest.param(MOVING, {}, Props(None, CUTOUT, CUTOUT), 0.8, id="with cut-outs"),
        pytest.param({**MOVING, "colour": 0.3}, {}, Props(), 0.8, id="recoloured"),
        pytest.param(MOVING, {"grey": True}, Props(), 0.8, id="grey"),
        pytest.param({**MOVING, "blur": 1.0}, {}, Props(), 0.8, id="blurred"),
        pytest.param(MOVING, {"resolution": 2.5}, Props(), 2.5, id="of low resolution"),
        pytest.param({**MOVING, "jpeg": 1.0}, {}, Props(), 3.5, id="compressed"),
    ],
)
def test_both_renderings_are_near(
    changes: dict[str, float], shared: dict[str, object], props: Props, mean: float, pool: ImagePool
) -> None:
    chosen = plans(AugmentConfig(**changes), replace(PLAIN, **shared), Box(120, 60, 50, 70), props=props)  # type: ignore[arg-type]
    found = differences(chosen, pool)
    assert found.mean() < mean
    # Nothing is out of place: even edges agree nearly everywhere.
    assert np.quantile(found, 0.99) < 12 * max(1.0, mean)


def test_beyond_the_picture_lies_its_mean(pool: ImagePool) -> None:
    (plan,) = plans(AugmentConfig(**PLAINEST), PLAIN, Box(1, 1, 150, 150), 1)
    corner = render_all((plan,), pool)[0, 0, 0]
    expected = photograph("coffee", 300).reshape(-1, 3).mean(0)
    assert np.abs(corner.numpy() - expected).max() <= 1


def test_large_targets_are_read_from_smaller_copies(pool: ImagePool) -> None:
    config = AugmentConfig(**{**PLAINEST, "max_shift": 5.0})
    found = differences(plans(config, PLAIN, Box(-400, -300, 1000, 800)), pool)
    assert found.mean() < 3


def test_noise_is_of_the_planned_strength_and_the_same_each_time(pool: ImagePool) -> None:
    (plan,) = plans(AugmentConfig(**PLAINEST), PLAIN, Box(120, 60, 50, 70), 1)
    noisy = (replace(plan, noise=5.0, noise_seed=3),)
    first = render_all(noisy, pool).float()
    assert torch.equal(first, render_all(noisy, pool).float())
    spread = (first - render_all((plan,), pool).float())[first.gt(20) & first.lt(235)].std()
    assert spread.item() == pytest.approx(5, rel=0.1)


def test_batches_are_the_sampler_s_up_to_rendering(corpus: Corpus) -> None:
    config = TrainingConfig(items=2, steps=4, decay_steps=0, resident_mib=16)
    sampler = PairSampler(corpus, preset("paper"), config)
    device = DeviceBatches(corpus, sampler, CPU, config)
    for step in (1, 0, 1):
        ours, theirs = device.batch(step), sampler.batch(step)
        assert isinstance(ours.pixels, torch.Tensor)
        for name in ("shifts", "log_scales", "groups"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
        assert np.abs(ours.pixels.numpy().astype(float) - theirs.pixels).mean() < 12
        again = device.batch(step)
        assert isinstance(again.pixels, torch.Tensor)
        assert torch.equal(again.pixels, ours.pixels)
