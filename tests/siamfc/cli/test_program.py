"""Exit statuses, one line on stderr, tracebacks only on demand, and no torch where none is needed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from model.errors import CheckpointError
from model.inference.remembered import RememberedChoices
from siamfc import ConnectionLost, FrameError
from siamfc.cli.options import make_predictor
from siamfc.cli.program import program
from siamfc.client.refusals import from_problem
from tests.siamfc.cli.conftest import Run
from tests.support.fake_server import FakeServer

COMMANDS = ["bench", "convert", "eval", "serve", "track", "train"]

WITHOUT_TORCH = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "fastapi", "pydantic", "pydantic_settings", "PIL", "safetensors"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from siamfc.cli import main
sys.argv[0] = "siamfc"
main()
"""


def without_torch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`siamfc` where only the base install is there."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Makes `siamfc bench` raise."""

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(program.commands["bench"], "callback", fail)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        pytest.param(CheckpointError("w.safetensors: no"), 2, "siamfc: w.safetensors: no", id="the model's input"),
        pytest.param(from_problem({"type": "#invalid-box", "detail": "off"}), 2, "siamfc: off", id="a bad box"),
        pytest.param(
            FrameError(3, from_problem({"type": "#invalid-image", "detail": "torn"})),
            2, "siamfc: frame 3: torn", id="a bad frame",
        ),
        pytest.param(from_problem({"type": "#at-capacity", "detail": "full"}), 1, "siamfc: full", id="a full server"),
        pytest.param(ConnectionLost("nobody\nthere"), 1, "siamfc: nobody there", id="no server"),
        pytest.param(ZeroDivisionError("oh"), 1, "siamfc: ZeroDivisionError: oh", id="a bug"),
        pytest.param(click.UsageError("so not"), 2, "siamfc bench: so not", id="usage"),
    ],
)  # fmt: skip
def test_failures(run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, line: str) -> None:
    failing(monkeypatch, error)
    result = run("bench")
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr == line + "\n"


def test_interrupted(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    result = run("bench")
    assert result.exit_code == 130
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("way", ["option", "variable"])
def test_debug_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    failing(monkeypatch, ZeroDivisionError("oh"))
    if way == "variable":
        monkeypatch.setenv("SIAMFC_DEBUG", "1")
    result = run(*(["--debug"] if way == "option" else []), "bench")
    assert result.exit_code == 1
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        pytest.param(["fly"], "fly", id="no such command"),
        pytest.param(["track"], "SOURCE", id="no source"),
        pytest.param(["track", ".", "--speed", "9"], "--speed", id="no such option"),
        pytest.param(["serve", "--port", "99999"], "99999", id="a port out of range"),
        pytest.param(["eval", "/no/such/folder"], "/no/such/folder", id="no such folder"),
        pytest.param(["train", "--corpus", "/no/such/folder", "--out", "x"], "/no/such/folder", id="no corpus"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], part: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert part in result.stderr
    assert result.stderr.count("\n") == 1


def test_help_needs_the_base_install_only() -> None:
    done = without_torch("--help")
    assert done.returncode == 0
    assert all(command in done.stdout for command in COMMANDS)
    for command in COMMANDS:
        assert without_torch(command, "--help").returncode == 0


def test_tracking_through_a_server_needs_the_base_install_only(server: FakeServer, folder: Path) -> None:
    done = without_torch("track", folder, "--box", "10,20,8,6", "--server", server.url, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 5


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        pytest.param(["track", "FOLDER", "--box", "10,20,8,6"], "server", id="track"),
        pytest.param(["serve"], "server", id="serve"),
        pytest.param(["train", "--corpus", "FOLDER", "--out", "out"], "train", id="train"),
        pytest.param(["convert", "FOLDER/8.png", "out.safetensors"], "train", id="convert"),
    ],
)
def test_a_missing_extra_is_named(folder: Path, arguments: list[str], extra: str) -> None:
    done = without_torch(*(argument.replace("FOLDER", str(folder)) for argument in arguments))
    assert done.returncode == 2
    assert f"siamfc-service[{extra}]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reader_that_leaves(server: FakeServer, folder: Path) -> None:
    command = [sys.executable, "-c", "from siamfc.cli import main; main()", "track", str(folder)]
    command += ["--box", "10,20,8,6", "--server", server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == "siamfc: the reader of stdout has gone\n"
        assert process.wait(30) == 1


def test_ctrl_c_in_a_process_of_its_own(server: FakeServer, folder: Path) -> None:
    server.script.mute = True
    command = [sys.executable, "-c", "from siamfc.cli import main; main()", "track", str(folder)]
    command += ["--box", "10,20,8,6", "--server", server.url, "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        # The given box's line says that tracking is under way.
        assert '"frame_index": 0' in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=30)
        assert process.returncode == 130
        assert complaint.strip() == ""
    assert server.sessions == {}


@pytest.mark.parametrize(
    ("variable", "kept"), [(None, True), ("true", True), ("1", True), ("", True), ("false", False), ("0", False)]
)
def test_what_was_measured_is_remembered_unless_told_not_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str | None, kept: bool
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("model.inference.loading.load_predictor", lambda *_, **options: seen.append(options))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("SIAMFC_REMEMBER", raising=False)
    if variable is not None:
        monkeypatch.setenv("SIAMFC_REMEMBER", variable)
    make_predictor(None, None, None, None)
    assert seen[0]["runtime"] == "auto"
    assert isinstance(seen[0]["remembered"], RememberedChoices) is kept
