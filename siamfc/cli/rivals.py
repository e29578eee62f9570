"""OpenCV's trackers beside ours in `siamfc eval`, by the options that choose them and name their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from siamfc.cli.failures import InputError
from siamfc.cli.options import Command

if TYPE_CHECKING:
    from model.evaluation.one_pass import Follower

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def rival_options(command: Command) -> Command:
    """Add --compare, and the options for model files."""
    for decorate in (
        click.option(
            "--models",
            metavar="DIR",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="Folder that holds the ONNX files of nano and vit, told by their names.",
        ),
        click.option("--vit", metavar="ONNX", type=_FILE, help="VitTrack's file, for --compare vit."),
        click.option("--nano-head", metavar="ONNX", type=_FILE, help="NanoTrack's head."),
        click.option("--nano-backbone", metavar="ONNX", type=_FILE, help="NanoTrack's backbone, for --compare nano."),
        click.option(
            "--compare", metavar="NAMES", help="Evaluate OpenCV's trackers too, such as mil or csrt,kcf,nano,vit."
        ),
    ):
        command = decorate(command)
    return command


@dataclass(frozen=True, slots=True)
class Rivals:
    """Makers of the other trackers, by name, and the model files that they read."""

    makers: Mapping[str, Callable[[], Follower]] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    @classmethod
    def chosen(cls, names: str | None, ours: str, models: Path | None = None, **files: Path | None) -> Self:
        """The rivals of `--compare`. files: those of `model.evaluation.opencv.ModelFiles`.

        Raises InputError for a repeated name, ModelError for a tracker that cannot be had, UsageError for files that
        no tracker of `names` reads.
        """
        chosen = [] if names is None else [each.strip().lower() for each in names.split(",")]
        for option, path in files.items():
            tracker = option.partition("_")[0]
            if path is not None and tracker not in chosen:
                raise click.UsageError(f"--{option.replace('_', '-')} goes with --compare {tracker}")
        if models is not None and not {"nano", "vit"} & set(chosen):
            raise click.UsageError("--models goes with --compare nano or --compare vit")
        if not chosen:
            return cls()
        if len({*chosen, ours}) <= len(chosen) or "" in chosen:
            raise InputError(f"--compare takes different names with commas between them, not {names!r}")
        from model.evaluation.opencv import ModelFiles, OpenCVFollower

        found = ModelFiles(**files) if models is None else ModelFiles(**files).or_in(models)
        for each in chosen:
            OpenCVFollower(each, found)
        return cls({each: partial(OpenCVFollower, each, found) for each in chosen}, found.given())
