"""The public names of `siamfc`: a name that goes, comes or moves is a decision, and shows here."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import siamfc
from siamfc import client, video

ROOT = Path(__file__).parents[2]

PUBLIC = [
    "AnswerTimeout",
    "AsyncClient",
    "AsyncSession",
    "Answer",
    "AtCapacity",
    "Client",
    "ClientError",
    "ConnectionLost",
    "Dropped",
    "Failed",
    "Fault",
    "FrameError",
    "FrameSizeChanged",
    "ImageTooLarge",
    "IncompatibleReplica",
    "InvalidBox",
    "InvalidFrame",
    "InvalidImage",
    "InvalidPart",
    "InvalidRequest",
    "ModelUnavailable",
    "PayloadTooLarge",
    "ProblemError",
    "RateLimited",
    "Reconnect",
    "Result",
    "ServerFault",
    "Session",
    "SessionBusy",
    "SessionEnded",
    "SessionNotFound",
    "SessionState",
    "ShuttingDown",
    "StoreUnavailable",
    "Target",
    "TargetNotFound",
    "TooManyTargets",
    "Traffic",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnsupportedMedia",
]


OF_VIDEO = ["TrackedFrame", "track_video"]


def test_the_public_names() -> None:
    assert sorted(siamfc.__all__) == sorted(PUBLIC + OF_VIDEO)
    assert sorted(client.__all__) == sorted(PUBLIC)
    assert set(PUBLIC) <= set(dir(siamfc))


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_is_the_client_s(name: str) -> None:
    assert getattr(siamfc, name) is getattr(client, name)


@pytest.mark.parametrize("name", OF_VIDEO)
def test_a_public_name_is_that_of_the_video_module(name: str) -> None:
    assert getattr(siamfc, name) is getattr(video, name)


def test_another_name_is_refused_as_any_module_does() -> None:
    with pytest.raises(AttributeError, match="module 'siamfc' has no attribute 'Clinet'"):
        _ = siamfc.Clinet  # type: ignore[attr-defined]


@pytest.mark.parametrize("package", ["siamfc", "model", "service"])
def test_the_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


README = (ROOT / "README.md").read_text(encoding="utf-8")
USER_SCRIPT = README.partition("```python\n")[2].partition("```")[0] + "    reveal_type(target.score)\n"
"""The ten lines of the README, with arrays as OpenCV's types describe them."""


@pytest.fixture(scope="module")
def type_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("types")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        pytest.param("", "", id="as written"),
        pytest.param("Client(timeout_s='long')", 'incompatible type "str"; expected "float"', id="a wrong type"),
        pytest.param("from siamfc import Clinet", 'has no attribute "Clinet"', id="a misspelt name"),
    ],
)
def test_a_type_checker_sees_a_user_s_script(tmp_path: Path, type_cache: Path, line: str, complaint: str) -> None:
    """As an installed package is seen: through `py.typed`, with none of the project's own configuration."""
    script = tmp_path / "script.py"
    script.write_text(USER_SCRIPT + line)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={type_cache}", str(script)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110)
    assert 'Revealed type is "float"' in done.stdout, done.stdout + done.stderr
    assert done.returncode == bool(complaint)
    assert complaint in done.stdout
