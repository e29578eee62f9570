from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.boxes import Box
from model.errors import CorpusError
from model.training.corpus import Corpus
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
