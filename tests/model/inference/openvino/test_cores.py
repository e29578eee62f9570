"""How targets are shared out among cores, with cores that note what they are told."""

from __future__ import annotations

import numpy as np
import pytest

from model.arrays import Float32
from model.inference.openvino.cores import Cores

BOXES = np.full((6, 2), 64, np.float32)


class NotedCore:
    """Answers crops with their first value times the exemplar's; fails on a 13, and to begin with a 17."""

    def __init__(self, name: str, notes: list[str]) -> None:
        self.name, self.notes = name, notes
        self._given: tuple[np.ndarray, np.ndarray] | None = None

    def start(self, exemplars: np.ndarray, crops: np.ndarray, boxes: np.ndarray) -> None:
        assert self._given is None, "given another target before the last was read"
        assert len(exemplars) == len(crops) == len(boxes) == 1
        if int(crops.flat[0]) == 17:
            raise RuntimeError("a core failed")
        self._given = exemplars, crops
        self.notes.append(f"{self.name} starts {int(crops.flat[0])}")

    def finish(self) -> Float32:
        given, self._given = self._given, None
        assert given is not None
        value = int(given[1].flat[0])
        if value == 13:
            raise RuntimeError("a core failed")
        self.notes.append(f"{self.name} ends {value}")
        return (given[0] * value).astype(np.float32)


def crops(*values: int) -> np.ndarray:
    return np.array(values, np.uint8).reshape(-1, 1, 1, 1, 1)


def exemplars(*values: float) -> np.ndarray:
    return np.array(values, np.float16).reshape(-1, 1, 1, 1)


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def two(notes: list[str]) -> Cores:
    """Two cores, that is four to be started."""
    return Cores([NotedCore(name, notes) for name in "abcd"], 2)


def test_each_target_meets_its_own_exemplar(two: Cores) -> None:
    asked = two.begin(exemplars(2, 3, 5, 7, 11, 1), crops(1, 2, 3, 4, 5, 6), BOXES)
    assert asked.outputs().flatten().tolist() == [2, 6, 15, 28, 55, 6]


def test_what_is_begun_does_not_wait_to_be_asked_for(two: Cores, notes: list[str]) -> None:
    two.begin(exemplars(1, 1), crops(1, 2), BOXES)
    assert notes == ["a starts 1", "b starts 2"]


def test_a_pass_follows_the_one_before_without_a_gap(two: Cores, notes: list[str]) -> None:
    first = two.begin(exemplars(1, 1, 1), crops(1, 2, 3), BOXES)
    second = two.begin(exemplars(1, 1), crops(4, 5), BOXES)
    assert notes == ["a starts 1", "b starts 2", "c starts 3", "d starts 4"]
    first.outputs()
    # The fifth target was begun as soon as a core was free, long before its pass was asked for.
    assert notes[4:7] == ["a ends 1", "a starts 5", "b ends 2"]
    assert second.outputs().flatten().tolist() == [4, 5]


def test_the_rest_comes_last(two: Cores, notes: list[str]) -> None:
    def rest() -> Float32:
        notes.append("rest")
        return np.full((1, 1, 1, 1), 9, np.float32)

    asked = two.begin(exemplars(1, 1), crops(1, 2), BOXES, rest)
    assert asked.outputs().flatten().tolist() == [1, 2, 9]
    assert notes[-2:] == ["b ends 2", "rest"]


@pytest.mark.parametrize(("waiting", "taken"), [(0, 2), (1, 2), (3, 2), (4, 2), (7, 3), (8, 4), (50, 4)])
def test_a_pass_takes_half_of_what_waits_so_that_another_follows(two: Cores, waiting: int, taken: int) -> None:
    assert two.capacity(waiting) == taken


@pytest.mark.parametrize(("count", "shared"), [(1, 0), (2, 2), (3, 2), (4, 4), (7, 6)])
def test_idle_cores_take_what_leaves_none_of_them_idle(two: Cores, count: int, shared: int) -> None:
    assert two.share(count) == shared


def test_busy_cores_take_all(two: Cores) -> None:
    asked = two.begin(exemplars(1, 1), crops(1, 2), BOXES)
    assert [two.share(count) for count in (1, 3)] == [1, 3]
    asked.outputs()
    assert two.share(3) == 2


@pytest.mark.parametrize("value", [pytest.param(13, id="at the end"), pytest.param(17, id="at the start")])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_failure_is_its_pass_s_alone(two: Cores, notes: list[str], value: int, at: int) -> None:
    given = [1, 2, 3]
    given[at] = value
    first = two.begin(exemplars(1, 1, 1), crops(*given), BOXES)
    second = two.begin(exemplars(1, 1), crops(4, 5), BOXES)
    with pytest.raises(RuntimeError, match="a core failed"):
        first.outputs()
    assert second.outputs().flatten().tolist() == [4, 5]
    # No core was lost by it.
    third = two.begin(exemplars(1, 1, 1, 1), crops(6, 7, 8, 9), BOXES)
    names, values = zip(*((note[0], note.split()[-1]) for note in notes[-4:]), strict=True)
    assert (sorted(names), values) == ([*"abcd"], ("6", "7", "8", "9"))
    assert third.outputs().flatten().tolist() == [6, 7, 8, 9]


def test_a_pass_that_nobody_asks_for_is_in_nobody_s_way(two: Cores) -> None:
    two.begin(exemplars(1, 1, 1, 1, 1, 1), crops(1, 13, 3, 4, 5, 6), BOXES)
    assert two.begin(exemplars(1, 1), crops(7, 8), BOXES).outputs().flatten().tolist() == [7, 8]


def test_a_pass_is_ready_once_all_of_it_is_there(two: Cores) -> None:
    first, second = two.begin(exemplars(1, 1), crops(1, 2), BOXES), two.begin(exemplars(1, 1), crops(3, 4), BOXES)
    assert not first.ready
    second.outputs()
    # The cores have been through the first on the way.
    assert first.ready
