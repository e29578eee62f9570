from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.boxes import Box
from model.data.sequences import Sequence
from model.errors import SequenceError
from model.evaluation.one_pass import Found, Report, evaluate, follow

ABSENT = [np.nan] * 4


def sequence(name: str, rows: list[list[float]]) -> Sequence:
    return Sequence(name, tuple(Path(f"{index}.jpg") for index in range(len(rows))), np.array(rows, np.float64))


class Still:
    """A follower that says that nothing ever moves, and remembers what it was asked."""

    score: float | None = None

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.box = Box(0, 0, 0, 0)

    def start(self, frame: Path, box: Box) -> None:
        self.asked.append(f"start {frame.name}")
        self.box = box

    def update(self, frame: Path) -> Found:
        self.asked.append(f"update {frame.name}")
        return Found(self.box, self.score)


class Confident(Still):
    """A follower that says so of itself: too high on MOVING's and LATE's frames, half of which are right."""

    score = 0.75


SQUARE = [0.0, 0, 10, 10]
MOVING = sequence("moving", [SQUARE, SQUARE, [5.0, 0, 10, 10]])
LATE = sequence("late", [ABSENT, SQUARE, ABSENT, SQUARE])


def test_every_frame_is_followed_once_and_in_order() -> None:
    follower = Still()
    run = follow(MOVING, follower)
    assert follower.asked == ["start 0.jpg", "update 1.jpg", "update 2.jpg"]
    np.testing.assert_array_equal(run.boxes, [SQUARE] * 3)
    assert run.score.ao == pytest.approx((1 + 1 / 3) / 2)
    assert np.isnan(run.scores).all()


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
    # Seven seconds to start, half a second and one and a half; what lies between does not count.
    ticks = iter([1.0, 8.0, 10.0, 10.5, 20.0, 21.5])
    monkeypatch.setattr("model.evaluation.one_pass.time.perf_counter", lambda: next(ticks))
    run = follow(MOVING, Still())
    assert run.times.tolist() == [7.0, 0.5, 1.5]
    assert run.fps == 1.0


def test_an_error_of_the_follower_is_not_swallowed() -> None:
    class Broken(Still):
        def update(self, frame: Path) -> Found:
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
    assert set(content) == {"mean", "calibration", "sequences"}
    assert set(content["mean"]) == keys | {"ece", "auroc"}
    assert {name: set(numbers) for name, numbers in content["sequences"].items()} == {"moving": keys, "late": keys}
    assert content["mean"]["ao"] == pytest.approx((2 / 3 + 1) / 2)
    assert content["mean"]["fps"] == pytest.approx(
        np.mean([numbers["fps"] for numbers in content["sequences"].values()])
    )


def test_what_scores_are_worth_is_over_all_frames_after_the_first() -> None:
    content = json.loads(json.dumps(evaluate([MOVING, LATE], Confident).as_json(), allow_nan=False))
    # MOVING: right, wrong. LATE: absent, so wrong; right. All say 0.75.
    assert content["mean"]["ece"] == pytest.approx(0.25)
    assert content["mean"]["auroc"] == pytest.approx(0.5)
    worth = content["calibration"]
    assert (worth["frames"], worth["right"], worth["score"]) == (4, 0.5, 0.75)
    assert [each["count"] for each in worth["bins"]] == [0] * 7 + [4, 0, 0]


def test_a_follower_without_scores_has_none_to_judge(report: Report) -> None:
    content = report.as_json()
    assert (content["calibration"], content["mean"]["ece"], content["mean"]["auroc"]) == (None, None, None)


def test_boxes_and_scores_are_reported_when_asked_for() -> None:
    content = json.loads(json.dumps(evaluate([LATE], Confident).as_json(boxes=True), allow_nan=False))
    assert content["sequences"]["late"]["boxes"] == [None, SQUARE, SQUARE, SQUARE]
    assert content["sequences"]["late"]["scores"] == [None, None, 0.75, 0.75]
    assert "boxes" not in content["mean"]


def test_the_table_has_a_line_a_sequence_and_the_mean(report: Report) -> None:
    head, *rows = report.table().splitlines()
    assert head.split() == ["sequence", "auc", "precision_20", "ao", "sr_50", "sr_75", "fps"]
    assert [row.split()[0] for row in rows] == ["moving", "late", "mean"]
    # moving: overlaps 1 and 1/3: (20 + 7) / 42 = 0.643.
    assert rows[0].split()[1:6] == ["0.643", "1.000", "0.667", "0.500", "0.500"]
    assert len({len(line) for line in (head, *rows)}) == 1


def test_the_table_says_what_the_scores_are_worth() -> None:
    last = evaluate([MOVING, LATE], Confident).table().splitlines()[-1]
    assert last == "score: calibration error 0.250, AUROC 0.500, over 4 frames"


def test_a_sequence_without_truth_is_followed_and_not_scored() -> None:
    run = follow(sequence("test", [SQUARE, ABSENT, ABSENT]), Still())
    np.testing.assert_array_equal(run.boxes, [SQUARE] * 3)
    with pytest.raises(SequenceError, match="no frame to score"):
        assert run.score


@pytest.mark.parametrize(
    ("box", "sizes", "message"),
    [
        pytest.param([0, 0, 0.5, 9], [(64, 48)] * 3, "frame 1: a box must be at least 1 pixel", id="under a pixel"),
        pytest.param([64, 0, 9, 9], [(64, 48)] * 3, "does not overlap the frame of 64 x 48", id="off the frame"),
        pytest.param([0, 0, 9, 9], [(64, 48), (64, 48), (48, 64)], r"2\.png is 48 x 64, .*64 x 48", id="sizes change"),
    ],
)
def test_a_sequence_is_judged_before_it_is_followed(
    tmp_path: Path, box: list[float], sizes: list[tuple[int, int]], message: str
) -> None:
    frames = tuple(tmp_path / f"{index}.png" for index in range(3))
    for frame, (width, height) in zip(frames, sizes, strict=True):
        cv2.imwrite(str(frame), np.zeros((height, width, 3), np.uint8))
    truth = np.array([box, *[[0.0, 0, 9, 9]] * 2])
    follower = Still()
    with pytest.raises(SequenceError, match=f"^odd: .*{message}"):
        follow(Sequence("odd", frames, truth), follower)
    assert follower.asked == []


def test_frames_before_the_first_that_shows_the_target_may_have_any_size(tmp_path: Path) -> None:
    frames = tuple(tmp_path / f"{index}.png" for index in range(3))
    for index, frame in enumerate(frames):
        cv2.imwrite(str(frame), np.zeros((48 if index else 20, 64, 3), np.uint8))
    follow(Sequence("late", frames, np.array([ABSENT, SQUARE, SQUARE])), Still())
