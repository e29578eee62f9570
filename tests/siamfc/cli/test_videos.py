"""Video files and streams: every frame, and an end told from a failure."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from siamfc.cli.failures import Failure, InputError
from siamfc.cli.videos import Video
from tests.support.videos import BROKEN, FRAMES, picture, write_broken, write_video, zeroed


@pytest.mark.parametrize(
    ("file", "codec", "pixels"),
    [
        pytest.param("clip.mp4", "libx264", "yuv420p", id="H.264 in MP4"),
        pytest.param("clip.avi", "mjpeg", "yuvj420p", id="Motion JPEG in AVI"),
        pytest.param("clip.webm", "libvpx", "yuv420p", id="VP8 in WebM"),
        pytest.param("clip.mkv", "libx264", "yuv420p", id="H.264 in Matroska"),
        pytest.param("clip.webm", "libsvtav1", "yuv420p", id="AV1 in WebM"),
        pytest.param("clip.ts", "libx264", "yuv420p", id="H.264 in a transport stream"),
    ],
)
def test_every_frame_of_a_whole_file(tmp_path: Path, file: str, codec: str, pixels: str) -> None:
    video = Video(str(write_video(tmp_path / file, codec, pixels=pixels)))
    frames = list(video.frames())
    assert [frame.index for frame in frames] == list(range(FRAMES))
    assert video.fault is None
    assert (video.total, video.live, video.files) == (FRAMES, False, (tmp_path / file,))
    assert video.fps == pytest.approx(12)
    assert frames[3].label == f"{tmp_path / file}, frame 3"
    assert frames[5].bgr().shape == (48, 64, 3)
    assert np.abs(frames[5].bgr().astype(int) - picture(5)).mean() < 25


def test_the_pixels_are_those_that_opencv_gives(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", frames=3)
    capture = cv2.VideoCapture(str(path))
    for frame in Video(str(path)).frames():
        np.testing.assert_array_equal(frame.bgr(), capture.read()[1])
    capture.release()


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_frames_are_turned_as_players_show_them(tmp_path: Path, degrees: int) -> None:
    path = tmp_path / "phone.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=12, width=64, height=48, pix_fmt="yuv420p")
        stream.set_display_rotation(degrees)
        for packet in (*stream.encode(av.VideoFrame.from_ndarray(picture(0), format="bgr24")), *stream.encode()):
            container.mux(packet)
    capture = cv2.VideoCapture(str(path))
    shown = capture.read()[1]
    capture.release()
    (frame,) = Video(str(path)).frames()
    assert frame.bgr().shape == ((64, 48, 3) if degrees != 180 else (48, 64, 3))
    np.testing.assert_array_equal(frame.bgr(), shown)


@pytest.mark.parametrize("file", ["clip.mp4", "clip.mkv"])
@pytest.mark.parametrize("sound_s", [1.0, 8.0])
def test_sound_of_another_length_is_no_fault(tmp_path: Path, file: str, sound_s: float) -> None:
    video = Video(str(write_video(tmp_path / file, sound_s=sound_s)))
    assert len(list(video.frames())) == FRAMES
    assert video.fault is None


@pytest.mark.parametrize("rate", [Fraction(1, 2), Fraction(24000, 1001), Fraction(239761, 1000)])
def test_rates(tmp_path: Path, rate: Fraction) -> None:
    video = Video(str(write_video(tmp_path / "clip.mkv", rate=rate, frames=5)))
    assert video.fps == pytest.approx(float(rate), rel=0.02)
    assert len(list(video.frames())) == 5
    assert video.fault is None


@pytest.mark.parametrize("name", list(BROKEN))
def test_what_is_broken_is_said(tmp_path: Path, name: str) -> None:
    path = write_broken(name, tmp_path)
    with pytest.raises(InputError, match=BROKEN[name][3]) as caught:
        _all_frames(str(path))
    assert str(path) in caught.value.message


def test_one_bad_frame_is_passed_over_and_has_its_number(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", "mjpeg", pixels="yuvj420p")
    data = path.read_bytes()
    tenth = [at for at in range(len(data)) if data.startswith(b"\xff\xd8\xff", at)][10]
    path.write_bytes(data[:tenth] + bytes(600) + data[tenth + 600 :])
    video = Video(str(path))
    assert [frame.index for frame in video.frames()] == [index for index in range(FRAMES) if index != 10]
    assert video.fault is not None
    assert video.fault.message == f"{path}: 39 of about 40 frames could be read; 1 could not be decoded"


def test_damage_that_the_decoder_covers_up(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mkv")
    path.write_bytes(zeroed(0.5, 600)(path.read_bytes()))
    with pytest.raises(InputError, match=r"damaged|could not be decoded"):
        _all_frames(str(path))


def test_a_file_without_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        samples.sample_rate = 8000
        for packet in (*stream.encode(samples), *stream.encode()):
            container.mux(packet)
    with pytest.raises(InputError, match="there is no video in it"):
        Video(str(path))


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
        for connection in held:
            connection.close()


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_stream_that_accepts_and_is_silent(silent: int, scheme: str) -> None:
    with pytest.raises(Failure) as caught:
        Video(f"{scheme}://user:secret@127.0.0.1:{silent}/live", live=True, timeout_s=0.3)
    assert caught.value.status == 1
    assert caught.value.message == (
        f"{scheme}://127.0.0.1:{silent}/live: cannot be opened: nothing came for 0.3 s (--timeout)"
    )


def test_a_stream_that_nobody_serves() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Failure, match="cannot be opened: connection refused"):
        Video(f"rtsp://127.0.0.1:{port}/live", live=True, timeout_s=5)


def test_no_such_kind_of_stream() -> None:
    with pytest.raises(InputError, match="no such kind of stream"):
        Video("pigeon://somewhere", live=True, timeout_s=5)


class Stalling:
    """Serves a transport stream over HTTP, whole; or (stalls) promises a byte more and never sends it."""

    def __init__(self, data: bytes, stalls: bool) -> None:
        self._data, self._stalls = data, stalls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            connection.recv(65536)
            length = len(self._data) + self._stalls
            head = f"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nContent-Length: {length}\r\n\r\n"
            connection.sendall(head.encode() + self._data)
            if self._stalls:
                self._done.wait(20)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/live.ts"

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(10)
        self._listener.close()


@pytest.mark.parametrize("stalls", [True, False])
def test_a_stream_that_stalls_and_one_that_ends(tmp_path: Path, stalls: bool) -> None:
    data = write_video(tmp_path / "clip.ts", frames=200).read_bytes()
    with Stalling(data, stalls) as url:
        video = Video(url, live=True, timeout_s=2)
        count = len(list(video.frames()))
    assert video.total is None
    if not stalls:
        assert (count, video.fault) == (200, None)
        return
    assert count == 200
    assert video.fault is not None
    assert video.fault.message == f"{url}: failed after {count} frames: nothing came for 2 s (--timeout)"


def _all_frames(where: str) -> None:
    """Reads the video, and raises what is wrong with it."""
    video = Video(where)
    for _ in video.frames():
        pass
    if video.fault is not None:
        raise video.fault
