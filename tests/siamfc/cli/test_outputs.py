"""No command writes over what it reads, or two outputs into one file; refused before anything is written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from model.checkpoints import save_weights
from model.inference.predictor import Predictor
from siamfc.cli.failures import InputError
from siamfc.cli.outputs import check_outputs, writing
from tests.siamfc.cli.conftest import COUNT, Run
from tests.support.fake_server import FakeServer
from tests.support.networks import random_weights
from tests.support.videos import BOX, write_video

SAME = "is the same file as the input"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.fixture
def inputs(tmp_path: Path, folder: Path) -> Path:
    """A folder with a video, frames, a sequence, weights, and links to them."""
    write_video(tmp_path / "clip.mp4", frames=3)
    shutil.copytree(folder, tmp_path / "all" / "square" / "img", ignore=shutil.ignore_patterns("*.txt"))
    truth = np.array([[10 + index, 20, 8, 6] for index in range(COUNT)], float)
    np.savetxt(tmp_path / "all" / "square" / "groundtruth.txt", truth, delimiter=",")
    save_weights(tmp_path / "w.safetensors", random_weights())
    (tmp_path / "link.mp4").symlink_to("clip.mp4")
    os.link(tmp_path / "clip.mp4", tmp_path / "hard.mp4")
    (tmp_path / "out.mp4").symlink_to("fresh.mp4")
    return tmp_path


Arguments = list[str]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["track", "clip.mp4", "--video", "clip.mp4"], f"--video clip.mp4: {SAME}", id="track: the video"),
        pytest.param(["track", "clip.mp4", "--json", "./clip.mp4"], SAME, id="track: the video as JSON"),
        pytest.param(["track", "clip.mp4", "--video", "link.mp4"], SAME, id="track: through a symbolic link"),
        pytest.param(["track", "link.mp4", "--video", "clip.mp4"], SAME, id="track: the source is the link"),
        pytest.param(["track", "clip.mp4", "--video", "hard.mp4"], SAME, id="track: through a hard link"),
        pytest.param(["track", "frames", "--json", "frames/9.png"], f"{SAME} frames/9.png", id="track: a frame"),
        pytest.param(["track", "frames", "--weights", "w.safetensors", "--json", "w.safetensors"], SAME, id="weights"),
        pytest.param(
            ["track", "clip.mp4", "--json", "new.mp4", "--video", "./new.mp4"],
            "--json and --video are the same file", id="track: both outputs one file",
        ),
        pytest.param(
            ["track", "clip.mp4", "--json", "out.mp4", "--video", "fresh.mp4"],
            "--json and --video are the same file", id="track: both through a link that dangles",
        ),
        pytest.param(["track", "clip.mp4", "--video", "no/out.mp4"], "there is no folder no", id="track: no folder"),
        pytest.param(["track", "clip.mp4", "--json", "frames"], "is a folder; give", id="track: a folder"),
        pytest.param(["track", "clip.mp4", "--video", "out.gif"], "the ending must be .mp4", id="track: a GIF"),
        pytest.param(["export", "run", "--weights", "run/search.onnx"], SAME, id="export: the weights"),
        pytest.param(["eval", "all", "--json", "all/square/groundtruth.txt"], SAME, id="eval: the truth"),
        pytest.param(["eval", "all", "--json", "all/square/img/9.png"], SAME, id="eval: a frame"),
        pytest.param(["eval", "all", "--plots", "clip.mp4"], "is a file", id="eval: plots into a file"),
        pytest.param(["convert", "w.safetensors", "w.safetensors"], SAME, id="convert: its input"),
        pytest.param(
            ["tune", "--corpus", "all", "--weights", "w.safetensors", "--save", "w.safetensors"], SAME, id="weights",
        ),
        pytest.param(["tune", "--corpus", "frames", "--out", "frames/9.png"], SAME, id="tune: the corpus"),
        pytest.param(
            ["train", "--corpus", "all", "--out", "run", "--init", "run/weights.safetensors"], SAME, id="train: init",
        ),
        pytest.param(
            ["train", "--corpus", "all", "--out", "run", "--config", "run/last.pt"], SAME, id="train: its settings",
        ),
    ],
)  # fmt: skip
def test_nothing_is_harmed(
    run: Run, inputs: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch, arguments: Arguments, message: str
) -> None:
    monkeypatch.chdir(inputs)
    (inputs / "run").mkdir()
    shutil.copy(inputs / "w.safetensors", inputs / "run" / "weights.safetensors")
    shutil.copy(inputs / "w.safetensors", inputs / "run" / "search.onnx")
    (inputs / "run" / "last.pt").write_text("seed = 5\n")
    monkeypatch.setattr("model.data.clips.refuse_evaluation_layout", lambda _: None)
    before = contents(inputs)
    result = _run(run, arguments, server)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert contents(inputs) == before
    assert server.created == []


def _run(run: Run, arguments: Arguments, server: FakeServer) -> Result:
    box = ["--box", BOX] if arguments[0] == "track" else []
    through = ["--server", server.url] if arguments[0] in ("track", "eval") and "--weights" not in arguments else []
    return run(*arguments, *box, *through)


def test_a_file_that_is_there_and_no_input_is_replaced(
    run: Run, inputs: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inputs)
    (inputs / "old.jsonl").write_text("old")
    result = run("track", "clip.mp4", "--box", BOX, "--server", server.url, "--json", "old.jsonl")
    assert result.exit_code == 0, result.stderr
    assert len((inputs / "old.jsonl").read_text().splitlines()) == 3
    assert list(inputs.glob("*.part")) == []


def test_a_run_that_follows_nothing_leaves_the_old_file(
    run: Run, inputs: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inputs)
    (inputs / "old.jsonl").write_text("old")
    (inputs / "frames" / "8.png").write_bytes(b"no image")
    result = run("track", "frames", "--box", BOX, "--server", server.url, "--json", "old.jsonl")
    assert result.exit_code == 2
    assert (inputs / "old.jsonl").read_text() == "old"
    assert list(inputs.glob("*.part")) == []


@pytest.mark.parametrize("make", [Path, lambda text: text])
def test_devices_and_stdout_are_no_files(make: Callable[[str], Path | str]) -> None:
    check_outputs({"--json": make("/dev/null"), "--video": make("/dev/null")}, [Path("/dev/null")])
    check_outputs({"--json": "-", "--video": None}, [Path("-")])


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match="no permission to write"):
        check_outputs({"--json": tmp_path / "out.json"})


def test_errors_of_the_work_are_not_the_files(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError), writing(tmp_path / "out.txt"):
        raise ConnectionError("the server has gone")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("inputs")
def test_a_symbolic_link_that_is_an_output_stays_one(
    run: Run, tmp_path: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch, tiny_predictor: Predictor
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("track", "frames", "--box", BOX, "--server", server.url, "--video", "out.mp4").exit_code == 0
    assert (tmp_path / "out.mp4").is_symlink()
    assert (tmp_path / "fresh.mp4").stat().st_size > 0
