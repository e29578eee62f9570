"""CSV, JSON lines and MOTChallenge, read back by other programs."""

from __future__ import annotations

import csv
import io
import json
import warnings
from pathlib import Path

import pytest

from siamfc import Target
from tests.siamfc.exports.conftest import CUP, FRAMES, ReadByDatumaro, Written


def test_csv(written: Written) -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv"), newline="")))
    assert [(row["frame"], row["id"], row["status"]) for row in rows] == [
        ("0", "0", "tracking"),
        ("0", CUP, "tracking"),
        ("1", "0", "tracking"),
        ("1", CUP, "lost"),
        ("3", "0", "uncertain"),
    ]
    assert [float(rows[2][name]) for name in ("x", "y", "w", "h", "score")] == [11.13, 20, 8, 6, 0.8765]


def test_json_lines_give_the_result_back(written: Written) -> None:
    lines = [json.loads(line) for line in written("jsonl").splitlines()]
    assert [(line["frame_index"], [Target.parse(body) for body in line["targets"]]) for line in lines] == FRAMES


def test_mot_by_motmetrics(written: Written, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        motmetrics = pytest.importorskip("motmetrics", reason="the package motmetrics is not installed")
        path = tmp_path / "result.txt"
        path.write_text(written("mot"))
        found = motmetrics.io.loadtxt(path, fmt="mot16")
    assert list(found.index) == [(1, 1), (1, 2), (2, 1), (4, 1)]
    # That reader takes MOTChallenge's pixels for counted from 1, and shifts all boxes, the truth's too.
    assert found[["X", "Y", "Width", "Height"]].to_numpy().tolist() == [
        [9, 19, 8, 6],
        [0.5, 1, 3, 4],
        [10.13, 19, 8, 6],
        [12, 19, 8, 6],
    ]
    assert found["Confidence"].tolist() == [1, 1, 0.8765, 0.5]


def test_mot_by_datumaro(written: Written, tmp_path: Path, read_by_datumaro: ReadByDatumaro) -> None:
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt" / "gt.txt").write_text(written("mot"))
    found = read_by_datumaro(tmp_path, "mot_seq")
    assert [(item, box, track) for item, _, box, _, track in found] == [
        ("1", [1.5, 2, 3, 4], 2),
        ("1", [10, 20, 8, 6], 1),
        ("2", [11.13, 20, 8, 6], 1),
        ("4", [13, 20, 8, 6], 1),
    ]
