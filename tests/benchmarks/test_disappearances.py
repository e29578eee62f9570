"""The rendered disappearances are what the benchmark takes them for, whatever is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks._disappearances import FULLY, KINDS, case, cases


@pytest.mark.parametrize(("seed", "index"), [(0, 0), (0, 1), (0, 2), (7, 30)])
def test_a_target_is_seen_goes_and_comes_back(seed: int, index: int) -> None:
    made = case(seed, index)
    visible = made.scene.visible
    assert made.kind == KINDS[index % 3]
    assert visible[:8].min() >= FULLY
    away = np.flatnonzero(visible == 0)
    # Away once, for longer than there is time to say so.
    assert (np.diff(away) == 1).all()
    assert made.vanished == away[0]
    assert len(away) >= 10
    # Wholly back for as long as there is to find it, and longer.
    assert made.returned > away[-1]
    assert visible[made.returned :].min() >= FULLY
    assert visible[made.returned - 1] < FULLY
    assert len(visible) - made.returned >= 15
    assert len(made.scene.frames) == len(visible)


def test_a_case_is_always_the_same_and_no_other() -> None:
    first, again = case(3, 0), next(cases(3, 2))
    assert all((a == b).all() for a, b in zip(first.scene.frames, again.scene.frames, strict=True))
    assert first.name == again.name
    other = case(4, 0)
    assert (first.scene.frames[0] != other.scene.frames[0]).any()
