from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from model.boxes import Box
from model.data.corpus import Corpus
from model.data.readers import got10k
from model.errors import CorpusError
from tests.support.scenes import translation


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """train/GOT-10k_Train_00000K/{0000000N.jpg, groundtruth.txt, absence.label}, as the dataset unpacks."""
    scene = translation(4)
    for number in (1, 2):
        folder = tmp_path / "train" / f"GOT-10k_Train_{number:06d}"
        folder.mkdir(parents=True)
        for index, frame in enumerate(scene.frames, 1):
            cv2.imwrite(str(folder / f"{index:08d}.jpg"), frame[..., ::-1])
        one_indexed = scene.truth + np.array([1, 1, 0, 0])
        np.savetxt(folder / "groundtruth.txt", one_indexed, fmt="%.4f", delimiter=",")
        (folder / "absence.label").write_text("0\n0\n1\n0\n" if number == 2 else "0\n0\n0\n0\n")
    (tmp_path / "train" / "list.txt").write_text("GOT-10k_Train_000001\nGOT-10k_Train_000002\n")
    return tmp_path


def test_sequences_become_tracks_in_our_coordinates(root: Path) -> None:
    assert got10k.recognises(root)
    assert got10k.recognises(root / "train")
    first, second = got10k.read(root).tracks
    assert (first.source, first.clip, first.ordered) == ("got10k", "GOT-10k_Train_000001", True)
    box = first.boxes[1]
    assert isinstance(box, Box)
    assert box.as_list() == pytest.approx(translation(4).truth[1].tolist(), abs=1e-3)
    assert [found is None for found in second.boxes] == [False, False, True, False]


def test_its_frames_decode(root: Path) -> None:
    corpus = Corpus(root)
    frame = corpus.rgb(corpus.tracks[0].frames[2])
    assert np.abs(frame.astype(int) - translation(4).frames[2]).mean() < 4


def test_a_truth_that_does_not_fit_is_refused(root: Path) -> None:
    path = root / "train" / "GOT-10k_Train_000002" / "groundtruth.txt"
    path.write_text("1,2,3,4\n5,6,7,8\n")
    with pytest.raises(CorpusError, match="GOT-10k_Train_000002"):
        got10k.read(root)


def test_evaluation_s_own_layout_is_no_corpus(tmp_path: Path) -> None:
    (tmp_path / "Deer" / "img").mkdir(parents=True)
    (tmp_path / "Deer" / "groundtruth.txt").write_text("1,2,3,4\n")
    assert not got10k.recognises(tmp_path)


def test_a_sequence_that_never_shows_its_target_is_skipped_and_counted(root: Path) -> None:
    path = root / "train" / "GOT-10k_Train_000002" / "absence.label"
    path.write_text("1\n1\n1\n1\n")
    corpus = Corpus(root)
    assert [track.clip for track in corpus.tracks] == ["GOT-10k_Train_000001"]
    assert corpus.skipped == ("GOT-10k_Train_000002: the target is present in no frame",)


def test_companions_are_no_frames_and_an_empty_one_is_named(root: Path) -> None:
    folder = root / "train" / "GOT-10k_Train_000001"
    (folder / "._00000001.jpg").write_bytes(b"companion")
    (folder / "Thumbs.db").write_bytes(b"thumbs")
    assert len(got10k.read(root).tracks) == 2
    (folder / "00000003.jpg").write_bytes(b"")
    with pytest.raises(CorpusError, match=r"00000003\.jpg: the image file is empty"):
        got10k.read(root)
