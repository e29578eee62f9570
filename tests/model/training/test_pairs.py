from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.config import preset
from model.data.corpus import Corpus, Member, Track
from model.errors import CorpusError
from model.training.config import AugmentConfig, TrainingConfig
from model.training.pairs import Batch, PairSampler
from model.training.rendering import Decoded

PAPER = preset("paper")
CONFIG = TrainingConfig(items=4, steps=10, decay_steps=0)


def same(a: Batch, b: Batch) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("pixels", "shifts", "groups"))


def test_shapes_and_types(corpus: Corpus) -> None:
    batch = PairSampler(corpus, PAPER, CONFIG).batch(0)
    assert (batch.pixels.shape, batch.pixels.dtype) == ((8, 255, 255, 3), np.uint8)
    assert (batch.shifts.shape, batch.shifts.dtype) == ((8, 2), np.float32)
    assert (batch.groups.shape, batch.groups.dtype) == ((8,), np.int64)
    assert np.abs(batch.shifts).max() <= CONFIG.augment.max_shift
    np.testing.assert_array_equal(batch.groups[::2], batch.groups[1::2])


def test_a_step_s_batch_does_not_depend_on_what_came_before(corpus: Corpus) -> None:
    one, other = PairSampler(corpus, PAPER, CONFIG), PairSampler(corpus, PAPER, CONFIG)
    for step in range(3):
        one.batch(step)
    assert same(one.batch(3), other.batch(3))


def test_steps_and_seeds_differ(corpus: Corpus) -> None:
    sampler = PairSampler(corpus, PAPER, CONFIG)
    assert not same(sampler.batch(0), sampler.batch(1))
    assert not same(sampler.batch(0), PairSampler(corpus, PAPER, replace(CONFIG, seed=2)).batch(0))


def members(corpus: Corpus, config: TrainingConfig, steps: int) -> list[Member]:
    """The pictures of the batches' views, in order."""
    sampler, decoded = PairSampler(corpus, PAPER, config), Decoded(corpus)
    return [view.picture.image for step in range(steps) for view in sampler.plan(step, decoded).views]


def only(corpus: Corpus, **changes: Any) -> Corpus:
    """The corpus with some of its records replaced."""
    copy = Corpus.__new__(Corpus)
    copy.__dict__.update({**corpus.__dict__, **changes})
    return copy


def indexes(tracks: tuple[Track, ...], members: list[Member]) -> list[tuple[str, int]]:
    places = {member: (track.clip, index) for track in tracks for index, member in enumerate(track.frames)}
    return [places[member] for member in members]


def test_the_views_of_a_clip_are_near_in_time_and_show_the_target(corpus: Corpus, plain: AugmentConfig) -> None:
    config = replace(CONFIG, video_share=1.0, composite_share=0.0, max_gap=2, augment=plain)
    drawn = indexes(corpus.tracks, members(corpus, config, 12))
    assert len({clip for clip, _ in drawn}) == 4
    present = {track.clip: track.present for track in corpus.tracks}
    for (clip, first), (other_clip, second) in zip(drawn[::2], drawn[1::2], strict=True):
        assert clip == other_clip
        assert first != second
        assert {first, second} <= set(present[clip])
        # Neighbours beyond a gap are taken only where there are none within it, and never asked of an album.
        if clip in ("bows/face", "covers/face"):
            assert abs(first - second) <= 2


def test_stills_pair_with_themselves(corpus: Corpus, plain: AugmentConfig) -> None:
    config = replace(CONFIG, video_share=0.0, composite_share=0.0, augment=plain)
    drawn = members(corpus, config, 6)
    assert set(drawn) == {still.image for still in corpus.stills if still.boxes}
    assert drawn[::2] == drawn[1::2]
    # Two stills and four items a batch: some items are of one picture and thus no negatives of each other.
    sampler, decoded = PairSampler(corpus, PAPER, config), Decoded(corpus)
    assert all(len(set(sampler.plan(step, decoded).groups.tolist())) <= 2 for step in range(6))


def test_composites_are_groups_of_their_own(corpus: Corpus) -> None:
    sampler = PairSampler(corpus, PAPER, replace(CONFIG, video_share=0.0, composite_share=1.0))
    planned = sampler.plan(0, Decoded(corpus))
    assert len(set(planned.groups.tolist())) == 4
    assert all(view.cutouts for view in planned.views)


def test_a_source_of_weight_zero_is_never_drawn(corpus: Corpus, plain: AugmentConfig) -> None:
    weights = {"bows": 0.0, "covers": 0.0, "album": 0.0}
    config = replace(CONFIG, video_share=1.0, composite_share=0.0, source_weights=weights, augment=plain)
    assert {clip for clip, _ in indexes(corpus.tracks, members(corpus, config, 4))} == {"leaving/face"}


def test_without_stills_every_item_is_a_clip_s(corpus: Corpus) -> None:
    config = replace(CONFIG, video_share=0.0, composite_share=0.0)
    assert len(indexes(corpus.tracks, members(only(corpus, stills=()), config, 1))) == 8


def test_nothing_to_draw_is_refused(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="no still with a box"):
        PairSampler(only(corpus, stills=(), tracks=()), PAPER, CONFIG)
    with pytest.raises(CorpusError, match="all of the corpus's sources"):
        PairSampler(corpus, PAPER, replace(CONFIG, source_weights=dict.fromkeys(("pets", "kitchen"), 0.0)))
