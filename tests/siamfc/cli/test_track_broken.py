"""`siamfc track` over broken videos: no source is harmed, what can be read is followed, the status says the rest."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from model.inference.predictor import Predictor
from siamfc.cli.videos import Video
from tests.siamfc.cli.conftest import Run
from tests.support.fake_server import FakeServer
from tests.support.videos import BOX, BROKEN, FRAMES, write_broken

READ = {
    "an AVI cut short",
    "an AVI with a damaged middle",
    "an MP4 cut short, its index first",
    "a WebM cut short",
    "a Matroska cut short",
}
"""The videos some of whose frames can be read."""


@pytest.mark.parametrize("where", ["here", "server"])
@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_video(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_predictor: Predictor,
    server: FakeServer,
    name: str,
    where: str,
) -> None:
    monkeypatch.setattr("siamfc.cli.track.make_predictor", lambda *_: tiny_predictor)
    source = write_broken(name, tmp_path)
    before = source.read_bytes()
    out, video = tmp_path / "out.jsonl", tmp_path / "out.mp4"
    remote = ("--server", server.url) if where == "server" else ()
    result = run("track", source, "--box", BOX, "--json", out, "--video", video, *remote)
    assert result.exit_code == 2
    assert re.fullmatch(rf"siamfc: {re.escape(str(source))}: .*{BROKEN[name][3]}.*\n", result.stderr)
    assert source.read_bytes() == before
    assert server.sessions == {}
    written = [path.name for path in (out, video, source) if path.exists()]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(written)
    if name in READ:
        indexes = [json.loads(line)["frame_index"] for line in out.read_text().splitlines()]
        assert indexes[0] == 0
        assert 4 <= len(indexes) < FRAMES
        assert len(list(Video(str(video)).frames())) == len(indexes)
    else:
        assert written == [source.name]


def test_there_are_ten() -> None:
    assert len(BROKEN) == 10
    assert set(BROKEN) > READ
