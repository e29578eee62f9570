from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.checkpoints import Weights
from model.config import Preprocessing
from model.errors import CorpusError
from model.inference import Predictor
from model.score_map import Peak
from model.training.calibration import Evidence, expected_calibration_error, fit, gather
from model.training.corpus import Corpus
from tests.support.networks import TINY, random_network


def test_a_known_logistic_is_found_again(rng: np.random.Generator) -> None:
    features = rng.normal([1, 8], [2, 3], (20_000, 2))
    chance = 1 / (1 + np.exp(-(-2 + 0.8 * features[:, 0] + 0.15 * features[:, 1])))
    right = rng.random(20_000) < chance
    found = fit(Evidence(features, right, np.ones(20_000)))
    # The ridge draws a little towards zero.
    assert (found.bias, found.logit, found.contrast) == pytest.approx((-2, 0.8, 0.15), rel=0.2)
    scores = np.array([found.score(Peak(0, 0, 0, logit, contrast)) for logit, contrast in features[:5000]])
    assert expected_calibration_error(scores, right[:5000]) < 0.04


def test_weights_count_as_repetitions(rng: np.random.Generator) -> None:
    features, right = rng.normal(size=(60, 2)), rng.random(60) < 0.5
    repeats = rng.integers(1, 4, 60)
    weighted = fit(Evidence(features, right, repeats.astype(float)))
    repeated = fit(Evidence(features.repeat(repeats, 0), right.repeat(repeats), np.ones(repeats.sum())))
    reading = Peak(0, 0, 0, 0.5, -0.5)
    # Not to the bit: the features are scaled by their unweighted spread before the ridge.
    assert weighted.score(reading) == pytest.approx(repeated.score(reading), abs=0.02)


@pytest.mark.parametrize("right", [True, False])
def test_one_sided_evidence_gives_finite_numbers(right: bool, rng: np.random.Generator) -> None:
    found = fit(Evidence(rng.normal(size=(30, 2)), np.full(30, right), np.ones(30)))
    assert (found.score(Peak(0, 0, 0, 0, 0)) > 0.5) is right


@pytest.mark.parametrize(
    ("scores", "right", "expected"),
    [
        pytest.param([0.85, 0.85, 0.85, 0.85], [1, 1, 1, 0], 0.10, id="75 % of what says 85 %"),
        pytest.param([0.0, 1.0], [0, 1], 0.0, id="sure and right"),
        pytest.param([0.0, 1.0], [1, 0], 1.0, id="sure and wrong"),
        pytest.param([0.95, 0.95, 0.25, 0.25], [1, 1, 0, 0], 0.15, id="0.05 in one half, 0.25 in the other"),
    ],
)
def test_expected_calibration_error_by_hand(scores: list[float], right: list[int], expected: float) -> None:
    assert expected_calibration_error(np.array(scores), np.array(right, bool)) == pytest.approx(expected)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(Weights(random_network(TINY), Preprocessing(mean=114, std=58)), device="cpu", precision="fp32")


def test_evidence_comes_from_ordered_clips_and_their_absence(corpus: Corpus, predictor: Predictor) -> None:
    evidence = gather(predictor, corpus, max_frames=4)
    # Three ordered clips of 6, 5 and 10 frames: 3 frames after the first of each, then up to 6 of the next clip's.
    assert evidence.features.shape == (3 * 3 + 5 + 6 + 6, 2)
    assert np.isfinite(evidence.features).all()
    assert evidence.weights.sum() == pytest.approx(3)
    assert not evidence.right[3:8].any()


def test_fewer_than_two_clips_are_refused(corpus: Corpus, predictor: Predictor) -> None:
    few = Corpus.__new__(Corpus)
    few.__dict__.update(corpus.__dict__)
    few.tracks = (corpus.tracks[0], replace(corpus.tracks[1], ordered=False))
    with pytest.raises(CorpusError, match="at least two"):
        gather(predictor, few)
