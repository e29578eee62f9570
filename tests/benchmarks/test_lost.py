"""The counts of the benchmark of vanishing targets, on cases and tracks made by hand; and its command."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from benchmarks import lost
from benchmarks._disappearances import Case
from benchmarks.lost import Outcome, outcome, summed, table
from model.boxes import Box
from model.calibration import Status
from model.data.rendered import Scene
from model.tracker import Track

THERE, AWAY = Box(0, 0, 10, 10), Box(50, 50, 10, 10)


def made(visible: list[float]) -> Case:
    shares = np.array(visible)
    truth = np.where(shares[:, None] > 0, [THERE.as_list()], np.nan)
    gone = np.flatnonzero(shares == 0)
    returned = next(index for index in range(int(gone[-1]), len(visible)) if visible[index] == 1)
    return Case("made", "edge", Scene((), truth, shares), int(gone[0]), returned)


def tracks(letters: str) -> list[Track]:
    """A letter a frame: t on the target, l there and lost, T elsewhere, L elsewhere and lost."""
    names: dict[str, tuple[Box, Status]] = {
        "t": (THERE, "tracking"),
        "l": (THERE, "lost"),
        "T": (AWAY, "uncertain"),
        "L": (AWAY, "lost"),
    }
    return [
        Track(box=names[letter][0], first_size=(10, 10), fill=(0, 0, 0), status=names[letter][1]) for letter in letters
    ]


#            given, there, half,  away ......,  half, there .....
VISIBLE = [1.0, 1.0, 0.5, 0.0, 0.0, 0.0, 0.5, 1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("letters", "lost_after", "back_after", "held", "false_lost", "on_target"),
    [
        pytest.param("ttttLLTttt", 1, 0, True, 0, 4, id="as it should be"),
        pytest.param("tttTTTTTTt", None, 2, True, 0, 2, id="never said so, back late"),
        pytest.param("ttlLLLLLLL", 0, None, False, 3, 1, id="never back"),
        pytest.param("tltLLLLTtT", 0, 1, False, 1, 2, id="lost while it was there, back and off again"),
        pytest.param("ltttttLttt", None, 0, True, 0, 4, id="the given box and a half seen target do not count"),
    ],
)
def test_an_outcome(
    letters: str, lost_after: int | None, back_after: int | None, held: bool, false_lost: int, on_target: int
) -> None:
    found = outcome(made(VISIBLE), tracks(letters))
    assert (found.lost_after, found.back_after, found.held) == (lost_after, back_after, held)
    assert (found.false_lost, found.on_target, found.there, found.away) == (false_lost, on_target, 4, 3)


def test_false_lost_on_target_counts_right_boxes_only() -> None:
    assert outcome(made(VISIBLE), tracks("tltTTTTLlt")).false_lost == 3
    assert outcome(made(VISIBLE), tracks("tltTTTTLlt")).false_lost_on_target == 2


def case(lost_after: int | None, back_after: int | None, **more: object) -> Outcome:
    values = {"held": True, "away": 20, "lost_away": 5, "there": 40, "false_lost": 4, "on_target": 30}
    return Outcome("edge", lost_after, back_after, **{**values, "false_lost_on_target": 3, **more})  # type: ignore[arg-type]


def test_within_means_the_eventful_frame_and_those_after_it() -> None:
    numbers = summed([case(0, 0), case(9, 14, held=False), case(10, 15), case(None, None, lost_away=17)])
    assert (numbers.lost_in_time, numbers.back_in_time, numbers.held) == (0.5, 0.5, 0.75)
    assert numbers.lost_while_away == (5 + 5 + 5 + 17) / 80
    assert (numbers.false_lost, numbers.false_lost_on_target) == (0.1, 0.1)


def test_the_table_has_a_line_a_kind() -> None:
    lines = table({"edge": summed([case(0, 0)]), "all": summed([case(0, 0), case(None, 0)])}).splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [["edge", "1", "1.000"], ["all", "2", "0.500"]]
    assert len({len(line) for line in lines}) == 1


def test_the_command_prints_json_and_a_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(lost, "follow", lambda case, _: tracks("t" * len(case.scene.frames)))
    monkeypatch.setattr(sys, "argv", ["lost", "--seed", "5", "--cases", "2"])
    lost.main()
    out, err = capsys.readouterr()
    found = json.loads(out)["lost"]
    assert found["seed"] == 5
    assert {name: each["cases"] for name, each in found["numbers"].items()} == {
        "edge": 1,
        "pillar": 1,
        "all": 2,
    }
    assert found["numbers"]["all"]["lost_in_time"] == 0
    assert "lost_in_time" in err


@pytest.mark.parametrize("arguments", [["--cases", "0"], ["--seed", "-1"], ["--sede", "1"]])
def test_refusals(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["lost", *arguments])
    with pytest.raises(SystemExit) as ended:
        lost.main()
    assert ended.value.code == 2
