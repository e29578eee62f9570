"""The numbers of a training run, and the recipes that ship."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from model.checks import FromDict, require
from model.config import PRESET_NAMES, preset
from model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class AugmentConfig(FromDict):
    """How a view of a target is varied. Probabilities are a view's unless said otherwise."""

    max_shift: float = 60.0
    """Greatest displacement of the target from the crop's centre, in crop pixels, each way."""
    scale_jitter: float = 0.10
    """Standard deviation of the log of a view's scale."""
    aspect_jitter: float = 0.06
    """Standard deviation of the log of a view's aspect."""
    box_jitter: float = 0.0
    """Standard deviation of the log of the box's width and height against the object's, alike in both views, and half
    of it of the centre's shift, in widths and heights: a user's box is not always the object's."""
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
    coarsest: float = 4.0
    """Greatest divisor of the resolution then."""
    elongated: float = 0.0
    """Probability that a pasted target is stretched, up to 1:20."""
    noise: float = 0.15
    jpeg: float = 0.25
    occluder: float = 0.15
    """Probability that a cut-out covers a part of the target."""
    distractor: float = 0.30
    """Probability that a cut-out is pasted beside the target."""
    truncation: float = 0.08
    """Probability that the picture ends within the target: up to 40 % of it lie beyond the edge."""
    mirror_fill: float = 0.30
    """Probability that both views mirror the picture beyond its edge instead of filling with its mean colour."""
    scenery_fill: float = 0.30
    """Probability that both views put another picture beyond the edge."""


_CHOICES = {
    "objective": ("batch", "reference", "box"),
    "optimizer": ("adamw", "sgd"),
    "precision": ("auto", "fp32", "bf16"),
}
_NOT_NEGATIVE = (
    "scale_tolerance", "freeze", "distill_maps", "distill_embedding", "weight_decay", "warmup_steps", "part_share",
    "validate_every", "track_every", "threads", "trunk_rate", "box_weight", "quality_weight",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrainingConfig(FromDict):
    """One run. The learning rate warms up, stays at `learning_rate`, and falls along a cosine at the end."""

    preset: str = "paper"
    objective: Literal["batch", "reference", "box"] = "batch"
    """`batch`: every exemplar of a batch against every search region (`model.training.objective`). `reference`: one
    exemplar, one search region, binary cross-entropy with a neutral band (`model.training.reference`). `box`: exemplars
    cut as in tracking, every one against every search region, and the box head (`model.training.box_objective`)."""
    upscale: bool = False
    """Whether the reference objective compares maps upscaled to one value a pixel."""
    negative_share: float = 0.0
    """Share of the reference objective's pairs whose search region shows another object."""
    init: str = ""
    """A weights file, or the name of bundled weights, to begin with; of this preset or one that begins as it does."""
    freeze: int = 0
    """So many of the embedding's convolutions, from the input, stay as they are, with their norms."""
    trunk: str = ""
    """A classifier's state dict (EfficientNet-Lite0) that the trunk begins with; empty: none."""
    trunk_rate: float = 1.0
    """Factor on the learning rate of the layers before the neck; their norms keep their statistics unless it is 1."""
    teacher: str = ""
    """A weights file, or the name of bundled weights, whose maps and embeddings are imitated; empty: none."""
    distill_maps: float = 1.0
    """Weight of the distance from the teacher's maps."""
    distill_embedding: float = 1.0
    """Weight of the distance from the teacher's embeddings."""
    distill_every: int = 1
    """One of so many views is shown to a teacher of embeddings alone; for maps it must see all."""
    seed: int = 1
    steps: int = 4000
    decay_steps: int = 1500
    warmup_steps: int = 100
    items: int = 8
    """Items a step; each gives two views and is matched both ways (reference objective: one way)."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: float = 0.9
    """Of SGD."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    clip_norm: float = 5.0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the embedding; `auto` is bf16 where the device multiplies it in hardware. Weights stay fp32."""
    ema: float = 0.998
    """Decay of the moving average of the weights; the average is what is kept. 0: no average."""
    positive_px: float = 12.0
    negative_px: float = 20.0
    box_px: float = 16.0
    """Cells that are at most so far from the target's centre are asked for its box."""
    box_weight: float = 1.0
    """Weight of the box's distance from the truth."""
    quality_weight: float = 1.0
    """Weight of the quality's cross-entropy."""
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
    held_out: float = 0.12
    """Share of the clips, by a hash of their names, that are kept from training and validate."""
    validate_every: int = 25
    """Steps between validations on pairs of held-out clips; 0: never."""
    validation_pairs: int = 32
    track_every: int = 500
    """Steps between validations by tracking through held-out clips; 0: never."""
    checkpoint_every: int = 100
    resident_mib: int = 8192
    """Memory of a GPU that keeps the corpus's decoded images; on a CPU none is used."""
    threads: int = 0
    """CPU threads of the network; 0 leaves PyTorch's choice."""
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        require(self.preset in PRESET_NAMES, f"preset must be one of {', '.join(PRESET_NAMES)}, not {self.preset!r}")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            require(value in choices, f"{name} must be {' or '.join(choices)}, not {value!r}")
        require(self.steps >= 1 and self.items >= 2, "a run needs at least 1 step and 2 items a step")
        require(0 <= self.decay_steps <= self.steps, f"decay_steps must lie in 0..{self.steps}")
        require(0 < self.positive_px <= self.negative_px, "0 < positive_px <= negative_px must hold")
        require(
            min(self.video_share, self.composite_share) >= 0 and self.video_share + self.composite_share <= 1,
            "video_share and composite_share must not be negative nor exceed 1 together",
        )
        require(all(weight >= 0 for weight in self.source_weights.values()), "source_weights must not be negative")
        for name in _NOT_NEGATIVE:
            require(getattr(self, name) >= 0, f"{name} must not be negative, not {getattr(self, name)}")
        for name in ("ema", "momentum", "held_out", "negative_share"):
            require(0 <= getattr(self, name) < 1, f"{name} must lie in [0, 1), not {getattr(self, name)}")
        for name in ("learning_rate", "clip_norm", "box_px"):
            require(getattr(self, name) > 0, f"{name} must be positive")
        require(
            self.objective != "box" or (preset(self.preset).head is not None and not self.teacher),
            f"the box objective needs a preset with a head, and no teacher: {self.preset}",
        )
        require(
            self.objective == "reference" or not (self.upscale or self.negative_share),
            "upscale and negative_share belong to the reference objective",
        )
        require(
            min(self.validation_pairs, self.max_gap, self.checkpoint_every, self.resident_mib, self.distill_every) >= 1,
            "validation_pairs, max_gap, checkpoint_every, resident_mib and distill_every must be at least 1",
        )
        require(
            self.distill_every == 1 or not self.distill_maps,
            "distill_every above 1 needs distill_maps = 0: maps are of all views",
        )

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


def recipe_names() -> list[str]:
    """The recipes that ship with the package."""
    return sorted(path.stem for path in _RECIPES.glob("*.toml"))


def recipe(name: str) -> TrainingConfig:
    """The recipe of that name. Raises ConfigError where there is none."""
    if name not in recipe_names():
        raise ConfigError(f"no recipe {name!r}; there are {', '.join(recipe_names())}")
    return TrainingConfig.from_toml(_RECIPES / f"{name}.toml")


_RECIPES = Path(__file__).parent / "recipes"
