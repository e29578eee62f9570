"""Targets of a pass, by the time that recent passes took."""

from __future__ import annotations

import numpy as np
import pytest

from service.engine.jobs import Embed, Job, Respond
from service.engine.pace import Pace
from service.engine.slots import Slot
from tests.service.engine.conftest import search_of


def search(targets: int) -> Respond:
    """A crop of 12 values a target."""
    return Respond(
        tuple(Slot(index, 1) for index in range(targets)), (search_of(np.zeros((1, 2, 2, 3), np.uint8)),) * targets
    )


def embedding(targets: int) -> Embed:
    """A crop of 3 values a target."""
    return Embed(tuple(Slot(index, 1) for index in range(targets)), np.zeros((targets, 1, 1, 3), np.uint8))


@pytest.mark.parametrize(
    ("pass_s", "passes", "targets"),
    [
        pytest.param(0.1, [], 32, id="nothing known"),
        pytest.param(0.1, [([search(1)], 0.04)], 2, id="a slow device"),
        pytest.param(0.1, [([search(1)], 0.5)], 1, id="one target takes longer: one at least"),
        pytest.param(0.1, [([search(1)], 0.003), ([search(30), search(2)], 0.004)], 32, id="a fast device"),
        pytest.param(0.1, [([search(1)], 0.01)] * 3, 10, id="ten of ten ms"),
        pytest.param(0.0, [([search(1)], 5.0)], 32, id="any time"),
        pytest.param(0.1, [([embedding(1)], 5.0), ([search(0)], 5.0)], 32, id="without searches nothing is known"),
        pytest.param(0.1, [([embedding(4), search(1)], 0.04)], 5, id="embeddings have their share"),
    ],
)
def test_targets(pass_s: float, passes: list[tuple[list[Job], float]], targets: int) -> None:
    pace = Pace(32, pass_s)
    for jobs, seconds in passes:
        pace.passed(jobs, seconds)
    assert pace.targets == targets


def test_one_slow_pass_is_forgotten() -> None:
    pace = Pace(32, 0.1)
    for _ in range(5):
        pace.passed([search(32)], 0.03)
    pace.passed([search(1)], 2.0)
    assert pace.targets < 32
    for _ in range(20):
        pace.passed([search(pace.targets)], 0.001 * pace.targets)
    assert pace.targets == 32
