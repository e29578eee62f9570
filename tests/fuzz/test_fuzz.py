"""The kept corpora pass, the targets can fail, and a fuzzer finds nothing in a short run."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from service.wire.protocol import StreamProtocol
from tests.fuzz import targets
from tests.fuzz.__main__ import CORPUS
from tests.fuzz.targets import TARGETS

ROOT = Path(__file__).parents[2]
RUNS = {"wire": 20_000, "body": 20_000, "image": 2_000}
KEPT = [(name, path) for name in TARGETS for path in sorted((CORPUS / name).iterdir())]


@pytest.mark.parametrize(("name", "path"), KEPT, ids=lambda value: getattr(value, "name", value))
def test_the_kept_inputs_pass(name: str, path: Path) -> None:
    data = path.read_bytes()
    TARGETS[name](data)
    for cut in range(0, len(data), max(1, len(data) // 50)):
        TARGETS[name](data[:cut])


def test_every_target_has_a_corpus() -> None:
    assert {name for name, _ in KEPT} == set(TARGETS)


def test_the_wire_target_sees_a_lost_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StreamProtocol, "answer", lambda self, seq, text: [])
    with pytest.raises(AssertionError, match="1 frames, 0 answers"):
        TARGETS["wire"](b"\x03a")


def test_the_other_targets_see_a_foreign_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise ZeroDivisionError

    for name, call in [("body", "parse_create"), ("image", "decode_frame")]:
        monkeypatch.setattr(targets, call, fail)
        with pytest.raises(ZeroDivisionError):
            TARGETS[name](b"\x00{}")


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_short_run_finds_nothing(name: str, tmp_path: Path) -> None:
    if find_spec("atheris") is None:
        pytest.skip("atheris is not installed: pip install atheris, where it has a wheel")
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", name, str(tmp_path), f"-runs={RUNS[name]}", "-max_total_time=30"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "cov:" in done.stderr, "it ran without feedback"
