"""The numbers of a training run."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from model.config import PRESET_NAMES, _FromDict, _require
from model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class AugmentConfig(_FromDict):
    """How a view of a target is varied. Probabilities are a view's unless said otherwise."""

    max_shift: float = 60.0
    """Greatest displacement of the target from the crop's centre, in crop pixels, each way."""
    scale_jitter: float = 0.10
    """Standard deviation of the log of a view's scale."""
    aspect_jitter: float = 0.06
    """Standard deviation of the log of a view's aspect."""
    rotation: float = 6.0
    """Standard deviation of a view's rotation, in degrees."""
    flip: float = 0.5
    """Probability that both views are mirrored."""
    grey: float = 0.15
    """Probability that both views are grey."""
    colour: float = 0.25
    """Greatest relative change of brightness, contrast and saturation."""
    blur: float = 0.15
    low_resolution: float = 0.35
    """Probability that both views are rendered at a fraction of their resolution, as small targets are."""
    noise: float = 0.15
    jpeg: float = 0.25
    occluder: float = 0.15
    """Probability that a cut-out covers a part of the target."""
    distractor: float = 0.30
    """Probability that a cut-out is pasted beside the target."""
    mirror_fill: float = 0.30
    """Probability that both views mirror the picture beyond its edge instead of filling with its mean colour."""
    scenery_fill: float = 0.30
    """Probability that both views put another picture beyond the edge."""


@dataclass(frozen=True, slots=True)
class TrainingConfig(_FromDict):
    """One run. The learning rate warms up, stays at `learning_rate`, and falls along a cosine at the end."""

    preset: str = "paper"
    seed: int = 1
    steps: int = 4000
    decay_steps: int = 1500
    warmup_steps: int = 100
    items: int = 8
    """Items a step; each gives two views and is matched both ways."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    clip_norm: float = 5.0
    ema: float = 0.998
    """Decay of the moving average of the weights; the average is what is kept. 0: no average."""
    positive_px: float = 12.0
    negative_px: float = 20.0
    soft_px: float = 6.0
    """Width (standard deviation, crop pixels) of the soft target of the softmax over cells."""
    scale_tolerance: float = 0.08
    """Difference of two views' log scales at which a positive label falls to 0.61; 0: scale does not matter."""
    max_gap: int = 50
    """Most frames between the two views of one clip."""
    video_share: float = 0.5
    """Share of the items that come from clips."""
    composite_share: float = 0.12
    """Share of the items that are a cut-out pasted into two pictures; the rest are stills."""
    part_share: float = 0.6
    """Share of the stills' large objects that are replaced by a part of them, so that little lies off the picture."""
    source_weights: dict[str, float] = field(default_factory=dict)
    """Factors on the sources' sampling weights, which are the square roots of their sizes."""
    checkpoint_every: int = 100
    threads: int = 0
    """CPU threads of the network; 0 leaves PyTorch's choice."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        _require(self.preset in PRESET_NAMES, f"preset must be one of {', '.join(PRESET_NAMES)}, not {self.preset!r}")
        _require(self.steps >= 1 and self.items >= 2, "a run needs at least 1 step and 2 items a step")
        _require(0 <= self.decay_steps <= self.steps, f"decay_steps must lie in 0..{self.steps}")
        _require(0 < self.positive_px <= self.negative_px, "0 < positive_px <= negative_px must hold")
        _require(
            min(self.video_share, self.composite_share) >= 0 and self.video_share + self.composite_share <= 1,
            "video_share and composite_share must not be negative nor exceed 1 together",
        )
        _require(all(weight >= 0 for weight in self.source_weights.values()), "source_weights must not be negative")
        _require(self.scale_tolerance >= 0, f"scale_tolerance must not be negative, not {self.scale_tolerance}")
        _require(0 <= self.ema < 1, f"ema must lie in [0, 1), not {self.ema}")
        _require(self.learning_rate > 0, "learning_rate must be positive")

    @classmethod
    def from_toml(cls, path: Path) -> TrainingConfig:
        """Read a TOML file: the fields above, and a table `augment`. Raises ConfigError for an unknown key."""
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from error
        if "augment" in values:
            values["augment"] = AugmentConfig.from_dict(values["augment"])
        return cls.from_dict(values)

    def as_dict(self) -> dict[str, object]:
        """Plain values, for a checkpoint's metadata."""
        return dataclasses.asdict(self)
