from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.fit_score import main
from model.checkpoints import bundled_weights, load_weights


def test_only_the_score_and_its_thresholds_are_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "fitted.safetensors"
    thresholds = ["--lost-below", "0.31", "--uncertain-below", "0.62", "--redetect-score", "0.77"]
    main(["light", str(out), "--cases", "3", "--seed", "11", *thresholds])
    before, after = load_weights(bundled_weights("light")), load_weights(out)
    assert all(
        torch.equal(value, after.network.state_dict()[name]) for name, value in before.network.state_dict().items()
    )
    assert (after.calibration.lost_below, after.calibration.uncertain_below) == (0.31, 0.62)
    assert after.constants.redetect_score == 0.77
    # A right box looks as before: a stronger peak that stands out more.
    assert after.calibration.contrast > 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["calibration"]["bias"] == after.calibration.bias
    assert printed["frames"] > 100
    # On what it was fitted to, the score tells right from wrong; a coin has 0.5.
    assert printed["auroc"] > 0.7


def test_a_greater_share_of_right_boxes_raises_the_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    biases = []
    for share in ("0.6", "0.9"):
        main(["light", str(tmp_path / "out.safetensors"), "--cases", "1", "--right-share", share])
        biases.append(json.loads(capsys.readouterr().out)["calibration"]["bias"])
    assert biases[0] < biases[1]


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        pytest.param(["--lost-below", "0.8"], "lost_below <= uncertain_below", id="lost above uncertain"),
        pytest.param(["--redetect-score", "1.5"], "redetect_score must lie in 0..1", id="no such score"),
        pytest.param(["--right-share", "1"], "--right-share must lie in (0, 1)", id="nothing wrong to learn from"),
        pytest.param(["--cases", "0"], "--cases is 1 or more", id="no scenes"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_followed(
    arguments: list[str], what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["light", str(tmp_path / "out.safetensors"), *arguments])
    assert what in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
