from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model.boxes import Box
from model.errors import SequenceError
from model.evaluation import one_pass
from model.evaluation.one_pass import Report, evaluate, follow
from model.evaluation.sequences import Sequence

ABSENT = [np.nan] * 4


def sequence(name: str, rows: list[list[float]]) -> Sequence:
    return Sequence(name, tuple(Path(f"{index}.jpg") for index in range(len(rows))), np.array(rows, np.float64))


class Still:
    """A follower that says that nothing ever moves, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.box = Box(0, 0, 0, 0)

    def start(self, frame: Path, box: Box) -> None:
        self.asked.append(f"start {frame.name}")
        self.box = box

    def update(self, frame: Path) -> Box:
        self.asked.append(f"update {frame.name}")
        return self.box


SQUARE = [0.0, 0, 10, 10]
MOVING = sequence("moving", [SQUARE, SQUARE, [5.0, 0, 10, 10]])
LATE = sequence("late", [ABSENT, SQUARE, ABSENT, SQUARE])


def test_every_frame_is_followed_once_and_in_order() -> None:
    follower = Still()
    run = follow(MOVING, follower)
    assert follower.asked == ["start 0.jpg", "update 1.jpg", "update 2.jpg"]
    np.testing.assert_array_equal(run.boxes, [SQUARE] * 3)
    assert run.score.ao == pytest.approx((1 + 1 / 3) / 2)
    assert run.updates == 2


def test_a_target_that_comes_late_is_started_late() -> None:
    follower = Still()
    run = follow(LATE, follower)
    # Frames without the target are followed all the same.
    assert follower.asked == ["start 1.jpg", "update 2.jpg", "update 3.jpg"]
    np.testing.assert_array_equal(run.boxes, [ABSENT, SQUARE, SQUARE, SQUARE])
    assert run.score.ao == 1


def test_each_sequence_has_a_follower_of_its_own() -> None:
    made: list[Still] = []

    def make() -> Still:
        made.append(Still())
        return made[-1]

    evaluate([MOVING, LATE], make)
    assert [len(follower.asked) for follower in made] == [3, 3]


def test_progress_is_told_after_every_frame() -> None:
    told: list[tuple[str, int, int]] = []
    evaluate([MOVING, LATE], Still, lambda *progress: told.append(progress))
    assert told == [("moving", n, 3) for n in (1, 2, 3)] + [("late", n, 4) for n in (2, 3, 4)]


def test_speed_is_updates_over_the_time_they_took(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([10.0, 10.5, 20.0, 21.5])  # half a second and one and a half; what lies between does not count
    monkeypatch.setattr(one_pass.time, "perf_counter", lambda: next(ticks))
    run = follow(MOVING, Still())
    assert (run.seconds, run.fps) == (2.0, 1.0)


def test_an_error_of_the_follower_is_not_swallowed() -> None:
    class Broken(Still):
        def update(self, frame: Path) -> Box:
            raise ValueError(frame.name)

    with pytest.raises(ValueError, match=r"1\.jpg"):
        evaluate([MOVING], Broken)


def test_nothing_to_evaluate_is_refused() -> None:
    with pytest.raises(SequenceError, match="no sequence"):
        evaluate([], Still)


@pytest.fixture
def report() -> Report:
    return evaluate([MOVING, LATE], Still)


def test_the_report_has_the_documented_shape(report: Report) -> None:
    content = json.loads(json.dumps(report.as_json(), allow_nan=False))
    keys = {"auc", "precision_20", "ao", "sr_50", "sr_75", "fps"}
    assert set(content) == {"mean", "sequences"}
    assert set(content["mean"]) == keys
    assert {name: set(numbers) for name, numbers in content["sequences"].items()} == {"moving": keys, "late": keys}
    assert content["mean"]["ao"] == pytest.approx((2 / 3 + 1) / 2)
    assert content["mean"]["fps"] == pytest.approx(
        np.mean([numbers["fps"] for numbers in content["sequences"].values()])
    )


def test_boxes_are_reported_when_asked_for(report: Report) -> None:
    content = json.loads(json.dumps(report.as_json(boxes=True), allow_nan=False))
    assert content["sequences"]["late"]["boxes"] == [None, SQUARE, SQUARE, SQUARE]
    assert "boxes" not in content["mean"]


def test_the_table_has_a_line_a_sequence_and_the_mean(report: Report) -> None:
    head, *rows = report.table().splitlines()
    assert head.split() == ["sequence", "auc", "precision_20", "ao", "sr_50", "sr_75", "fps"]
    assert [row.split()[0] for row in rows] == ["moving", "late", "mean"]
    # moving: overlaps 1 and 1/3: (20 + 7) / 42 = 0.643.
    assert rows[0].split()[1:6] == ["0.643", "1.000", "0.667", "0.500", "0.500"]
    assert len({len(line) for line in (head, *rows)}) == 1
