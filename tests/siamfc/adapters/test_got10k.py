"""The toolkit's own experiment with our tracker, against our own evaluation of the same sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.sequences import read_sequences
from model.evaluation.in_process import InProcessFollower
from model.evaluation.metrics import score
from model.evaluation.one_pass import evaluate
from model.inference.predictor import Predictor
from siamfc.backends import Backend

pytest.importorskip("got10k", reason="the package got10k is not installed")


@pytest.fixture
def experiment(otb: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    from got10k.datasets import OTB
    from got10k.experiments import ExperimentOTB

    # It would fetch the sequences of the benchmark that are not there.
    monkeypatch.setattr(OTB, "_download", lambda *_: None)
    return ExperimentOTB(str(otb), result_dir=str(tmp_path / "results"), report_dir=str(tmp_path / "reports"))


def test_the_toolkit_s_scores_are_ours(
    experiment: Any, otb: Path, light: Predictor, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    from siamfc.adapters.got10k import SiamFC

    monkeypatch.setattr("siamfc.adapters.got10k.open_backend", lambda **_: backend)
    experiment.run(SiamFC())
    # Drawing the curves warns and is the toolkit's own matter.
    monkeypatch.setattr(type(experiment), "plot_curves", lambda *_: None)
    theirs = experiment.report(["SiamFC"])["SiamFC"]["seq_wise"]
    ours = evaluate(read_sequences(otb), lambda: InProcessFollower(light))
    assert sorted(theirs) == ["Couple", "Deer"]
    for run in ours.runs:
        recorded = np.loadtxt(Path(experiment.result_dir) / "SiamFC" / f"{run.sequence.name}.txt", delimiter=",")
        # The toolkit writes three places, which may carry an overlap across a threshold: those boxes are scored.
        assert np.abs(recorded - run.boxes).max() <= 0.0005 + 1e-9
        found, frames = score(recorded, run.sequence.truth), len(recorded)
        of = theirs[run.sequence.name]
        # They count the first frame too, whose box is given: overlap 1, which is above 20 of the 21 thresholds.
        assert of["success_score"] == pytest.approx(((frames - 1) * found.auc + 20 / 21) / frames, abs=1e-6)
        assert of["precision_score"] == pytest.approx(((frames - 1) * found.precision_20 + 1) / frames, abs=1e-6)
        assert of["success_rate"] == pytest.approx(((frames - 1) * found.sr_50 + 1) / frames, abs=1e-6)


def test_it_is_the_toolkit_s_kind_of_tracker(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    from got10k.trackers import Tracker

    from siamfc.adapters.got10k import SiamFC

    asked: list[dict[str, Any]] = []

    def open_backend(**where: Any) -> Backend:
        asked.append(where)
        return backend

    monkeypatch.setattr("siamfc.adapters.got10k.open_backend", open_backend)
    tracker = SiamFC("mine", server="http://localhost:8000")
    assert isinstance(tracker, Tracker)
    assert (tracker.name, tracker.is_deterministic) == ("mine", True)
    assert asked == [{"server": "http://localhost:8000"}]
