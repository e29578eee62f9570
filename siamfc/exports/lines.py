"""The formats that are written line by line: CSV, JSON lines, MOTChallenge."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from typing import TextIO

from siamfc.client.results import Target
from siamfc.exports.writers import Clip, Numbers, rounded

COLUMNS = ("frame", "id", "x", "y", "w", "h", "score", "status")


class Csv:
    """One row a frame and target, below a row of COLUMNS: RFC 4180, lost targets included."""

    def __init__(self, file: TextIO, clip: Clip) -> None:
        self._rows = csv.writer(file)
        self._rows.writerow(COLUMNS)

    def write(self, frame_index: int, targets: Sequence[Target]) -> None:
        for target in targets:
            self._rows.writerow([frame_index, target.id, *rounded(*target.box), round(target.score, 4), target.status])

    def close(self) -> None: ...


class JsonLines:
    """One object a frame, as `siamfc track --json` writes it: `{"frame_index", "targets"}`, in full precision."""

    def __init__(self, file: TextIO, clip: Clip) -> None:
        self._file = file

    def write(self, frame_index: int, targets: Sequence[Target]) -> None:
        line = {"frame_index": frame_index, "targets": [target.as_json() for target in targets]}
        self._file.write(json.dumps(line) + "\n")

    def close(self) -> None: ...


class Mot:
    """MOTChallenge's results: frame, id, left, top, width, height, confidence, -1, -1, -1.

    Frames and ids count from 1, boxes lie as they are. A lost target has no line. Milan et al. 2016, MOT16.
    """

    def __init__(self, file: TextIO, clip: Clip) -> None:
        self._file = file
        self._numbers = Numbers()

    def write(self, frame_index: int, targets: Sequence[Target]) -> None:
        for target in targets:
            number = self._numbers.of(target.id)
            if target.status != "lost":
                row = [frame_index + 1, number, *rounded(*target.box), round(target.score, 4), -1, -1, -1]
                self._file.write(",".join(map(str, row)) + "\n")

    def close(self) -> None: ...
