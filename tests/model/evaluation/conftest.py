"""A short sequence on disk, followed by something that drifts off and knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.boxes import Box
from model.data.sequences import Sequence, read_sequences
from model.evaluation.one_pass import Found, Report, evaluate
from tests.support.scenes import leaving_and_returning, translation, write_sequence


class Drifting:
    """Stays at the first box, ever less sure of it."""

    def start(self, frame: Path, box: Box) -> None:
        self.box, self.score = box, 1.0

    def update(self, frame: Path) -> Found:
        self.score *= 0.8
        return Found(self.box, self.score)


class Scoreless(Drifting):
    """The same without a score."""

    def update(self, frame: Path) -> Found:
        return Found(self.box)


@pytest.fixture(scope="session")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> list[Sequence]:
    """The rendered sequences `crossing` and `leaving`, 8 and 16 frames; the second one's target leaves and returns."""
    folder = tmp_path_factory.mktemp("sequences")
    write_sequence(translation(8), folder / "crossing")
    write_sequence(leaving_and_returning(16), folder / "leaving")
    return read_sequences(folder)


@pytest.fixture(scope="session")
def report(sequences: list[Sequence]) -> Report:
    return evaluate(sequences, Drifting)


@pytest.fixture(scope="session")
def scoreless(sequences: list[Sequence]) -> Report:
    return evaluate(sequences, Scoreless)
