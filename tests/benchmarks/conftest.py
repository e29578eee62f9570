"""A network that costs little, for the benchmarks that start servers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from model.checkpoints import save_weights
from tests.support.networks import random_weights


@pytest.fixture(scope="session")
def light_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of the smallest network, untrained, with one scale."""
    weights = random_weights("light")
    path = tmp_path_factory.mktemp("weights") / "light.safetensors"
    save_weights(path, dataclasses.replace(weights, constants=dataclasses.replace(weights.constants, scales=1)))
    return path
