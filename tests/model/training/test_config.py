from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from model.errors import ConfigError
from model.training.config import AugmentConfig, TrainingConfig


def test_a_toml_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('preset = "baseline"\nsteps = 2000\n[augment]\nflip = 0.25\n[source_weights]\npets = 2.0\n')
    config = TrainingConfig.from_toml(path)
    assert (config.preset, config.steps, config.source_weights) == ("baseline", 2000, {"pets": 2.0})
    assert config.augment == AugmentConfig(flip=0.25)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("step = 5", "no field step", id="misspelt"),
        pytest.param("[augment]\nflop = 1", "AugmentConfig has no field flop", id="misspelt in a table"),
        pytest.param("steps = ", "run.toml", id="no TOML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        TrainingConfig.from_toml(path)
    with pytest.raises(ConfigError, match="none"):
        TrainingConfig.from_toml(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"preset": "resnet"}, "preset"),
        ({"steps": 0, "decay_steps": 0}, "at least 1 step"),
        ({"items": 1}, "2 items"),
        ({"decay_steps": 5000}, "decay_steps"),
        ({"positive_px": 30.0}, "positive_px"),
        ({"video_share": 0.9, "composite_share": 0.2}, "exceed 1"),
        ({"video_share": -0.1}, "not be negative"),
        ({"source_weights": {"pets": -1.0}}, "source_weights"),
        ({"ema": 1.0}, "ema"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"objective": "triplet"}, "objective must be batch or reference or box, not 'triplet'"),
        ({"optimizer": "adam"}, "optimizer must be adamw or sgd"),
        ({"precision": "fp16"}, "precision must be auto or fp32 or bf16"),
        ({"upscale": True}, "belong to the reference objective"),
        ({"negative_share": 0.5}, "belong to the reference objective"),
        ({"negative_share": 1.0, "objective": "reference"}, "negative_share must lie in"),
        ({"held_out": 1.0}, "held_out"),
        ({"freeze": -1}, "freeze must not be negative"),
        ({"validation_pairs": 0}, "validation_pairs"),
        ({"distill_maps": -0.5}, "distill_maps"),
        ({"clip_norm": 0.0}, "clip_norm"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_refusals(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        TrainingConfig(**changes)


def test_a_configuration_survives_json() -> None:
    config = TrainingConfig(steps=3000, augment=AugmentConfig(grey=0.5))
    values = json.loads(json.dumps(config.as_dict()))
    values["augment"] = AugmentConfig.from_dict(values["augment"])
    assert TrainingConfig.from_dict(values) == config
