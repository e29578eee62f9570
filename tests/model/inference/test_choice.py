"""The candidates, and the choice between them, without running anything."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from model.config import NetworkConfig, preset
from model.errors import ConfigError
from model.inference import choice
from model.inference.choice import Candidate, Measured, candidates, decide
from model.layers import ConvLayer

CPU, GPU = torch.device("cpu"), torch.device("cuda")
PAPER = preset("paper")
UNNORMED = NetworkConfig("bare", (ConvLayer(4, 3, norm=False), ConvLayer(4, 3, norm=False, relu=False)))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says what the machine has: whether OpenVINO, what that multiplies, and whether torch multiplies bf16."""

    def has(*, openvino: tuple[str, ...] | None = ("fp32", "bf16", "int8"), bf16: bool = True) -> None:
        monkeypatch.setattr(choice, "find_spec", lambda name: None if openvino is None else object())
        monkeypatch.setattr("model.inference.devices.multiplies_bf16", lambda: bf16)
        if openvino is not None:
            compiled = pytest.importorskip(
                "model.inference.openvino.compiled", reason="the extra openvino is not installed", exc_type=ImportError
            )
            monkeypatch.setattr(compiled, "arithmetics", lambda: openvino)

    return has


def found(runtime: str, precision: str, device: torch.device = CPU, network: NetworkConfig = PAPER) -> list[str]:
    return [str(each) for each in candidates(runtime, precision, device, network)]


@pytest.mark.parametrize(
    ("runtime", "precision", "expected"),
    [
        pytest.param(
            "auto",
            "auto",
            ["torch fp32", "torch bf16", "openvino fp32", "openvino bf16", "openvino int8"],
            id="all left open",
        ),
        pytest.param("auto", "fp32", ["torch fp32", "openvino fp32"], id="the runtime left open"),
        pytest.param("auto", "int8", ["openvino int8"], id="what only one runtime has"),
        pytest.param("openvino", "auto", ["openvino fp32", "openvino bf16", "openvino int8"], id="the precision"),
        pytest.param("openvino", "bf16", ["openvino bf16"], id="nothing left open"),
        pytest.param("torch", "auto", ["torch bf16"], id="torch has a rule of its own"),
        pytest.param("torch", "fp32", ["torch fp32"], id="torch with a precision"),
    ],
)
def test_candidates_on_a_cpu(machine: Any, runtime: str, precision: str, expected: list[str]) -> None:
    machine()
    assert found(runtime, precision) == expected


@pytest.mark.parametrize(
    ("precision", "expected"), [("auto", ["torch fp16"]), ("bf16", ["torch bf16"]), ("fp16", ["torch fp16"])]
)
def test_on_a_gpu_torch_runs_alone(machine: Any, precision: str, expected: list[str]) -> None:
    machine()
    assert found("auto", precision, GPU) == expected


@pytest.mark.parametrize(
    ("bf16", "expected"), [(True, ["torch fp32", "torch bf16"]), (False, ["torch fp32"])], ids=["with bf16", "without"]
)
def test_without_openvino_torch_remains(machine: Any, bf16: bool, expected: list[str]) -> None:
    machine(openvino=None, bf16=bf16)
    assert found("auto", "auto") == expected


def test_what_the_cpu_cannot_multiply_is_no_candidate(machine: Any) -> None:
    machine(openvino=("fp32",), bf16=False)
    assert found("auto", "auto") == ["torch fp32", "openvino fp32"]
    assert found("auto", "bf16") == ["torch bf16"]


@pytest.mark.parametrize("network", [UNNORMED, preset("light")], ids=["without norms", "depthwise"])
def test_what_cannot_be_quantised_is_not(machine: Any, network: NetworkConfig) -> None:
    machine()
    assert found("openvino", "auto", network=network) == ["openvino fp32", "openvino bf16"]


@pytest.mark.parametrize(
    ("has", "runtime", "precision", "device", "network", "reason"),
    [
        pytest.param({}, "abacus", "auto", CPU, PAPER, "'abacus'; say auto, torch or openvino", id="runtime"),
        pytest.param({}, "auto", "int3", CPU, PAPER, "no precision 'int3'; say auto, fp32", id="precision"),
        pytest.param({}, "openvino", "auto", GPU, PAPER, "runs on a CPU, not on cuda", id="openvino on a GPU"),
        pytest.param({}, "auto", "int8", GPU, PAPER, "needs the runtime openvino, on a CPU", id="int8 on a GPU"),
        pytest.param({}, "torch", "int8", CPU, PAPER, "needs the runtime openvino", id="int8 with torch"),
        pytest.param({}, "auto", "fp16", CPU, PAPER, "fp16 needs a GPU", id="fp16 on a CPU"),
        pytest.param({}, "openvino", "fp16", CPU, PAPER, "fp16 needs a GPU", id="fp16 with openvino"),
        pytest.param(
            {"openvino": None}, "openvino", "auto", CPU, PAPER,
            r"runtime openvino needs the extra openvino: pip install 'siamfc-service\[openvino\]'", id="not installed",
        ),
        pytest.param(
            {"openvino": None}, "auto", "int8", CPU, PAPER, "precision int8 needs the extra openvino",
            id="int8, not installed",
        ),
        pytest.param(
            {"openvino": ("fp32", "int8")}, "openvino", "bf16", CPU, PAPER,
            "does not multiply bf16 with OpenVINO; say auto, fp32 or int8", id="bf16 on an old CPU",
        ),
        pytest.param({}, "auto", "int8", CPU, UNNORMED, "network bare cannot run in int8", id="int8 without norms"),
    ],
)  # fmt: skip
def test_refusals(
    machine: Any, has: Any, runtime: str, precision: str, device: torch.device, network: NetworkConfig, reason: str
) -> None:
    machine(**has)
    with pytest.raises(ConfigError, match=reason) as caught:
        candidates(runtime, precision, device, network)
    assert "\n" not in str(caught.value)


def measured(**facts: tuple[float, float]) -> list[Measured]:
    """By `runtime_precision=(ms, px)`."""
    return [Measured(Candidate(*name.split("_")), ms, px) for name, (ms, px) in facts.items()]  # type: ignore[arg-type]


FAILED = (math.inf, math.inf)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param({"torch_fp32": (90, 0), "openvino_int8": (30, 0.2)}, "openvino int8", id="the fastest"),
        pytest.param(
            {"torch_fp32": (90, 0), "openvino_bf16": (40, 0.1), "openvino_int8": (30, 0.6)}, "openvino bf16",
            id="the fastest drifts",
        ),
        pytest.param({"torch_fp32": (90, 0), "openvino_int8": (30, 0.5)}, "openvino int8", id="just within the bound"),
        pytest.param({"torch_fp32": (90, 0), "openvino_fp32": FAILED}, "torch fp32", id="one failed"),
        pytest.param(
            {"openvino_bf16": (40, 3.0), "openvino_int8": (30, 9.0)}, "openvino bf16", id="all drift: the least"
        ),
    ],
)  # fmt: skip
def test_decisions(facts: dict[str, tuple[float, float]], expected: str) -> None:
    assert str(decide(measured(**facts)).candidate) == expected


def test_where_all_failed_there_is_no_decision() -> None:
    with pytest.raises(ConfigError, match="nothing here runs the network: openvino bf16 failed, openvino int8 failed"):
        decide(measured(openvino_bf16=FAILED, openvino_int8=FAILED))
