"""Each benchmark of the service runs, in seconds, against a real server; its table and plot can be written."""

from __future__ import annotations

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks import _report

RUNTIME = {"runtime": "torch", "precision": "fp32", "threads": 1}


def measured(name: str, folder: Path, weights: Path | tuple[str, ...], **options: Any) -> dict[str, Any]:
    """The benchmark's result, after its report has been written and read back."""
    module = importlib.import_module(f"benchmarks.{name}")
    result: dict[str, Any] = module.run(weights=weights, **options, **RUNTIME)
    data, picture, page = _report.save(name, module, result, folder)
    assert json.loads(data.read_text(encoding="utf-8")) == {name: json.loads(json.dumps(result))}
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert f"]({picture.name})" in page.read_text(encoding="utf-8")
    return result


@pytest.mark.slow
def test_sessions(tmp_path: Path, light_weights: Path) -> None:
    result = measured(
        "sessions", tmp_path, light_weights, fps=(2.0,), rung_s=1.0, most=2, crowd=3, crowd_frames=6, width=160
    )
    (row,) = result["sustained"]
    assert [rung["sessions"] for rung in row["rungs"]] == [1, 2][: len(row["rungs"])]
    assert set(row["best"]["stages_ms"]) >= {"decode", "crop", "queue", "infer", "conclude", "store", "send", "total"}
    together = result["together"]
    assert (together["answers"], together["all_in_order"]) == (18, True)
    assert together["largest_box_difference_px"] <= 0.5
    assert together["after_deleting"]["siamfc_sessions_active"] == 0


@pytest.mark.slow
def test_stream(tmp_path: Path, light_weights: Path) -> None:
    result = measured("stream", tmp_path, light_weights, frames=8, rounds=1, width=160)
    assert result["frames"] == 8
    assert result["total_over_step"] > 0
    assert result["client_ms"]["p50"] >= result["server_total_ms"]["p50"] > 0


@pytest.mark.slow
def test_scaling(tmp_path: Path, light_weights: Path) -> None:
    result = measured("scaling", tmp_path, light_weights, sessions=(1, 3), targets=(2,), seconds=0.5, width=160)
    assert [(row["sessions"], row["targets"]) for row in result["rows"]] == [(1, 1), (3, 1), (1, 2)]
    assert all(row["all_in_order"] and row["targets_per_s"] > 0 for row in result["rows"])


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_scaling_over_several_processes(tmp_path: Path, light_weights: Path) -> None:
    result = measured(
        "scaling", tmp_path, light_weights, sessions=(4,), targets=(2,), seconds=0.5, width=160, workers=2
    )
    assert result["workers"] == 2
    assert all(row["all_in_order"] and row["targets_per_s"] > 0 for row in result["rows"])
    assert all(row["stages_ms"]["store"] > 0 for row in result["rows"])


@pytest.mark.slow
def test_memory(tmp_path: Path, light_weights: Path) -> None:
    result = measured("memory", tmp_path, light_weights, sessions=20, churn=4, at_once=2)
    assert set(result["create_and_delete_per_s"]) == {"1 at once", "2 at once"}
    assert result["resident_mb"]["full"] > 0


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")
def test_store(tmp_path: Path, light_weights: Path) -> None:
    result = measured("store", tmp_path, light_weights, frames=8)
    assert set(result["frame_ms"]) == {"memory", "redis"}
    assert result["commit_mean_ms"]["redis"] > result["commit_mean_ms"]["memory"] > 0


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_soak(tmp_path: Path, light_weights: Path) -> None:
    result = measured("soak", tmp_path, light_weights, minutes=0.05, clients=2, width=160, expiry_s=4.0)
    assert result["broken_rules"] == []
    assert result["counts"]["result"] > 0
    assert result["left_after_expiry"]["siamfc_sessions_active"] == 0


def test_opencv(tmp_path: Path, light_weights: Path) -> None:
    result = measured("opencv", tmp_path, light_weights, frames=16, rounds=1, trackers=("mil", "none_such"))
    assert set(result["trackers"]) == {"ours", "mil"}
    assert result["missing"] == ["none_such"]
    assert result["trackers"]["mil"]["overlap"] > 0.5


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_frames(tmp_path: Path, light_weights: Path) -> None:
    name = str(light_weights)
    sizes, trackers = ("VGA", "720p"), ("mil",)
    result = measured("frames", tmp_path, (name,), frames=3, rounds=1, sizes=sizes, trackers=trackers)
    ways = [f"{name}, arrays", f"{name}, JPEG", f"{name}, parts", f"{name}, in process", "OpenCV mil"]
    assert [(row["size"], row["contender"]) for row in result["rows"]] == [
        (size, way) for size in sizes for way in ways
    ]
    assert all(row["ms"] > 0 for row in result["rows"])
    whole, encoded, parts = (row["kb_a_frame"] for row in result["rows"][-5:-2])
    assert parts < whole / 2
    assert encoded == pytest.approx(whole, rel=0.01)
