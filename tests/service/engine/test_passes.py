"""A pass gives each of its jobs its own, whether maps or what was read off them, at once or awaited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from model.crops import Region
from model.frames import Frame
from model.inference.pending import Finished
from model.response import DeviceResponse
from model.search import Search, crops_of, cut_windows
from service.engine.jobs import Embed, Load, Respond
from service.engine.passes import Pass, joined
from service.engine.slots import Slot, SlotTable
from tests.service.engine.conftest import embed_job, maps_of, respond_job
from tests.support.fake_predictor import FakePredictor


class Reads(FakePredictor):
    """Responds to searches with windows: with each one's fill."""

    def respond(self, slots: Sequence[Slot], searches: Sequence[Search]) -> Finished:
        return Finished([DeviceResponse(np.full((1, 5), search.fill[0], np.float32)) for search in searches])


def seen(fill: float) -> Search:
    search = Search((Region(10, 10, 8),), (0.0,), 255, (fill, 0, 0))
    return cut_windows(Frame.whole(np.zeros((20, 20, 3), np.uint8)), search)


@pytest.mark.parametrize("awaited", [False, True])
def test_each_job_has_its_own_answer(awaited: bool) -> None:
    predictor = FakePredictor()
    predictor.awaited = awaited
    a, b, c = SlotTable(3).allocate(3)
    last = respond_job((c,))
    jobs = [
        respond_job((a, b)),
        replace(embed_job((a,)), read_back=True),
        respond_job(()),
        Load((c,), np.zeros((1, 1, 1, 1), np.float16)),
        embed_job((b,)),
        last,
    ]
    crops_of(last.searches)[0, 0, 128:143, 120:135] = 255
    run = Pass.begin(predictor, jobs)
    assert run.ready is not awaited
    two, read, nothing, loaded, embedded, one = run.results()
    assert [maps_of(response).shape for response in (*two, *one)] == [(1, 17, 17)] * 3
    assert (len(two), read.shape) == (2, (1, 1, 1, 1))
    assert (nothing, loaded, embedded) == (None, None, None)
    assert divmod(int(maps_of(one[0]).argmax()), 17) == (9, 8)


def test_a_pass_without_searches_is_there() -> None:
    slots = SlotTable(1).allocate(1)
    run = Pass.begin(FakePredictor(), [embed_job(slots)])
    assert run.ready
    assert run.results() == [None]


def test_readings_go_to_their_jobs() -> None:
    slots = SlotTable(3).allocate(3)
    run = Pass.begin(Reads(), [Respond(slots[:1], (seen(1),)), Respond(slots[1:], (seen(2), seen(3)))])
    fills = [[float(reading.numbers[0, 0]) for reading in readings] for readings in run.results()]
    assert fills == [[1], [2, 3]]


def test_a_search_costs_the_same_however_it_is_cut() -> None:
    slots = SlotTable(2).allocate(2)
    both = Respond(slots, (seen(1), seen(2)))
    assert both.cost == respond_job(slots).cost
    assert both.part(1, 2).searches == (both.searches[1],)
    assert Embed(slots, np.zeros((2, 127, 127, 3), np.uint8)).cost < both.cost


def test_joining() -> None:
    alone = np.zeros(3)
    assert joined([alone]) is alone
    np.testing.assert_array_equal(joined([np.array([1, 2]), np.array([3])]), [1, 2, 3])
    assert joined([(1, 2), (3,)]) == (1, 2, 3)
    assert joined([[1, 2], [3]]) == [1, 2, 3]
