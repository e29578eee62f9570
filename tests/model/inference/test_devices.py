from __future__ import annotations

import pytest
import torch

from model.errors import ConfigError
from model.inference.devices import choose_device, choose_precision


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"{name}' is not available"):
        choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "mps", "meta", "cuda:x", "cpu;"])
def test_a_device_that_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="say auto, cpu, cuda or cuda:N"):
        choose_device(name)


def test_auto_takes_the_gpu_when_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "device", "expected"),
    [
        ("fp32", "cpu", "fp32"),
        ("bf16", "cpu", "bf16"),
        ("auto", "cuda", "fp16"),
        ("fp16", "cuda", "fp16"),
        ("bf16", "cuda", "bf16"),
    ],
)
def test_precisions(name: str, device: str, expected: str) -> None:
    assert choose_precision(name, torch.device(device)) == expected


def test_auto_on_a_cpu_is_one_that_runs_there() -> None:
    assert choose_precision("auto", torch.device("cpu")) in ("fp32", "bf16")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fp16", "needs a GPU"),
        ("int8", "needs the runtime openvino"),
        ("int4", "no precision 'int4'"),
        ("", "say auto"),
    ],
)
def test_precision_refusals(name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        choose_precision(name, torch.device("cpu"))
