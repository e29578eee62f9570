from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from model.boxes import Box
from model.data.clips import Clips, choose_clips, family, refuse_evaluation_layout
from model.data.corpus import Member, Track
from model.errors import CorpusError

BOX = Box(1, 2, 30, 40)


def track(clip: str, shown: str = "xxxxxxxx", ordered: bool = True) -> Track:
    """A track of `source/clip`; a frame a letter, x where the target is shown."""
    boxes = tuple(BOX if letter == "x" else None for letter in shown)
    frames = tuple(Member("shard", index, 1) for index in range(len(shown)))
    return Track(clip.partition("/")[0], clip, frames, boxes, ordered)


MANY = [
    *(track(f"runway/{kind}_{number:06d}") for kind in ("Bolt", "Nut", "Pen", "Wire", "Tape") for number in (14, 77)),
    *(track(f"street/{name}") for name in ("dog", "car-1", "car-2", "cows", "camel", "goat")),
    track("lone/tennis"),
]


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        ("foda/ClampPart_002544", ("foda", "foda/ClampPart")),
        ("staticcam/vtest_00047", ("staticcam", "staticcam/vtest")),
        ("davis/car-shadow", ("davis", "davis/car-shadow")),
        ("davis/car-2", ("davis", "davis/car")),
        ("demo/02_cups", ("demo", "demo/02_cups")),
        ("0001", ("0001", "0001")),
    ],
)
def test_family(clip: str, expected: tuple[str, str]) -> None:
    assert family(track(clip)) == expected


def sides(clips: Clips) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    return {family(each.track) for each in clips.search}, {family(each.track) for each in clips.check}


@pytest.mark.parametrize("seed", range(5))
def test_a_family_is_on_one_side_only_and_once(seed: int) -> None:
    clips = choose_clips(MANY, seed, frames=4, per_source=9)
    search, check = sides(clips)
    assert not search & check
    assert (len(search), len(check)) == (len(clips.search), len(clips.check))
    # Five families of runway, five of street (the two cars are one), one alone: of every three one is for the check.
    assert Counter(source for source, _ in search) == {"runway": 4, "street": 4, "lone": 1}
    assert Counter(source for source, _ in check) == {"runway": 1, "street": 1}


def test_a_seed_draws_the_same_and_another_others() -> None:
    drawn = [choose_clips(MANY, seed, frames=4, per_source=9) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert choose_clips(MANY[::-1], 0, frames=4, per_source=9).search_weights == drawn[0].search_weights


def test_a_source_weighs_as_the_root_of_its_windows() -> None:
    clips = choose_clips(MANY, 0, frames=4, per_source=9)
    by_source: Counter[str] = Counter()
    for excerpt, weight in zip(clips.search, clips.search_weights, strict=True):
        by_source[excerpt.track.source] += weight  # type: ignore[assignment]
    assert sum(by_source.values()) == pytest.approx(1)
    assert by_source["runway"] == pytest.approx(2 * by_source["lone"])
    assert sum(clips.check_weights) == pytest.approx(1)


def test_no_source_has_more_than_allowed_and_they_alternate() -> None:
    clips = choose_clips(MANY, 0, frames=4, per_source=2)
    assert [each.track.source for each in clips.search] == ["lone", "runway", "street", "runway", "street"]


@pytest.mark.parametrize(
    ("shown", "frames", "expected"),
    [
        pytest.param("xxxxxx", 4, (0, 4), id="the first frames"),
        pytest.param("..x.xx.x", 5, (2, 7), id="from the first appearance"),
        pytest.param("xxx", 9, (0, 3), id="as many as there are"),
    ],
)
def test_windows(shown: str, frames: int, expected: tuple[int, int]) -> None:
    clips = choose_clips([track(f"s/{name}", shown) for name in "abc"], 0, frames, 9)
    assert {(each.start, each.stop) for each in clips.search + clips.check} == {expected}


@pytest.mark.parametrize(
    "tracks",
    [
        pytest.param([], id="none"),
        pytest.param([track("s/a"), track("s/b")], id="two"),
        pytest.param([track("s/a_1"), track("s/a_2"), track("s/a_3"), track("s/b")], id="two families"),
        pytest.param([track(f"s/{name}", ordered=False) for name in "abc"], id="photographs"),
        pytest.param([track(f"s/{name}", "x.....xx") for name in "abc"], id="hardly shown within the frames"),
        pytest.param([track(f"s/{name}", "...") for name in "abc"], id="never shown"),
    ],
)
def test_too_few_clips_are_refused(tracks: list[Track]) -> None:
    with pytest.raises(CorpusError, match="too few ordered clips"):
        choose_clips(tracks, 0, frames=4, per_source=9)


def test_evaluation_sequences_are_refused(tmp_path: Path) -> None:
    refuse_evaluation_layout(tmp_path)
    (tmp_path / "Man" / "img").mkdir(parents=True)
    refuse_evaluation_layout(tmp_path)
    (tmp_path / "Man" / "groundtruth_rect.txt").touch()
    for folder in (tmp_path, tmp_path / "Man"):
        with pytest.raises(CorpusError, match="Man: an evaluation sequence"):
            refuse_evaluation_layout(folder)
