from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.checkpoints import Weights
from model.config import Preprocessing
from model.data.corpus import Corpus
from model.errors import CorpusError
from model.evaluation.reliability import reliability
from model.inference.loading import load_predictor
from model.inference.predictor import Predictor
from model.score_map import Peak
from model.training.calibration import Evidence, Reading, fit, gather
from tests.support.networks import TINY, random_network


def test_a_known_logistic_is_found_again(rng: np.random.Generator) -> None:
    features = rng.normal([1, 8], [2, 3], (20_000, 2))
    chance = 1 / (1 + np.exp(-(-2 + 0.8 * features[:, 0] + 0.15 * features[:, 1])))
    right = rng.random(20_000) < chance
    found = fit(Evidence(features, right, np.ones(20_000)))
    # The ridge draws a little towards zero.
    assert (found.bias, found.logit, found.contrast) == pytest.approx((-2, 0.8, 0.15), rel=0.2)
    scores = np.array([found.score(Peak(0, 0, 0, logit, contrast)) for logit, contrast in features[:5000]])
    found_out = reliability(scores, right[:5000])
    assert found_out is not None
    assert found_out.ece < 0.04


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
    ("present", "expected"),
    [
        pytest.param([True, True, True, False], [0.6, 0.6, 0.6, 0.2], id="a tenth for the frames without the target"),
        pytest.param([True, True], [1.0, 1.0], id="always there"),
        pytest.param([False], [2.0], id="never there"),
    ],
)
def test_a_runs_frames_share_its_weight(present: list[bool], expected: list[float]) -> None:
    run = [Reading(float(index), 1.0, there, there) for index, there in enumerate(present)]
    evidence = Evidence.of([(run, 2.0), ([Reading(9.0, 1.0, True, True)], 1.0)])
    assert evidence.weights == pytest.approx([*expected, 1.0])
    assert evidence.right.tolist() == [*present, True]


def test_evidence_can_be_weighed_to_a_share_of_right_boxes() -> None:
    run = [Reading(float(index), 1.0, index == 0, True) for index in range(4)]
    weighed = Evidence.of([(run, 1.0)]).with_share(0.75)
    assert weighed.weights == pytest.approx([0.75, *[0.25 / 3] * 3])


@pytest.mark.parametrize(("right", "share"), [([True, True], 0.5), ([False], 0.5), ([True, False], 1.0)])
def test_a_share_that_cannot_be_had_is_refused(right: list[bool], share: float) -> None:
    evidence = Evidence(np.zeros((len(right), 2)), np.array(right), np.ones(len(right)))
    with pytest.raises(ValueError, match="no share"):
        evidence.with_share(share)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor(
        Weights(random_network(TINY), Preprocessing(mean=114, std=58)), device="cpu", precision="fp32"
    )


def test_evidence_comes_from_ordered_clips_and_their_absence(corpus: Corpus, predictor: Predictor) -> None:
    evidence = gather(predictor, corpus, corpus.tracks, max_frames=4)
    # Three ordered clips of 6, 5 and 10 frames: 3 frames after the first of each, then up to 6 of the next clip's.
    assert evidence.features.shape == (3 * 3 + 5 + 6 + 6, 3)
    assert np.isfinite(evidence.features).all()
    assert evidence.weights.sum() == pytest.approx(3)
    assert not evidence.right[3:8].any()


def test_fewer_than_two_clips_are_refused(corpus: Corpus, predictor: Predictor) -> None:
    few = Corpus.__new__(Corpus)
    few.__dict__.update(corpus.__dict__)
    few.tracks = (corpus.tracks[0], replace(corpus.tracks[1], ordered=False))
    with pytest.raises(CorpusError, match="at least two"):
        gather(predictor, few, few.tracks)
