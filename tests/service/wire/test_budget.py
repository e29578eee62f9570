"""A budget that fills with time."""

from __future__ import annotations

from service.wire.budget import Budget
from tests.support.clock import Clock


def test_a_budget_is_spent_and_fills_again() -> None:
    clock = Clock()
    budget = Budget(rate=2.0, most=3.0, clock=clock)
    assert (budget.whole, budget.wait_s) == (3, 0.0)
    budget.spend(3)
    assert budget.whole == 0
    assert abs(budget.wait_s - 0.5) < 1e-6
    clock.advance(budget.wait_s)
    assert (budget.whole, budget.wait_s) == (1, 0.0)
    budget.spend()
    clock.advance(100.0)
    assert budget.whole == 3
