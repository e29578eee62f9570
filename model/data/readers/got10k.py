"""GOT-10k as it unpacks: `train/NAME/*.jpg`, `groundtruth.txt` and `absence.label` beside them.

The folder is the one that holds `train`, that split itself, or one part of it. Boxes are 1-indexed in the files; how
they are read is said where evaluation reads the same layout, `model.data.sequences`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.boxes import Box
from model.data.records import Member, Records, Track
from model.data.sequences import Sequence, survey
from model.errors import CorpusError, SequenceError

SOURCE = "got10k"


def recognises(folder: Path) -> bool:
    """Whether a sequence of this layout is in the split: truth and frames side by side."""
    return any(
        (sequence / "groundtruth.txt").is_file() and not (sequence / "img").is_dir()
        for sequence in _split(folder).iterdir()
        if sequence.is_dir()
    )


def read(folder: Path) -> Records:
    """One track a sequence; one that never shows its target is skipped.

    Raises CorpusError where a truth file is malformed or does not fit its frames.
    """
    try:
        found = survey(_split(folder), unscored=True)
    except SequenceError as error:
        raise CorpusError(str(error)) from error
    for reason in found.faulty.values():
        raise CorpusError(reason)
    return Records(tracks=[_track(sequence) for sequence in found.sequences], skipped=list(found.absent.values()))


def _split(folder: Path) -> Path:
    return folder / "train" if (folder / "train").is_dir() else folder


def _track(sequence: Sequence) -> Track:
    boxes = tuple(Box(*map(float, row)) if np.isfinite(row).all() else None for row in sequence.truth)
    return Track(SOURCE, sequence.name, tuple(Member(str(path)) for path in sequence.frames), boxes, ordered=True)
