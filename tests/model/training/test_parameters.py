from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from model.errors import ConfigError
from model.training import parameters
from model.training.config import TrainingConfig
from model.training.parameters import autocast_dtype, freeze, make_optimizer
from tests.support.networks import TINY, random_network

CONFIG = TrainingConfig(items=2)


def test_freezing_fixes_the_first_convolutions_and_their_norms() -> None:
    network = random_network(TINY).requires_grad_(True)
    frozen = freeze(network, 1)
    assert {type(module) for module in frozen} == {nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d}
    trained = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    last = [name for name, _ in network.embedding.named_parameters()][-2:]
    assert trained == {f"embedding.{name}" for name in last} | {"match_norm.weight", "match_norm.bias"}


def test_freezing_nothing_and_too_much() -> None:
    network = random_network(TINY).requires_grad_(True)
    assert freeze(network, 0) == []
    assert all(parameter.requires_grad for parameter in network.parameters())
    with pytest.raises(ConfigError, match="below the 2 convolutions of tiny, not 2"):
        freeze(network, 2)


@pytest.mark.parametrize(("name", "kind"), [("adamw", torch.optim.AdamW), ("sgd", torch.optim.SGD)])
def test_kernels_decay_and_what_is_frozen_is_left_out(name: Any, kind: type) -> None:
    network = random_network(TINY).requires_grad_(True)
    freeze(network, 1)
    optimizer = make_optimizer(network, [], replace(CONFIG, optimizer=name, weight_decay=0.25, momentum=0.8))
    assert type(optimizer) is kind
    decayed, plain = optimizer.param_groups
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.25, 0)
    assert [p.ndim for p in decayed["params"]] == [4]
    assert sorted(p.ndim for p in plain["params"]) == [1, 1, 1]
    if name == "sgd":
        assert decayed["momentum"] == 0.8


@pytest.mark.parametrize(
    ("precision", "hardware", "expected"),
    [
        pytest.param("auto", "bf16", torch.bfloat16, id="a CPU that multiplies bf16"),
        pytest.param("auto", "fp32", None, id="one that would emulate it"),
        pytest.param("fp32", "bf16", None, id="asked for fp32"),
        pytest.param("bf16", "fp32", torch.bfloat16, id="asked for bf16"),
    ],
)
def test_mixed_precision_on_a_cpu(
    precision: Any, hardware: str, expected: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parameters, "choose_precision", lambda name, device: hardware)
    assert autocast_dtype(replace(CONFIG, precision=precision), torch.device("cpu")) is expected


@pytest.mark.parametrize("supported", [True, False])
def test_mixed_precision_on_a_gpu(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    assert (autocast_dtype(CONFIG, torch.device("cuda")) is torch.bfloat16) is supported
