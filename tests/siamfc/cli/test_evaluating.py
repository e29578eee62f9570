"""`siamfc eval` over odd sequences: one rule here and through a server, and the others are reported."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from model.boxes import Box
from model.data.sequences import Sequence
from model.errors import SequenceError
from model.evaluation.one_pass import Found
from model.inference.predictor import Predictor
from siamfc.cli.evaluating import evaluate_all, listed
from tests.siamfc.cli.conftest import COUNT, Run
from tests.support.fake_server import FakeServer

Change = Callable[[Path], object]


@pytest.fixture
def root(folder: Path, tmp_path: Path) -> Path:
    """Two sequences: `good`, and `odd`, which a test makes so."""
    root = tmp_path / "sequences"
    truth = np.array([[10 + index, 20, 8, 6] for index in range(COUNT)], float)
    for name in ("good", "odd"):
        shutil.copytree(folder, root / name / "img", ignore=shutil.ignore_patterns("*.txt"))
        np.savetxt(root / name / "groundtruth.txt", truth, delimiter=",", fmt="%g")
    return root


def write_truth(*first: object) -> Change:
    """The odd sequence's first line of truth."""

    def change(odd: Path) -> None:
        path = odd / "groundtruth.txt"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([",".join(map(str, first)), *lines[1:]]))

    return change


def evaluated(run: Run, root: Path, server: FakeServer | None) -> tuple[int, str, dict[str, object]]:
    """Exit status, stderr and the JSON report, empty where none was written."""
    out = root.parent / "out.json"
    out.unlink(missing_ok=True)
    result = run("eval", root, "--json", out, *([] if server is None else ["--server", server.url]))
    return result.exit_code, result.stderr, json.loads(out.read_text()) if out.exists() else {}


FAULTS: dict[str, tuple[Change, str]] = {
    "a first box under a pixel": (write_truth(10, 20, 0.5, 6), "groundtruth.txt, frame 1: a box must be at least 1"),
    "a first box off the frame": (write_truth(200, 20, 8, 6), "groundtruth.txt, frame 1: the box does not overlap"),
    "a frame of another size": (
        lambda odd: cv2.imwrite(str(odd / "img" / "10.png"), np.zeros((20, 30, 3), np.uint8)),
        "10.png is 30 x 20, the frames before it 64 x 48",
    ),
    "a truth that is no number": (write_truth(10, 20, 8, "six"), "groundtruth.txt:1: not numbers"),
    "a frame too few": (lambda odd: (odd / "img" / "12.png").unlink(), "5 boxes for 4 frames"),
    "an empty frame": (lambda odd: (odd / "img" / "9.png").write_bytes(b""), "9.png: the image file is empty"),
    "a frame that cannot be decoded": (lambda odd: (odd / "img" / "9.png").write_bytes(b"no image"), "9.png"),
    "a first frame that cannot be decoded": (lambda odd: (odd / "img" / "8.png").write_bytes(b"no image"), "8.png"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_faulty_sequence_is_left_out_and_named(
    run: Run, monkeypatch: pytest.MonkeyPatch, tiny_predictor: Predictor, root: Path, server: FakeServer, fault: str
) -> None:
    monkeypatch.setattr("siamfc.cli.evaluate.make_predictor", lambda *_: tiny_predictor)
    change, message = FAULTS[fault]
    change(root / "odd")
    here, there = evaluated(run, root, None), evaluated(run, root, server)
    for status, stderr, report in (here, there):
        assert status == 2
        assert stderr.startswith("siamfc: 1 sequences could not be followed: ")
        assert message in stderr
        assert stderr.count("\n") == 1
        assert list(report["sequences"]) == ["good"]  # type: ignore[call-overload]
        assert list(report["failed"]) == ["odd"]  # type: ignore[call-overload]
    if "decoded" not in fault:  # the decoders' own words differ
        assert here[1] == there[1]
    assert server.sessions == {}


@pytest.mark.parametrize(
    "line", [pytest.param("nan,nan,nan,nan", id="all absent"), pytest.param("0,0,0,0", id="no box has an area")]
)
def test_a_sequence_that_shows_nothing_is_skipped(run: Run, root: Path, server: FakeServer, line: str) -> None:
    (root / "odd" / "groundtruth.txt").write_text("\n".join([line] * COUNT))
    status, stderr, report = evaluated(run, root, server)
    assert status == 0
    assert stderr == "siamfc eval: skipped 1 sequences: odd: the target is present in no frame\n"
    assert list(report["sequences"]) == ["good"]  # type: ignore[call-overload]
    assert "failed" not in report


def test_a_sequence_of_one_frame_is_skipped(run: Run, root: Path, server: FakeServer) -> None:
    for path in sorted((root / "odd" / "img").iterdir())[1:]:
        path.unlink()
    (root / "odd" / "groundtruth.txt").write_text("10,20,8,6\n")
    status, stderr, _ = evaluated(run, root, server)
    assert status == 0
    assert "skipped 1 sequences: odd: the target must be present in at least two frames" in stderr


def test_where_nothing_is_left(run: Run, root: Path, server: FakeServer) -> None:
    shutil.rmtree(root / "good")
    (root / "odd" / "groundtruth.txt").write_text("nan,nan,nan,nan\n" * COUNT)
    status, stderr, report = evaluated(run, root, server)
    assert (status, report) == (2, {})
    assert "no sequence is left to follow" in stderr


def test_a_rival_that_fails_leaves_the_sequence_out_for_all(run: Run, root: Path, server: FakeServer) -> None:
    # OpenCV decodes no such file, the fake server looks at nothing but its first bytes.
    (root / "odd" / "img" / "10.png").write_bytes((root / "odd" / "img" / "10.png").read_bytes()[:40])
    out = root.parent / "out.json"
    result = run("eval", root, "--json", out, "--server", server.url, "--compare", "mil")
    assert result.exit_code == 2
    report = json.loads(out.read_text())
    assert list(report["sequences"]) == list(report["compare"]["mil"]["sequences"]) == ["good"]


class Following:
    """Says that nothing moves; in the sequences named it fails."""

    def __init__(self, failing: dict[str, Exception]) -> None:
        self._failing = failing

    def start(self, frame: Path, box: Box) -> None:
        self._box = box

    def update(self, frame: Path) -> Found:
        for name, error in self._failing.items():
            if frame.parent.name == name:
                raise error
        return Found(self._box)


def sequences(*names: str) -> list[Sequence]:
    truth = np.array([[0.0, 0, 10, 10]] * 3)
    return [Sequence(name, tuple(Path(name) / f"{index}.jpg" for index in range(3)), truth) for name in names]


def test_a_server_that_goes_leaves_what_was_finished() -> None:
    gone = ConnectionError("gone")
    made: list[str] = []

    def make(name: str, failing: dict[str, Exception]) -> Callable[[], Following]:
        def maker() -> Following:
            made.append(name)
            return Following(failing)

        return maker

    makers = {"ours": make("ours", {"b": SequenceError("b: no"), "c": gone}), "rival": make("rival", {})}
    outcome = evaluate_all(sequences("a", "b", "c", "d"), makers)
    assert outcome.stopped is gone
    assert outcome.failed == {"b": "b: no"}
    assert {name: [run.sequence.name for run in report.runs] for name, report in outcome.reports.items()} == {
        "ours": ["a"]
    }
    assert made == ["ours", "ours", "ours"]


def test_a_server_that_goes_is_status_1_and_a_report(
    run: Run, root: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Going(Following):
        def __init__(self, _: object) -> None:
            super().__init__({"img": ConnectionError("gone")} if (root / "seen").exists() else {})
            (root / "seen").touch()

        def __enter__(self) -> Going:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr("siamfc.cli.evaluate.ServerFollower", Going)
    status, stderr, report = evaluated(run, root, server)
    assert status == 1
    assert "ended before its end" in stderr
    assert stderr.endswith("ConnectionError: gone\n")
    assert list(report["sequences"]) == ["good"]  # type: ignore[call-overload]


def test_reasons_are_listed_in_one_line() -> None:
    reasons = {str(index): f"{index}: no" for index in range(7)}
    assert listed(reasons) == "0: no; 1: no; 2: no; 3: no; 4: no; and 2 more"
    assert listed({"a": "a: no"}) == "a: no"
