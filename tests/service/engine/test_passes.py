"""A pass gives each of its jobs its own, whether maps or what was read off them, at once or awaited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from model.crops import Region
from model.readings import Reading
from model.windows import Cut, cut_windows
from service.engine.jobs import Embed, Load, Respond
from service.engine.passes import Pass, joined
from service.engine.slots import Slot, SlotTable
from tests.service.engine.conftest import embed_job, respond_job
from tests.support.fake_predictor import FakePredictor


class Reads(FakePredictor):
    """Answers cuts: with each one's fill."""

    def respond(self, slots: Sequence[Slot], crops: Any) -> Any:
        return tuple(Reading(np.full((1, 5), cut.numbers[0, 7], np.float32)) for cut in crops)


def cut(fill: float) -> Cut:
    return cut_windows(np.zeros((20, 20, 3), np.uint8), [Region(10, 10, 8)], 255, (fill, 0, 0))


@pytest.mark.parametrize("awaited", [False, True])
def test_each_job_has_its_own_answer(awaited: bool) -> None:
    predictor = FakePredictor()
    predictor.awaited = awaited
    a, b, c = SlotTable(3).allocate(3)
    jobs = [
        respond_job((a, b)),
        replace(embed_job((a,)), read_back=True),
        respond_job(()),
        Load((c,), np.zeros((1, 1, 1, 1), np.float16)),
        embed_job((b,)),
        respond_job((c,)),
    ]
    jobs[5].crops[0, 0, 128:143, 120:135] = 255  # type: ignore[union-attr, index]
    run = Pass.begin(predictor, jobs)
    assert run.there is not awaited
    two, read, nothing, loaded, embedded, one = run.results()
    assert (two.shape, read.shape, one.shape) == ((2, 1, 17, 17), (1, 1, 1, 1), (1, 1, 17, 17))
    assert (nothing, loaded, embedded) == (None, None, None)
    assert divmod(int(one.argmax()), 17) == (9, 8)


def test_a_pass_without_searches_is_there() -> None:
    slots = SlotTable(1).allocate(1)
    run = Pass.begin(FakePredictor(), [embed_job(slots)])
    assert run.there
    assert run.results() == [None]


def test_readings_go_to_their_jobs() -> None:
    slots = SlotTable(3).allocate(3)
    run = Pass.begin(Reads(), [Respond(slots[:1], (cut(1),)), Respond(slots[1:], (cut(2), cut(3)))])
    fills = [[float(reading.numbers[0, 0]) for reading in readings] for readings in run.results()]
    assert fills == [[1], [2, 3]]


def test_a_search_costs_the_same_however_it_is_cut() -> None:
    slots = SlotTable(2).allocate(2)
    cuts = Respond(slots, (cut(1), cut(2)))
    assert cuts.cost == respond_job(slots).cost
    assert cuts.part(1, 2).crops == (cuts.crops[1],)
    assert Embed(slots, np.zeros((2, 127, 127, 3), np.uint8)).cost < cuts.cost


def test_joining() -> None:
    alone = np.zeros(3)
    assert joined([alone]) is alone
    np.testing.assert_array_equal(joined([np.array([1, 2]), np.array([3])]), [1, 2, 3])
    assert joined([(1, 2), (3,)]) == (1, 2, 3)
