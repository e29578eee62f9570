"""The result files are what got10k 0.1.3 reads; `as_the_toolkit` reads them as its `report` does."""

from __future__ import annotations

import glob
import os
from pathlib import Path

import numpy as np
import pytest

from model.data.sequences import Sequence
from model.errors import SequenceError
from model.evaluation.got10k import write_results
from model.evaluation.one_pass import Report, Run

ABSENT = [np.nan] * 4


def run_of(name: str, boxes: list[list[float]], times: list[float]) -> Run:
    truth = np.where(np.isnan(boxes), np.nan, 5.0)
    sequence = Sequence(name, tuple(Path(f"{index}.jpg") for index in range(len(boxes))), truth)
    return Run(sequence, np.array(boxes), np.full(len(boxes), np.nan), np.array(times))


def as_the_toolkit(folder: Path, tracker: str, sequence: str, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and times by the steps of got10k 0.1.3: the names it looks for, the shape it insists on."""
    records = glob.glob(os.path.join(folder, "GOT-10k", tracker, sequence, f"{sequence}_[0-9]*.txt"))
    boxes = [np.loadtxt(record, delimiter=",") for record in records]
    assert [each.shape for each in boxes] == [shape]
    times = np.loadtxt(os.path.join(folder, "GOT-10k", tracker, sequence, f"{sequence}_time.txt"), delimiter=",")
    return boxes[0], times[~np.isnan(times) & (times > 0)]


def test_the_toolkit_reads_them(tmp_path: Path) -> None:
    run = run_of("GOT-10k_Val_000001", [[10, 20, 30, 40], [-3.25, 0, 30.5, 40.125]], [0.5, 0.0125])
    assert write_results(Report((run,)), tmp_path, "SiamFC") == tmp_path / "GOT-10k" / "SiamFC"
    boxes, times = as_the_toolkit(tmp_path, "SiamFC", "GOT-10k_Val_000001", (2, 4))
    # 1-indexed, as the dataset's own boxes.
    np.testing.assert_allclose(boxes, [[11, 21, 30, 40], [-2.25, 1, 30.5, 40.125]])
    np.testing.assert_allclose(times, [0.5, 0.0125])


def test_the_bytes_are_the_toolkits(tmp_path: Path) -> None:
    write_results(Report((run_of("s", [[10, 20, 30, 40], [1.23456, 0, 9, 9]], [0.5, 0.01]),)), tmp_path, "T")
    folder = tmp_path / "GOT-10k" / "T" / "s"
    assert sorted(path.name for path in folder.iterdir()) == ["s_001.txt", "s_time.txt"]
    assert (folder / "s_001.txt").read_text() == "11.000,21.000,30.000,40.000\n2.235,1.000,9.000,9.000\n"
    assert (folder / "s_time.txt").read_text() == "0.50000000\n0.01000000\n"


def test_frames_before_the_start_are_passed_over(tmp_path: Path) -> None:
    write_results(Report((run_of("s", [ABSENT, [1, 2, 3, 4], [1, 2, 3, 4]], [np.nan, 0.5, 0.1]),)), tmp_path, "T")
    boxes, times = as_the_toolkit(tmp_path, "T", "s", (3, 4))
    assert boxes[0].tolist() == [0, 0, 0, 0]
    assert times.tolist() == [0.5, 0.1]


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b"])
def test_a_name_that_is_no_folders_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="tracker's name"):
        write_results(Report(()), tmp_path, name)
    assert not list(tmp_path.iterdir())
