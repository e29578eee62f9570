from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from siamfc.cli.program import program

pytest.importorskip("onnxscript", reason="the extra export is not installed")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(program, ["export", *arguments])
    return result.exit_code, result.output


def test_it_writes_both_networks_and_the_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "onnx"
    status, output = run(str(folder), "--weights", "light")
    assert status == 0
    assert output.split() == [str(folder / name) for name in ("exemplar.onnx", "search.onnx", "siamfc.json")]
    numbers = json.loads((folder / "siamfc.json").read_text())
    assert (numbers["network"], numbers["head"], numbers["stride"]) == ("light", False, 8)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["no/such/parent"], "there is no folder", id="a folder in no folder"),
        pytest.param(["out", "--weights", "none"], "no such file", id="weights that are not there"),
    ],
)
def test_refusals_write_nothing(
    arguments: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, output = run(*arguments)
    assert status == 2
    assert reason in output
    assert list(tmp_path.iterdir()) == []
