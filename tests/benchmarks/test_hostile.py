"""The benchmark of hostile clients: its attacks, its table, and a short run against a real server."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import hostile
from benchmarks._attacks import attacks

SIDE = {
    "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 4.0},
    "sent": 9,
    "results": 9,
    "all_in_order": True,
    "healthz_s": 0.01,
    "memory_mb": 300.0,
}


def test_every_fault_has_an_attack() -> None:
    names = " ".join(attacks(b""))
    for fault in ("scans", "names", "targets", "texts", "pings", "pieces", "heads", "bodies", "half-open", "garbage"):
        assert fault in names


def test_the_table() -> None:
    attacked = SIDE | {"latency_ms": {"p50": 2.0, "p95": 4.0, "p99": 6.0}}
    row = {"quiet": SIDE, "attacked": attacked, "p99_over_quiet": hostile._ratio(attacked, SIDE)}
    silent = {"quiet": SIDE, "attacked": SIDE | {"latency_ms": None}, "p99_over_quiet": None}
    _, first, second = hostile.table({"attacks": {"pings": row, "texts": silent}})
    assert first == ["pings", "4.0 ms", "6.0 ms", "1.5", "True", "0.01 s", "300.0 to 300.0 MB"]
    assert second[:4] == ["texts", "4.0 ms", "", "None"]


@pytest.mark.slow
def test_a_short_run(light_weights: Path) -> None:
    result = hostile.run(
        seconds=0.5,
        cameras=1,
        width=160,
        only="pings",
        weights=light_weights,
        runtime="torch",
        precision="fp32",
        threads=1,
    )
    (row,) = result["attacks"].values()
    assert row["attacked"]["all_in_order"]
    assert row["attacked"]["results"] > 0
