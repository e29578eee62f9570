"""Choices kept between starts: taken over in the same circumstances, and ignored in all others."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.inference.choice import REFERENCE, Candidate, Choice, Measured
from model.inference.remembered import MAX_AGE_S, Circumstances, RememberedChoices

BF16 = Candidate("torch", "bf16")
AMONG = (REFERENCE, BF16)
HERE = Circumstances("ab12", tuple(map(str, AMONG)), 2, "a processor", 2, (("torch", "2.9"), ("openvino", "")))
CHOICE = Choice(BF16, (Measured(REFERENCE, 20.0, 0.0), Measured(BF16, 10.0, 0.25)))
NOW = 1e9


def choices(folder: Path, now: float = NOW) -> RememberedChoices:
    return RememberedChoices(folder, clock=lambda: now)


def test_a_choice_is_taken_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "deep" / "siamfc"
    choices(folder).keep(HERE, CHOICE)
    (file,) = folder.iterdir()
    with caplog.at_level(logging.INFO, "model"):
        assert choices(folder, NOW + MAX_AGE_S).recall(HERE, AMONG) == CHOICE
    assert caplog.messages == [f"the choice was measured here before: {file}"]


def test_a_candidate_that_failed_has_failed(tmp_path: Path) -> None:
    failed = Choice(REFERENCE, (Measured(REFERENCE, 20.0, 0.0), Measured(BF16, math.inf, math.inf)))
    choices(tmp_path).keep(HERE, failed)
    assert choices(tmp_path).recall(HERE, AMONG) == failed


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(HERE, weights_sha256="cd34"), id="weights"),
        pytest.param(replace(HERE, candidates=("torch fp32",)), id="candidates"),
        pytest.param(replace(HERE, threads=1), id="threads"),
        pytest.param(replace(HERE, processor="another"), id="processor"),
        pytest.param(replace(HERE, cores=4), id="cores"),
        pytest.param(replace(HERE, versions=(("torch", "3.0"), ("openvino", ""))), id="versions"),
    ],
)
def test_other_circumstances_are_measured(tmp_path: Path, other: Circumstances) -> None:
    choices(tmp_path).keep(HERE, CHOICE)
    assert choices(tmp_path).recall(other, AMONG) is None
    # Even from a file under their name.
    (tmp_path / HERE.file_name).rename(tmp_path / other.file_name)
    assert choices(tmp_path).recall(other, AMONG) is None


@pytest.mark.parametrize("later", [MAX_AGE_S + 1, -1.0], ids=["old", "from the future"])
def test_an_old_choice_is_made_anew(tmp_path: Path, later: float) -> None:
    choices(tmp_path).keep(HERE, CHOICE)
    assert choices(tmp_path, NOW + later).recall(HERE, AMONG) is None


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def measured(**values: Any) -> list[dict[str, Any]]:
    first = {"candidate": "torch fp32", "ms": 20.0, "drift_px": 0.0}
    return [first, {"candidate": "torch bf16", "ms": 10.0, "drift_px": 0.25} | values]


SPOILS: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_text(""),
    "cut short": lambda path: path.write_text(path.read_text()[:-20]),
    "no JSON": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "nested": lambda path: path.write_text("[" * 20_000),
    "large": lambda path: path.write_text(path.read_text() + " " * 70_000),
    "another format": lambda path: changed(path, format=2),
    "no object": lambda path: path.write_text("[1, 2]"),
    "no time": lambda path: changed(path, measured_at="yesterday"),
    "not a number of a time": lambda path: changed(path, measured_at=math.nan),
    "a stranger": lambda path: changed(path, measured=measured(candidate="openvino int8")),
    "no measurement of one": lambda path: changed(path, measured=measured()[:1]),
    "one in place of both": lambda path: changed(path, measured=measured()[1:] * 2),
    "no time at all": lambda path: changed(path, measured=measured(ms=0)),
    "less than no drift": lambda path: changed(path, measured=measured(drift_px=-1)),
    "endless": lambda path: changed(path, measured=measured(ms=math.inf)),
    "words": lambda path: changed(path, measured=measured(ms="fast")),
    "half of it null": lambda path: changed(path, measured=measured(ms=None)),
    "unreadable": lambda path: path.chmod(0) if os.getuid() else path.unlink(),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_a_file_that_is_not_sound_is_ignored(tmp_path: Path, spoil: Callable[[Path], Any]) -> None:
    choices(tmp_path).keep(HERE, CHOICE)
    spoil(tmp_path / HERE.file_name)
    assert choices(tmp_path).recall(HERE, AMONG) is None
    if os.access(tmp_path / HERE.file_name, os.R_OK):
        # It is replaced by the next measurement.
        choices(tmp_path).keep(HERE, CHOICE)
        assert choices(tmp_path).recall(HERE, AMONG) == CHOICE


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda each: st.lists(each)))
def test_no_value_is_trusted(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    folder = tmp_path_factory.mktemp("cache")
    choices(folder).keep(HERE, CHOICE)
    for name in ("format", "measured_at", "circumstances", "measured"):
        changed(folder / HERE.file_name, **{name: value})
        found = choices(folder).recall(HERE, AMONG)
        assert found is None or name == "measured_at" or (name, value) == ("format", 1)
        choices(folder).keep(HERE, CHOICE)


def test_a_link_or_a_pipe_in_its_place_is_ignored(tmp_path: Path) -> None:
    choices(tmp_path / "else").keep(HERE, CHOICE)
    (tmp_path / HERE.file_name).symlink_to(tmp_path / "else" / HERE.file_name)
    assert choices(tmp_path).recall(HERE, AMONG) is None
    (tmp_path / HERE.file_name).unlink()
    os.mkfifo(tmp_path / HERE.file_name)
    assert choices(tmp_path).recall(HERE, AMONG) is None


def test_the_file_of_another_user_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choices(tmp_path).keep(HERE, CHOICE)
    monkeypatch.setattr("os.getuid", lambda: 12345)
    assert choices(tmp_path).recall(HERE, AMONG) is None


def test_a_folder_that_cannot_be_written_costs_a_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.INFO, "model"):
        choices(tmp_path / "file" / "siamfc").keep(HERE, CHOICE)
        assert choices(tmp_path / "file" / "siamfc").recall(HERE, AMONG) is None
    assert "the choice is not remembered" in caplog.messages[0]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [("/var/cache", "/var/cache/siamfc"), ("", "/home/u/.cache/siamfc"), ("relative", "/home/u/.cache/siamfc")],
)
def test_the_user_s_folder(monkeypatch: pytest.MonkeyPatch, variable: str, expected: str) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    monkeypatch.setenv("XDG_CACHE_HOME", variable)
    assert RememberedChoices.of_user()._folder == Path(expected)


def test_the_circumstances_here_stay() -> None:
    here = Circumstances.here("ab12", AMONG, 2)
    assert here == Circumstances.here("ab12", AMONG, 2)
    assert here.candidates == ("torch fp32", "torch bf16")
    assert dict(here.versions)["torch"]
    assert here.cores >= 1
