"""`siamfc eval --compare`: which trackers, and which files go with them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from model.errors import ModelError
from siamfc.cli.rivals import Rivals


@pytest.mark.parametrize(
    ("names", "files", "message"),
    [
        pytest.param(None, {"vit": Path("v.onnx")}, "--vit goes with --compare vit", id="a file for nobody"),
        pytest.param("mil", {"nano_head": Path("h.onnx")}, "--nano-head goes with --compare nano", id="for another"),
        pytest.param("mil", {"models": Path()}, "--models goes with", id="a folder for nobody"),
        pytest.param("nano", {}, "'nano' needs two ONNX files", id="no files"),
        pytest.param("nano", {"nano_head": Path("h.onnx")}, "'nano' needs two ONNX files", id="one of two files"),
        pytest.param("vit", {"vit": Path("none.onnx")}, "none.onnx: there is no such file", id="no such file"),
        pytest.param("mil,MIL", {}, "different names", id="one twice"),
        pytest.param("mil,ours", {}, "different names", id="our own name"),
    ],
)
def test_refusals(names: str | None, files: dict[str, Path], message: str) -> None:
    with pytest.raises((click.ClickException, ModelError), match=message):
        Rivals.chosen(names, "ours", **files)


def test_without_compare_there_are_none() -> None:
    assert Rivals.chosen(None, "ours") == Rivals()


def test_every_rival_is_made_anew_for_every_sequence() -> None:
    make = Rivals.chosen(" MIL ", "ours").makers["mil"]
    assert make() is not make()


def test_a_folder_without_their_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'vit' needs the ONNX file"):
        Rivals.chosen("vit", "ours", models=tmp_path)
