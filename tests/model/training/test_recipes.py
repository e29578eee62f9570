"""The recipes that ship are configurations as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

import model.training.config as config_module
from model.checkpoints import bundled_names
from model.errors import ConfigError
from model.training.config import recipe, recipe_names

FOLDER = Path(config_module.__file__).parent / "recipes"
NETWORKS = {"default": "paper", "reference": "baseline"}
"""The networks of the recipes that are not named after theirs."""


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_is_a_configuration_named_after_its_preset(path: Path) -> None:
    config = recipe(path.stem)
    assert config.preset == NETWORKS.get(path.stem, path.stem)
    assert config.decay_steps <= config.steps


def test_there_is_one_for_the_bundled_weights() -> None:
    assert set(bundled_names()) <= set(recipe_names())
    assert set(bundled_names()) >= {"paper", "light"}


def test_the_reference_s_is_its_objective_on_centred_pairs() -> None:
    config = recipe("reference")
    assert (config.objective, config.upscale, config.optimizer) == ("reference", True, "sgd")
    assert (config.positive_px, config.negative_px, config.max_gap) == (16, 24, 50)
    assert config.augment.max_shift == 0


def test_an_unknown_one_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no recipe 'papr'; there are baseline, default"):
        recipe("papr")
