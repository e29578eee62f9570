"""The files a result becomes."""

from __future__ import annotations

import importlib
import json
import types
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _report

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"

RESULT = {
    "machine": {
        "date": "2026-11-24",
        "cores": 2,
        "processor": "A | B",
        "torch": "2",
        "cuda": None,
        "load_1min_before": 0.1,
    },
    "ms": 3,
}


def module(**hooks: Any) -> types.ModuleType:
    made = types.ModuleType("benchmarks.made", "What it measures.\n\nAnd how.")
    for name, hook in hooks.items():
        setattr(made, name, hook)
    return made


def table(result: dict[str, Any]) -> list[list[str]]:
    return [["what", "ms"], ["a | b", str(result["ms"])]]


def plot(result: dict[str, Any], figure: Any) -> None:
    figure.add_subplot().plot([0, result["ms"]])


def foreign(numbers: dict[str, Any]) -> str:
    """A function that has the name by chance."""
    raise AssertionError


@pytest.mark.parametrize(
    ("hooks", "suffixes"),
    [
        pytest.param({}, [".json"], id="neither"),
        pytest.param({"table": foreign, "plot": foreign}, [".json"], id="namesakes"),
        pytest.param({"table": table}, [".json", ".md"], id="table"),
        pytest.param({"table": table, "plot": plot}, [".json", ".png", ".md"], id="both"),
    ],
)
def test_what_is_written(tmp_path: Path, hooks: dict[str, Any], suffixes: list[str]) -> None:
    folder = tmp_path / "results"
    written = _report.save("made", module(**hooks), RESULT, folder)
    assert written == [folder / f"2026-11-24-made{suffix}" for suffix in suffixes]
    assert set(folder.iterdir()) == set(written)
    assert json.loads(written[0].read_text(encoding="utf-8")) == {"made": RESULT}


def test_a_page_names_machine_and_date_and_shows_table_and_plot(tmp_path: Path) -> None:
    page = _report.save("made", module(table=table, plot=plot), RESULT, tmp_path)[2].read_text(encoding="utf-8")
    assert page.splitlines() == [
        "# made",
        "",
        "What it measures.",
        "",
        "2026-11-24, 2 cores of A | B, torch 2, load before 0.1.",
        "",
        "| what | ms |",
        "|---|---|",
        "| a \\| b | 3 |",
        "",
        "![made](2026-11-24-made.png)",
    ]


def test_a_gpu_is_named_before_the_processor() -> None:
    assert "one GPU," in _report.machine_line(RESULT["machine"] | {"cuda": "one GPU"})  # type: ignore[operator]


@pytest.mark.parametrize(("name", "rows"), [("2026-11-24-chaos", 6), ("2026-11-25-store", 4)])
def test_a_result_that_is_kept_can_still_be_shown(name: str, rows: int, tmp_path: Path) -> None:
    text, name = (RESULTS / f"{name}.json").read_text(encoding="utf-8"), name.rpartition("-")[2]
    kept = json.loads(text)[name]
    written = _report.save(name, importlib.import_module(f"benchmarks.{name}"), kept, tmp_path)
    page = written[-1].read_text(encoding="utf-8")
    assert page.count("\n| ") >= rows
    assert "nan" not in page
