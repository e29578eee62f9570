"""The search on a few rendered clips with a small untrained network: what holds whatever the network is worth."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from model.boxes import Box
from model.checkpoints import Weights
from model.config import Preprocessing, TrackerConfig, preset
from model.data.clips import choose_clips
from model.data.corpus import Corpus, Member, Track
from model.data.rendered import Place, along, photograph, render
from model.errors import ConfigError, CorpusError
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker
from model.tuning import tune as tuning
from model.tuning.tune import PYRAMID_BOUNDS, Tuning, TuningConfig, tune
from tests.support.networks import TINY, random_network
from tests.support.scenes import cup, face

FRAMES = 3
CONSTANTS = TrackerConfig(min_side=3.0, upscale=2)


class Clips(Corpus):
    """A corpus in memory: pictures moving over a photograph at different speeds, one clip a family."""

    def __init__(self, count: int, sources: int = 2) -> None:
        self._images: dict[Member, np.ndarray] = {}
        tracks = []
        for index in range(count):
            path = along(lambda t, i=index: Place(100 + 4 * i * t, 90 + 20 * t, 1.05 ** (i * t)), FRAMES)
            scene = render(photograph("chelsea", 200), face() if index % 2 else cup(), path)
            source = f"s{index % sources}"
            name = f"{source}/{'abcdefghij'[index]}"
            frames = tuple(Member(name, position, 1) for position in range(FRAMES))
            self._images |= dict(zip(frames, scene.frames, strict=True))
            boxes = tuple(Box(*row) for row in scene.truth.tolist())
            tracks.append(Track(source, name, frames, boxes, True))
        self.tracks = tuple(tracks)

    def rgb(self, member: Member) -> np.ndarray:
        return self._images[member]


@pytest.fixture(scope="module")
def corpus() -> Clips:
    return Clips(10)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    weights = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0), CONSTANTS)
    return load_predictor(weights, device="cpu", precision="fp32")


CONFIG = TuningConfig(minutes=60, trials=8, frames=FRAMES, random=4)


@pytest.fixture(scope="module")
def found(predictor: Predictor, corpus: Clips) -> Tuning:
    return tune(predictor, corpus, CONFIG)


def overlap_by_hand(predictor: Predictor, corpus: Clips, constants: TrackerConfig, track: Track) -> float:
    weights = dataclasses.replace(predictor.weights, constants=constants)
    tracker = SingleTracker(load_predictor(weights, device="cpu", precision="fp32"))
    tracker.start(corpus.rgb(track.frames[0]), track.boxes[0])  # type: ignore[arg-type]
    shares = []
    for frame, truth in zip(track.frames[1:], track.boxes[1:], strict=True):
        box = tracker.update(corpus.rgb(frame)).box
        assert truth is not None
        wide = max(0.0, min(box.x + box.w, truth.x + truth.w) - max(box.x, truth.x))
        high = max(0.0, min(box.y + box.h, truth.y + truth.h) - max(box.y, truth.y))
        shares.append(wide * high / (box.w * box.h + truth.w * truth.h - wide * high))
    return sum(shares) / len(shares)


def test_the_numbers_are_those_of_following_each_clip(found: Tuning, predictor: Predictor, corpus: Clips) -> None:
    clips = choose_clips(corpus.tracks, CONFIG.seed, FRAMES, CONFIG.clips_per_source)
    for constants, trial, check in (
        (found.present.constants, found.present, found.check_present),
        (found.best.constants, found.best, found.check_best),
    ):
        search = [overlap_by_hand(predictor, corpus, constants, each.track) for each in clips.search]
        assert trial.ao == pytest.approx(np.dot(search, clips.search_weights))
        checked = [overlap_by_hand(predictor, corpus, constants, each.track) for each in clips.check]
        assert check == pytest.approx(np.dot(checked, clips.check_weights))


def test_the_best_is_the_best_and_is_chosen_if_the_check_agrees(found: Tuning, predictor: Predictor) -> None:
    assert found.present.constants == predictor.weights.constants
    assert found.best == found.trials[0] == max(found.trials, key=lambda trial: trial.ao)
    assert found.present in found.trials
    better = found.check_best > found.check_present
    assert found.constants == (found.best.constants if better else found.present.constants)
    assert found.improved is better
    assert len({trial.constants for trial in found.trials}) == len(found.trials)


def test_only_the_scales_and_the_window_move_and_stay_within_bounds(found: Tuning, predictor: Predictor) -> None:
    for trial in found.trials:
        for name, value in dataclasses.asdict(trial.constants).items():
            if name in PYRAMID_BOUNDS:
                assert PYRAMID_BOUNDS[name][0] <= value <= PYRAMID_BOUNDS[name][1]
            elif name != "scale_interpolation":
                assert value == getattr(predictor.weights.constants, name)


def test_candidates_that_fall_behind_are_not_followed_to_the_end(found: Tuning) -> None:
    assert found.dropped > 0
    assert len(found.trials) + found.dropped == CONFIG.trials


def test_a_seed_gives_the_same_again(found: Tuning, predictor: Predictor, corpus: Clips) -> None:
    assert tune(predictor, corpus, CONFIG) == found


def test_the_predictor_is_left_as_it_was(found: Tuning, predictor: Predictor) -> None:
    assert predictor.weights.constants == CONSTANTS


def test_when_the_time_is_over_the_present_constants_stand(predictor: Predictor, corpus: Clips) -> None:
    # A minute passes whenever the clock is looked at.
    minutes = itertools.count(step=60)
    lines: list[str] = []
    found = tune(predictor, corpus, TuningConfig(minutes=1, frames=FRAMES), lines.append, lambda: next(minutes))
    assert found.trials == (found.present,)
    assert (found.best, found.constants, found.improved) == (found.present, found.present.constants, False)
    assert len(lines) == 1


def test_the_search_ends_by_itself(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "_LAST_STEP", 0.1)
    monkeypatch.setattr(tuning, "PYRAMID_BOUNDS", {"scale_penalty": PYRAMID_BOUNDS["scale_penalty"]})
    lines: list[str] = []
    found = tune(
        predictor, Clips(3, sources=1), TuningConfig(minutes=60, trials=1000, frames=FRAMES, random=0), lines.append
    )
    assert 1 < len(found.trials) + found.dropped < 30
    assert "best AO" in lines[-1]


def test_one_trial_is_the_present_constants(predictor: Predictor, corpus: Clips) -> None:
    found = tune(predictor, corpus, dataclasses.replace(CONFIG, trials=1))
    assert found.trials == (found.present,)


def test_too_few_clips_are_refused(predictor: Predictor) -> None:
    with pytest.raises(CorpusError, match="too few"):
        tune(predictor, Clips(2), CONFIG)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        ({"minutes": 0}, "minutes"),
        ({"minutes": float("nan")}, "minutes"),
        ({"trials": 0}, "trials"),
        ({"seed": -1}, "seed"),
        ({"frames": 2}, "frames"),
        ({"clips_per_source": 0}, "clips_per_source"),
        ({"random": -1}, "random"),
        ({"minuets": 3}, "no field minuets"),
    ],
)
def test_refusals(values: dict[str, float], part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        TuningConfig.from_dict(values)


def test_a_network_with_a_head_has_constants_of_its_own() -> None:
    present = TrackerConfig.of(preset("swift"))
    rng = np.random.default_rng(1)
    for candidate in (*tuning._steps(present, 0.1), tuning._random(present, rng)):
        changed = {name for name, value in dataclasses.asdict(candidate).items() if value != getattr(present, name)}
        assert changed
        assert changed <= set(tuning.HEAD_BOUNDS)
        assert all(low <= getattr(candidate, name) <= high for name, (low, high) in tuning.HEAD_BOUNDS.items())
