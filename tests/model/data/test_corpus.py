from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.boxes import Box
from model.data.corpus import Corpus, Member, Track, is_held_out
from model.errors import CorpusError
from tests.support.scenes import face, photograph, translation


def test_everything_is_found(corpus: Corpus) -> None:
    assert [still.source for still in corpus.stills] == ["pets", "kitchen", "sky"]
    assert corpus.stills[0].boxes == (Box(40, 20, 60, 50), Box(100, 60, 40, 30))
    assert [(track.clip, track.ordered) for track in corpus.tracks] == [
        ("bows/face", True),
        ("covers/face", True),
        ("leaving/face", True),
        ("album/face", False),
    ]
    assert len(corpus.cutouts) == 2


def test_absent_boxes_are_none(corpus: Corpus) -> None:
    track = corpus.tracks[2]
    assert len(track.boxes) == len(track.frames) == 10
    assert 0 < track.boxes.count(None) < 5
    assert track.present == tuple(index for index in range(10) if track.boxes[index] is not None)


def test_images_come_out_as_they_went_in(corpus: Corpus) -> None:
    still = corpus.rgb(corpus.stills[0].image)
    assert still.dtype == np.uint8
    assert np.abs(still.astype(int) - photograph("chelsea", 200)).mean() < 3  # jpeg
    frame = corpus.rgb(corpus.tracks[0].frames[5])
    assert np.abs(frame.astype(int) - translation(6).frames[5]).mean() < 3
    cutout = corpus.rgba(corpus.cutouts[1].image)
    assert cutout.shape == (64, 52, 4)
    assert np.abs(cutout[..., :3].astype(int) - face()).mean() < 6
    assert (cutout[..., 3] == 255).all()


def _edit_row(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / name
        first, *rest = path.read_text().splitlines()
        row = json.loads(first)
        change(row)
        path.write_text("\n".join([json.dumps(row), *rest]))

    return edit


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        pytest.param(lambda folder: (folder / "all-00.tar").unlink(), r"all-00\.tar", id="no shard"),
        pytest.param(lambda folder: (folder / "all-00.tar").write_bytes(b"x" * 2000), r"all-00\.tar", id="no tar"),
        pytest.param(
            lambda folder: (folder / "videos.jsonl").write_text("{"), r"videos\.jsonl:1: Expecting", id="no JSON"
        ),
        pytest.param(lambda folder: (folder / "videos.jsonl").write_text("3"), r"videos\.jsonl:1", id="a number"),
        pytest.param(
            _edit_row("stills.jsonl", lambda row: row.pop("boxes")), r"stills\.jsonl:1: no 'boxes'", id="a key missing"
        ),
        pytest.param(
            _edit_row("stills.jsonl", lambda row: row["boxes"][0].pop()),
            r"stills\.jsonl:1",
            id="a box of three numbers",
        ),
        pytest.param(
            _edit_row("stills.jsonl", lambda row: row.update(member="x.jpg")), "no member 'x.jpg'", id="no such member"
        ),
        pytest.param(
            _edit_row("videos.jsonl", lambda row: row["tracks"][0]["boxes"].pop()), "5 boxes for 6", id="a box short"
        ),
    ],
)
def test_refusals(corpus_folder: Path, tmp_path: Path, damage: Callable[[Path], None], reason: str) -> None:
    folder = tmp_path / "corpus"
    shutil.copytree(corpus_folder, folder)
    damage(folder)
    with pytest.raises(CorpusError, match=reason):
        Corpus(folder)


def test_nothing_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="neither"):
        Corpus(tmp_path)
    with pytest.raises(CorpusError, match="no such folder"):
        Corpus(tmp_path / "none")


def test_several_folders_are_one_corpus(corpus_folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(corpus_folder, other)
    both = Corpus(corpus_folder, other)
    assert (len(both.stills), len(both.tracks), len(both.cutouts)) == (6, 8, 4)
    # Shards of one name in two folders stay apart.
    for still in (both.stills[0], both.stills[3]):
        assert np.abs(both.rgb(still.image).astype(int) - photograph("chelsea", 200)).mean() < 3


def test_a_single_file_that_cannot_be_read_is_named(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.jpg"):
        corpus.rgb(Member(str(tmp_path / "none.jpg")))
    for content in (b"", b"no image"):
        (tmp_path / "broken.jpg").write_bytes(content)
        with pytest.raises(CorpusError, match=r"broken\.jpg"):
            corpus.rgb(Member(str(tmp_path / "broken.jpg")))


def _track(clip: str) -> Track:
    return Track("x", clip, (), (), ordered=True)


def test_what_is_held_out_is_a_stable_share() -> None:
    clips = [_track(f"clip-{number}") for number in range(2000)]
    held = {track.clip for track in clips if is_held_out(track, 0.1)}
    assert len(held) == pytest.approx(200, rel=0.2)
    assert held < {track.clip for track in clips if is_held_out(track, 0.2)}
    assert not any(is_held_out(track, 0.0) for track in clips)
    # These names fall so for good: another hash would put clips of a finished training into its validation.
    assert sorted(held)[:3] == ["clip-1011", "clip-1021", "clip-1024"]


def test_held_out_clips_leave_with_the_cutouts_cut_from_them(corpus: Corpus) -> None:
    share = next(share / 100 for share in range(100) if is_held_out(corpus.tracks[0], share / 100))
    copy = Corpus.__new__(Corpus)
    copy.__dict__.update(corpus.__dict__)
    names = ("bows/face_3.webp", "bows/faces_1.webp", "other.webp")
    copy.cutouts = tuple(replace(corpus.cutouts[0], name=name) for name in names)
    rest, held = copy.divided(share)
    assert corpus.tracks[0] in held
    assert set(rest.tracks) | set(held) == set(corpus.tracks)
    assert not set(rest.tracks) & set(held)
    assert [cutout.name for cutout in rest.cutouts] == ["bows/faces_1.webp", "other.webp"]
    assert len(copy.tracks) == 4


def test_where_nothing_would_be_left_nothing_is_held_out(corpus: Corpus) -> None:
    copy = Corpus.__new__(Corpus)
    copy.__dict__.update(corpus.__dict__)
    copy.stills = ()
    rest, held = copy.divided(0.999)
    assert (rest.tracks, held) == (corpus.tracks, ())
