"""The recipes that ship are configurations as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

import model.training.config as config_module
from model.training.config import TrainingConfig

FOLDER = Path(config_module.__file__).parent / "recipes"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_is_a_configuration_named_after_its_preset(path: Path) -> None:
    config = TrainingConfig.from_toml(path)
    assert config.preset == path.stem
    assert config.decay_steps < config.steps


def test_there_is_one_for_the_bundled_weights() -> None:
    assert (FOLDER / "paper.toml").is_file()
