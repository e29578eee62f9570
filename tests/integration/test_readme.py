"""The README's examples run as they stand, but for the address of the server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.support.scenes import Scene, translation
from tests.support.server import Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ADDRESS = "http://localhost:8000"


@pytest.fixture(scope="module")
def scene() -> Scene:
    """Six frames of a face over a cat."""
    return translation(6)


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def _box(scene: Scene) -> str:
    return ",".join(f"{value:.2f}" for value in scene.truth[0])


def test_the_python_block_tracks_a_video(server: Server, scene: Scene, tmp_path: Path) -> None:
    width, height = scene.size
    writer = cv2.VideoWriter(str(tmp_path / "video.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (width, height))
    for frame in scene.frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    (block,) = _blocks("python")
    assert ADDRESS in block
    script = block.replace(ADDRESS, server.url).replace("198, 214, 34, 81", _box(scene))
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == len(scene.frames) - 1
    assert all("tracking" in line or "uncertain" in line or "lost" in line for line in lines)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_lines_do_what_they_say(server: Server, scene: Scene, tmp_path: Path) -> None:
    for number, frame in enumerate(scene.frames[:2], 1):
        cv2.imwrite(str(tmp_path / f"{number:04d}.jpg"), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    (block,) = [block for block in _blocks("sh") if "curl" in block]
    commands = [line for line in block.splitlines() if line.startswith("curl")]
    assert len(commands) == 4
    session_id = ""
    for command, status in zip(commands, ("201", "200", "200", "204"), strict=True):
        line = command.replace(ADDRESS, server.url).replace("198,214,34,81", _box(scene)).replace("$ID", session_id)
        done = subprocess.run(
            ["sh", "-c", line.replace("curl", "curl -s --noproxy '*' -w '\\n%{http_code}'", 1)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        body, _, code = done.stdout.rpartition("\n")
        assert code == status, body
        if code == "201":
            found = re.search(r'"session_id":"([^"]+)"', body)
            assert found
            session_id = found[1]
