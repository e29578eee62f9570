from __future__ import annotations

import numpy as np
import pytest

from model.checkpoints import Weights
from model.config import Preprocessing
from model.data.corpus import Corpus, Track
from model.labels import create_bce_logit_label
from model.training.config import TrainingConfig
from model.training.validation import Validator, area_under_roc, peak_errors
from tests.support.networks import TINY, random_network

CONFIG = TrainingConfig(validation_pairs=10, max_gap=3)
WEIGHTS = Weights(random_network(TINY), Preprocessing(mean=114.0, std=58.0))
LABEL = create_bce_logit_label(17, 12, 20, 8)


def of(corpus: Corpus, held: tuple[Track, ...], config: TrainingConfig = CONFIG) -> Validator:
    return Validator(corpus, held, TINY, config)


def test_the_area_by_counting_pairs(rng: np.random.Generator) -> None:
    maps = rng.integers(0, 6, (3, 17, 17)).astype(np.float32)  # with ties
    high = maps[:, (LABEL[..., 0] > 0)].ravel()
    low = maps[:, (LABEL[..., 0] == 0) & (LABEL[..., 1] > 0)].ravel()
    wins = (high[:, None] > low[None, :]).mean() + 0.5 * (high[:, None] == low[None, :]).mean()
    assert area_under_roc(maps, LABEL) == pytest.approx(wins)


@pytest.mark.parametrize(("sign", "area"), [(1, 1.0), (-1, 0.0), (0, 0.5)])
def test_the_area_of_the_label_itself(sign: int, area: float) -> None:
    assert area_under_roc(np.stack([sign * LABEL[..., 0]] * 2), LABEL) == area


def test_neutral_cells_do_not_count() -> None:
    neutral = LABEL[..., 1] == 0
    assert neutral.any()
    map_ = np.where(neutral, 100, LABEL[..., 0]).astype(np.float32)
    assert area_under_roc(map_[None], LABEL) == 1


@pytest.mark.parametrize(("peak", "error"), [((8, 8), 0), ((8, 10), 16), ((5, 12), 40), ((0, 0), 64 * 2**0.5)], ids=str)
def test_a_peak_s_error_is_its_distance_from_the_middle_in_pixels(peak: tuple[int, int], error: float) -> None:
    maps = np.zeros((2, 17, 17), np.float32)
    maps[:, 8, 8] = 1
    maps[1, peak[0], peak[1]] = 5
    assert peak_errors(maps, 8).tolist() == pytest.approx([0, error])


def test_a_peak_between_cells_is_found_between_them() -> None:
    line = np.exp(-0.5 * ((np.arange(17) - 8.5) / 1.5) ** 2)
    assert peak_errors(np.outer(line, line)[None].astype(np.float32), 8)[0] == pytest.approx(4 * 2**0.5)


def test_pairs_show_the_target_in_the_middle_and_are_the_same_each_time(corpus: Corpus) -> None:
    held = corpus.tracks[:1]  # the face of the astronaut, moved over a cat
    first, second = of(corpus, held).pairs, of(corpus, held).pairs
    assert first is not None
    assert second is not None
    assert first.exemplars.shape == (10, 127, 127, 3)
    assert first.searches.shape == (10, 255, 255, 3)
    np.testing.assert_array_equal(first.searches, second.searches)
    # All show the face alike in the middle, whatever frame they are of; other frames show another surrounding.
    middles = first.searches[:, 104:151, 104:151].astype(float)
    assert np.abs(middles - middles.mean(0)).mean() < 6
    assert np.abs(middles - first.exemplars[:, 40:87, 40:87]).mean() < 8


def test_a_validation_measures_pairs_and_if_asked_clips(corpus: Corpus) -> None:
    validator = of(corpus, corpus.tracks)
    found = validator(WEIGHTS, 7, "cpu", track=False)
    assert (found.step, found.overlap) == (7, None)
    assert 0 <= found.auc <= 1
    assert 0 <= found.error_px <= 91
    assert found == validator(WEIGHTS, 7, "cpu", track=False)
    tracked = validator(WEIGHTS, 7, "cpu", track=True)
    assert tracked.overlap is not None
    assert 0 <= tracked.overlap <= 1


def test_an_example_is_a_pair_and_its_map(corpus: Corpus) -> None:
    exemplar, search, logits = of(corpus, corpus.tracks).example(WEIGHTS, "cpu")
    assert (exemplar.shape, search.shape, logits.shape) == ((127, 127, 3), (255, 255, 3), (17, 17))


def test_without_ordered_clips_there_is_nothing_to_validate(corpus: Corpus) -> None:
    assert not of(corpus, ())
    assert not of(corpus, tuple(track for track in corpus.tracks if not track.ordered))
    assert of(corpus, corpus.tracks)
