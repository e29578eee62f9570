"""The programs that run the network keep numpy's linear algebra to one thread; the client leaves its process alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from model.blas import VARIABLE

ROOT = Path(__file__).parents[2]

TELL = f"""
import os, sys
class Watch:
    def find_spec(self, name, path=None, target=None):
        if name == "numpy":
            print("numpy", os.environ.get({VARIABLE!r}))
sys.meta_path.insert(0, Watch())
import {{module}}, numpy
"""


@pytest.mark.parametrize(
    ("module", "given", "seen"),
    [
        pytest.param("siamfc.cli", None, "1", id="the command line"),
        pytest.param("service.__main__", None, "1", id="the server"),
        pytest.param("siamfc.cli", "4", "4", id="one who knows better"),
        pytest.param("siamfc.client", None, "None", id="the client"),
    ],
)
def test_what_numpy_is_told_when_it_loads(module: str, given: str | None, seen: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    if given is not None:
        environment[VARIABLE] = given
    code = TELL.format(module=module)
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout.splitlines()[:1] == [f"numpy {seen}"]
