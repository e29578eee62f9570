from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.boxes import Box
from model.data.records import Member
from model.training.augment import Picture, Plan, Props, Shared, compose, plan_view, resized
from model.training.config import AugmentConfig

PLAINLY = Shared(flip=False, grey=False, resolution=1.0, fill="mean")
IMAGE, CUTOUT = Member("image"), Member("cutout")
PICTURE = Picture(IMAGE, (320, 240), Box(100, 80, 60, 40))


def plan(config: AugmentConfig, seed: int, picture: Picture = PICTURE, props: Props | None = None) -> Plan:
    rng = np.random.default_rng(seed)
    return plan_view(picture, (255, 127), PLAINLY, props or Props(), config, rng)


def apply(matrix: np.ndarray, x: float, y: float) -> tuple[float, float]:
    return tuple((matrix @ np.array([x, y, 1.0])).tolist())


@given(seed=st.integers(0, 10**6), flip=st.booleans())
@settings(max_examples=50)
def test_the_target_s_centre_lies_where_the_plan_says(seed: int, flip: bool) -> None:
    shared = replace(PLAINLY, flip=flip)
    found = plan_view(PICTURE, (255, 127), shared, Props(), AugmentConfig(), np.random.default_rng(seed))
    # The view's middle is index 127; the box's centre (130, 100) is index (129.5, 99.5).
    assert apply(found.picture.matrix, 127 + found.dx, 127 + found.dy) == pytest.approx((129.5, 99.5))
    assert max(abs(found.dx), abs(found.dy)) <= AugmentConfig().max_shift


def test_without_variation_the_scale_is_the_tracker_s(plain: AugmentConfig) -> None:
    matrix = plan(plain, 0).picture.matrix
    # Context of 60 x 40: sqrt((60 + 50) * (40 + 50)) = 99.5 px make 127.
    np.testing.assert_allclose(matrix[:, :2], np.eye(2) * 99.49874 / 127, atol=1e-5)


def test_shifts_stay_within_bounds_and_reach_them(plain: AugmentConfig) -> None:
    config = replace(plain, max_shift=30.0)
    shifts = np.array([[each.dx, each.dy] for each in (plan(config, seed) for seed in range(60))])
    assert np.abs(shifts).max() <= 30
    assert (np.abs(shifts).max(0) > 25).all()


@pytest.mark.parametrize(
    ("changes", "field", "always"),
    [
        ({"blur": 1.0}, "kernel", lambda plan: plan.kernel is not None and plan.kernel.sum() == pytest.approx(1)),
        ({"noise": 1.0}, "noise", lambda plan: 2 <= plan.noise <= 10),
        ({"jpeg": 1.0}, "jpeg", lambda plan: 20 <= plan.jpeg < 70),
        ({"colour": 0.3}, "colour", lambda plan: 0.7 <= plan.colour.brightness <= 1.3),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_certain_is_always_planned_and_nothing_else(changes, field, always, plain: AugmentConfig) -> None:  # type: ignore[no-untyped-def]
    for seed in range(8):
        assert always(plan(replace(plain, **changes), seed))
        without = plan(plain, seed)
        assert (without.kernel, without.noise, without.jpeg, without.cutouts) == (None, 0, 0, ())
        assert without.colour.brightness == without.colour.contrast == without.colour.saturation == 1


def test_a_truncated_target_is_covered_by_two_fifths_at_most(plain: AugmentConfig) -> None:
    ends = set()
    for seed in range(40):
        x0, y0, x1, y1 = plan(replace(plain, truncation=1.0), seed).bounds
        ends.add((x0 > 0, y0 > 0, x1 < 320, y1 < 240))
        assert sum((x0 > 0, y0 > 0, x1 < 320, y1 < 240)) == 1
        wide, high = min(x1, 160) - max(x0, 100), min(y1, 120) - max(y0, 80)
        # Bounds are whole pixels.
        assert 0.55 * 60 * 40 <= wide * high < 60 * 40
    assert len(ends) == 4
    assert plan(plain, 0).bounds == (0, 0, 320, 240)


@pytest.mark.parametrize("prop", ["distractor", "occluder"])
def test_a_cutout_lies_beside_or_over_the_target(prop: str, plain: AugmentConfig) -> None:
    props = Props(**{prop: (CUTOUT, (20, 40))})
    for seed in range(20):
        found = plan(plain, seed, props=props)
        (layer,) = found.cutouts
        x, y = apply(np.linalg.inv(np.vstack([layer.matrix, [0, 0, 1]]))[:2], 9.5, 19.5)
        off = np.hypot(x - 127 - found.dx, y - 127 - found.dy)
        # The target of 60 x 40 is 76.6 x 51 px in the view, its diagonal 92.
        assert (64 < off < 120) if prop == "distractor" else off < 47


def test_a_pasted_target_fills_its_box(plain: AugmentConfig) -> None:
    picture = replace(PICTURE, pasted=CUTOUT, pasted_size=(20, 40))
    (layer,) = plan(plain, 3, picture).cutouts
    found = plan(plain, 3, picture).picture.matrix
    # Through the picture's indexes: the box's corners are the cut-out's, half an index outside.
    back = compose(layer.matrix, np.linalg.inv(np.vstack([found, [0, 0, 1]]))[:2])
    assert apply(back, 99.5, 79.5) == pytest.approx((-0.5, -0.5))
    assert apply(back, 159.5, 119.5) == pytest.approx((19.5, 39.5))


def test_what_a_pair_shares_follows_its_probabilities() -> None:
    rng = np.random.default_rng(0)
    config = AugmentConfig(flip=0.25, grey=0.0, low_resolution=1.0, mirror_fill=0.5, scenery_fill=0.5)
    drawn = [Shared.draw(config, rng) for _ in range(400)]
    assert np.mean([shared.flip for shared in drawn]) == pytest.approx(0.25, abs=0.07)
    assert not any(shared.grey for shared in drawn)
    assert all(1.3 <= shared.resolution <= 4 for shared in drawn)
    assert {shared.fill for shared in drawn} == {"mirror", "scenery"}


def test_resizing_keeps_edges_on_edges() -> None:
    matrix = resized((0.5, 2.0))
    assert apply(matrix, -0.5, -0.5) == (-0.5, -0.5)
    assert apply(matrix, 9.5, 9.5) == (4.5, 19.5)
