"""Result files as the GOT-10k toolkit writes and reads them, and as its server takes them zipped.

Checked against got10k 0.1.3 (`got10k/experiments/got10k.py`): `DIR/GOT-10k/TRACKER/SEQ/SEQ_001.txt` has one box
`x,y,w,h` a frame with three decimals, 1-indexed as the dataset's own, the first being the given one; beside it
`SEQ_time.txt` has one time in seconds a frame with eight decimals.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from model.errors import SequenceError
from model.evaluation.one_pass import Report, Run
from model.files import replacing

_FIRST_PIXEL = np.array([1.0, 1.0, 0.0, 0.0])


def write_results(report: Report, folder: Path, tracker: str) -> Path:
    """Write every run's two files; returns the folder of the tracker, `folder/GOT-10k/tracker`.

    A frame before the start has the box `0,0,0,0` and the time 0, which the toolkit passes over. Files of the same
    name are replaced. Raises SequenceError where the tracker's name cannot be a folder's.
    """
    check_name(tracker)
    root = folder / "GOT-10k" / tracker
    for run in report.runs:
        _write_run(run, root / run.sequence.name)
    return root


def check_name(tracker: str) -> None:
    """Raises SequenceError unless the name can be a folder's."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.+-]*", tracker):
        raise SequenceError(f"a tracker's name is letters, digits and . _ + -, not {tracker!r}")


def _write_run(run: Run, folder: Path) -> None:
    name = run.sequence.name
    folder.mkdir(parents=True, exist_ok=True)
    boxes = np.nan_to_num(run.boxes + _FIRST_PIXEL, nan=0.0)
    with replacing(folder / f"{name}_001.txt") as partial:
        np.savetxt(partial, boxes, fmt="%.3f", delimiter=",")
    with replacing(folder / f"{name}_time.txt") as partial:
        np.savetxt(partial, np.nan_to_num(run.times, nan=0.0), fmt="%.8f")
