"""A result to export, and what Datumaro, the reader under CVAT's formats, makes of a file."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from siamfc import Target
from siamfc.exports import Clip, export

Written = Callable[[str], str]
ReadByDatumaro = Callable[[Path, str], list[Any]]

PYTHON = Path(sys.prefix).parent / ".venv-tools" / "bin" / "python"
"""Datumaro has an environment of its own, by `make tools`: it needs another Pillow and OpenCV."""

CUP = 'cup "a", <b>'
FRAMES: list[tuple[int, list[Target]]] = [
    (0, [Target("0", (10.0, 20.0, 8.0, 6.0), 1.0, "tracking"), Target(CUP, (1.5, 2.0, 3.0, 4.0), 1.0, "tracking")]),
    (1, [Target("0", (11.126, 20.0, 8.0, 6.0), 0.87654, "tracking"), Target(CUP, (2.0, 2.0, 3.0, 4.0), 0.1, "lost")]),
    (3, [Target("0", (13.0, 20.0, 8.0, 6.0), 0.5, "uncertain")]),
]
"""Frames 0, 1 and 3 of a clip: one target that is tracked, one that is lost in frame 1 and removed after it."""

READ = """
import json, sys
import datumaro

found = []
for item in datumaro.Dataset.import_from(*sys.argv[1:]):
    for annotation in item.annotations:
        box = [round(value, 2) for value in annotation.get_bbox()]
        facts = annotation.attributes
        found.append([item.id, annotation.label, box, facts.get("outside"), facts.get("track_id")])
print(json.dumps(sorted(found, key=str)))
"""


@pytest.fixture
def written() -> Written:
    """The text of the result in a format."""

    def written(format: str) -> str:
        file = io.StringIO(newline="")
        with export(format, file, Clip("clip.mp4", (64, 48))) as writer:
            for index, targets in FRAMES:
                writer.write(index, targets)
        return file.getvalue()

    return written


@pytest.fixture
def read_by_datumaro() -> ReadByDatumaro:
    """Item, label's index, box, outside, and track of every annotation that it finds in a file."""
    if not PYTHON.is_file():
        pytest.skip("Datumaro is not installed (make tools)")

    def read(path: Path, format: str) -> list[Any]:
        call = [str(PYTHON), "-c", READ, str(path), format]
        done = subprocess.run(call, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stderr
        found: list[Any] = json.loads(done.stdout)
        return found

    return read
