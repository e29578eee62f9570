"""The thin commands: serve, convert, train, bench."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from model.checkpoints import load_weights
from model.training.validation import Validation
from service.settings import Settings
from siamfc.cli import bench
from tests.siamfc.cli.conftest import Run
from tests.support.networks import random_weights
from tests.support.odd_checkpoints import ODD


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings the server was asked to run with; it ends at once with status 7."""
    served: list[Settings] = []

    def run(settings: Settings) -> int:
        served.append(settings)
        return 7

    monkeypatch.setattr("service.serve.run", run)
    return served


def test_serve_passes_what_is_given_and_the_status_back(
    run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIAMFC_PORT", "9001")
    monkeypatch.setenv("SIAMFC_DEVICE", "cpu")
    assert run("serve", "--port", 9002, "--log-format", "json").exit_code == 7
    (settings,) = served
    assert (settings.port, settings.device, settings.log_format) == (9002, "cpu", "json")


def test_serve_refuses_a_misspelt_setting(run: Run, served: list[Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIAMFC_PROT", "9001")
    result = run("serve")
    assert (result.exit_code, served) == (2, [])
    assert "SIAMFC_PROT" in result.stderr


def test_convert(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source, out = tmp_path / "in.pth", tmp_path / "out.safetensors"
    source.write_bytes(b"a checkpoint")
    monkeypatch.setattr("model.convert.convert", lambda path: random_weights("baseline"))
    result = run("convert", source, out)
    assert result.exit_code == 0
    assert "baseline" in result.stdout
    assert load_weights(out).network.config.name == "baseline"


@pytest.mark.parametrize(
    ("content", "out", "part"),
    [
        pytest.param(b"no checkpoint", "out.safetensors", "in.pth", id="no checkpoint"),
        pytest.param(b"", "out.pth", ".safetensors", id="another ending"),
        pytest.param(b"", "no/out.safetensors", "no folder", id="no folder"),
    ],
)
def test_convert_refuses(run: Run, tmp_path: Path, content: bytes, out: str, part: str) -> None:
    (tmp_path / "in.pth").write_bytes(content)
    result = run("convert", tmp_path / "in.pth", tmp_path / out)
    assert result.exit_code == 2
    assert part in result.stderr
    assert not (tmp_path / out).exists()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GOT-10k corpus of one clip of three frames."""
    folder = tmp_path_factory.mktemp("corpus")
    clip = folder / "train" / "GOT-10k_Train_000001"
    clip.mkdir(parents=True)
    for index in range(1, 4):
        cv2.imwrite(str(clip / f"{index:08d}.jpg"), np.full((48, 64, 3), 90, np.uint8))
    (clip / "groundtruth.txt").write_text("11,11,20,20\n" * 3)
    return folder


@pytest.mark.parametrize("name", list(ODD))
def test_convert_says_what_a_file_is_that_is_no_checkpoint(run: Run, tmp_path: Path, name: str) -> None:
    source, out = tmp_path / "in.pth", tmp_path / "out.safetensors"
    make, message = ODD[name]
    make(source)
    result = run("convert", source, out)
    assert result.exit_code == 2
    assert re.fullmatch(rf"siamfc: {re.escape(str(source))}: .*{message}.*\n", result.stderr)
    assert not out.exists()


@pytest.mark.parametrize("name", list(ODD))
def test_weights_that_are_none_are_said_to_be(run: Run, tmp_path: Path, name: str) -> None:
    source = tmp_path / "in.safetensors"
    ODD[name][0](source)
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "1.jpg").write_bytes(b"an image")
    result = run("track", tmp_path / "frames", "--box", "1,2,3,4", "--weights", source)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"siamfc: {source}: cannot be read as a weights file: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", list(ODD))
def test_train_does_not_resume_what_is_no_checkpoint(run: Run, corpus: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "run"
    out.mkdir()
    ODD[name][0](out / "last.pt")
    before = (out / "last.pt").read_bytes()
    result = run("train", "--corpus", corpus, "--out", out, "--resume", "--device", "cpu")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"siamfc: {out / 'last.pt'}: cannot be read as a training checkpoint: ")
    assert (out / "last.pt").read_bytes() == before


@pytest.mark.parametrize(("finished", "status"), [(True, 0), (False, 130)])
def test_train(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, finished: bool, status: int) -> None:
    calls: list[Any] = []

    def train(config: Any, corpora: Any, out: Path, **options: Any) -> bool:
        calls.append(
            (config.steps, config.decay_steps, config.seed, corpora, out, options["resume"], options["device"])
        )
        return finished

    monkeypatch.setattr("model.training.run.train", train)
    (tmp_path / "run.toml").write_text("seed = 5\nsteps = 50\ndecay_steps = 20\n")
    out = tmp_path / "out"
    arguments = ["--corpus", tmp_path, "--out", out, "--config", tmp_path / "run.toml", "--resume", "--steps", 10]
    result = run("train", *arguments)
    assert result.exit_code == status
    assert calls == [(10, 10, 5, (tmp_path,), out, True, "auto")]
    assert ("--resume" in result.stderr) is not finished


def test_train_by_recipe_from_weights_on_two_corpora(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[Any] = []

    def train(config: Any, corpora: Any, out: Path, *, listener: Any, **options: Any) -> bool:
        calls.append((config.preset, config.objective, config.init, config.teacher, corpora))
        listener.on_validation(Validation(50, 0.9, 7.25, 0.5))
        listener.on_skipped(["a: the target is present in no frame", "b: the same"])
        return True

    monkeypatch.setattr("model.training.run.train", train)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.safetensors").touch()
    given, teacher = (tmp_path / f"{name}.safetensors" for name in ("a", "b"))
    corpora = ["--corpus", tmp_path / "a", "--corpus", tmp_path / "b"]
    options = ["--recipe", "reference", "--init", given, "--teacher", teacher]
    result = run("train", *corpora, "--out", tmp_path / "out", *options)
    assert result.exit_code == 0
    assert calls == [("baseline", "reference", str(given), str(teacher), (tmp_path / "a", tmp_path / "b"))]
    assert "skipped 2 clips, the first of them a: the target is present in no frame" in result.stderr
    assert "step 50: held out: 7.25 px, ROC AUC 0.9000, overlap 0.500" in result.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param(["--recipe", "papr"], "no recipe 'papr'; there are", id="no such recipe"),
        pytest.param(["--config", "run.toml"], "sede", id="an unknown key"),
        pytest.param(["--config", "run.toml", "--recipe", "default"], "exclude each other", id="both"),
        pytest.param(["--init", "none.safetensors"], "none.safetensors", id="no such weights"),
    ],
)
def test_train_refuses(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: list[str], reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text("sede = 5\n")
    result = run("train", "--corpus", tmp_path, "--out", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert reason in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A checkout with the benchmarks `one` and `two`, of which the second has options."""

    def one() -> dict[str, Any]:
        return {"ms": 1}

    def two(
        ms: float = 2,
        label: str = "",
        weights: Path | None = None,
        counts: tuple[int, ...] = (1, 2),
        fast: bool = False,
        anything: object = None,
    ) -> dict[str, Any]:
        given = {"ms": ms, "label": label, "weights": weights and weights.name, "counts": list(counts), "fast": fast}
        return {name: value for name, value in given.items() if value}

    folder = tmp_path / "benchmarks"
    folder.mkdir()
    monkeypatch.setitem(sys.modules, "benchmarks", types.ModuleType("benchmarks"))
    for run in (one, two):
        (folder / f"{run.__name__}.py").touch()
        module = types.ModuleType(f"benchmarks.{run.__name__}")
        module.run = run  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
    (folder / "_report.py").touch()
    report = types.ModuleType("benchmarks._report")
    report.save = lambda name, module, result, folder: [folder / name]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "benchmarks._report", report)
    monkeypatch.setattr(bench, "PACKAGE_ROOT", tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])


@pytest.mark.usefixtures("benchmarks")
def test_bench(run: Run, tmp_path: Path) -> None:
    assert run("bench", "--list").stdout == "one\ntwo\n"
    assert json.loads(run("bench", "two").stdout) == {"two": {"ms": 2, "counts": [1, 2]}}
    assert run("bench", "--json", tmp_path / "out.json").exit_code == 0
    both = {"one": {"ms": 1}, "two": {"ms": 2, "counts": [1, 2]}}
    assert json.loads((tmp_path / "out.json").read_text()) == both
    unknown = run("bench", "three")
    assert unknown.exit_code == 2
    assert "one, two" in unknown.stderr


@pytest.mark.usefixtures("benchmarks")
def test_bench_gives_options(run: Run) -> None:
    options = ["ms=0.5", "label=a=b", "weights=x/w.safetensors", "counts=4,8", "fast=yes"]
    result = run("bench", "two", *(part for option in options for part in ("-o", option)))
    measured = {"ms": 0.5, "label": "a=b", "weights": "w.safetensors", "counts": [4, 8], "fast": True}
    assert json.loads(result.stdout) == {"two": measured}
    assert run("bench", "two", "--list").stdout.splitlines()[:4] == ["ms=2", "label=", "weights=", "counts=1,2"]


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        pytest.param(["two", "-o", "mss=1"], "no option 'mss'; there are ms, label", id="misspelt"),
        pytest.param(["one", "-o", "ms=1"], "there are none", id="one without options"),
        pytest.param(["two", "-o", "ms"], "key=value", id="no value"),
        pytest.param(["two", "-o", "ms=fast"], "'fast' is no float", id="no number"),
        pytest.param(["two", "-o", "counts=1,x"], "tuple[int", id="one of several is no number"),
        pytest.param(["two", "-o", "fast=perhaps"], "no bool", id="no flag"),
        pytest.param(["two", "-o", "anything=1"], "no object", id="of no kind that can be given"),
        pytest.param(["-o", "ms=1"], "goes with the name", id="of which benchmark"),
    ],
)
def test_bench_refuses_options(run: Run, arguments: list[str], reason: str) -> None:
    result = run("bench", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert reason in result.stderr


@pytest.mark.usefixtures("benchmarks")
def test_bench_saves_where_it_is_asked_to(run: Run, tmp_path: Path) -> None:
    assert run("bench", "one").stderr == ""
    result = run("bench", "one", "--save")
    assert result.stderr == f"wrote {tmp_path / 'benchmarks' / 'results' / 'one'}\n"
    assert json.loads(result.stdout) == {"one": {"ms": 1}}


def test_bench_outside_a_checkout(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "PACKAGE_ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    result = run("bench")
    assert result.exit_code == 2
    assert "checkout" in result.stderr


@pytest.mark.usefixtures("benchmarks")
def test_bench_of_an_installed_package_in_the_root_of_a_checkout(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bench, "PACKAGE_ROOT", tmp_path / "site-packages")
    monkeypatch.chdir(tmp_path)
    assert run("bench", "--list").stdout == "one\ntwo\n"
    assert sys.path[0] == str(tmp_path)
