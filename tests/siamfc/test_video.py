"""A video followed in one call."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import pytest

from siamfc import InvalidBox, track_video
from tests.siamfc.cli.conftest import COUNT, folder, pictures, video
from tests.support.fake_server import FakeServer

__all__ = ["folder", "video"]

BOX = (10, 20, 8, 6)


def test_a_video_on_a_server(video: Path, server: FakeServer) -> None:
    frames = list(track_video(video, BOX, server=server.url))
    assert [frame.frame_index for frame in frames] == list(range(COUNT))
    assert [frame.box[0] for frame in frames] == list(range(10, 10 + COUNT))
    assert np.abs(frames[2].image.astype(int) - pictures()[2]).mean() < 5
    assert not server.sessions


def test_a_folder_in_this_process(folder: Path) -> None:
    frames = list(track_video(folder, BOX, weights="light", precision="fp32", runtime="torch"))
    assert [frame.target.status for frame in frames[:1]] == ["tracking"]
    assert len(frames) == COUNT
    assert np.array_equal(frames[4].image, pictures()[4])


def test_a_loop_that_is_left_ends_the_session(folder: Path, server: FakeServer) -> None:
    frames = track_video(folder, BOX, server=server.url)
    next(frames)
    assert server.sessions
    frames.close()
    assert not server.sessions


def test_a_source_that_is_none() -> None:
    with pytest.raises(click.ClickException, match="no such file or folder"):
        list(track_video("nowhere.mp4", BOX))


def test_a_box_that_is_refused(folder: Path, server: FakeServer) -> None:
    with pytest.raises(InvalidBox):
        list(track_video(folder, (1, 1, 0, 1), server=server.url))


def test_a_source_that_fails_on_the_way_says_so_after_its_frames(
    folder: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = click.ClickException("stopped after 5 frames")
    monkeypatch.setattr("siamfc.cli.sources.Folder.fault", fault)
    frames = track_video(folder, BOX, server=server.url)
    assert [next(frames).frame_index for _ in range(COUNT)] == list(range(COUNT))
    with pytest.raises(click.ClickException, match="stopped after 5 frames"):
        next(frames)
