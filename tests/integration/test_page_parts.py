"""Parts of frames as the page sends them: which ones, where they are encoded, and what it says they save."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.integration.browser import drag, expect_state, needs_browser, open_page, shown_box, wait_for_answers
from tests.integration.scene import overlap
from tests.integration.test_parts import HEIGHT, WIDTH, picture, truth
from tests.support.numbered import write_clip
from tests.support.server import Server

FRAMES = 14
SIZE = (WIDTH, HEIGHT)
STREAM = re.compile(r"/v1/sessions/[^/]+/stream")
NO_ENCODING_HERE = """OffscreenCanvas.prototype.convertToBlob = () => {
  throw new Error("encoded on the page's own thread");
};"""

CHOOSE = """async ([answers, index]) => {
  const { partOf, Wants } = await import("/web/parts.js");
  const wants = new Wants();
  wants.began(0, [{ id: "1", box: [100, 100, 40, 40], wants: [60, 60, 120, 120] }]);
  for (const [frame, x, part, missed] of answers) {
    wants.answered(frame, [{ id: "1", box: [x, 100, 40, 40], wants: part }], missed);
  }
  return partOf([wants.edges(index)], { width: 640, height: 480 });
}"""


class Sent:
    """The frames that the page sends: (corner or None, size) of the images, and their bytes together.

    parts: whether the page sees that the server takes parts.
    """

    def __init__(self, page: Page, *, parts: bool = True) -> None:
        self.frames: list[tuple[tuple[int, int] | None, tuple[int, int]]] = []
        self.bytes = 0
        self._takes_parts = parts
        self._at: tuple[int, int] | None = None
        page.route_web_socket(STREAM, self._route)

    @property
    def parts(self) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        return [(at, size) for at, size in self.frames if at is not None]

    def _route(self, socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda message: socket.send(message if self._takes_parts else without_parts(message)))
        socket.on_message(lambda message: self._pass_on(server, message))

    def _pass_on(self, server: WebSocketRoute, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.bytes += len(message)
            self.frames.append((self._at, Pillow.open(io.BytesIO(message)).size))
            self._at = None
        elif (said := json.loads(message))["type"] == "part":
            self._at = (said["at"][0], said["at"][1])
        elif said["type"] == "end":
            # The page deletes the session next, and the way through here is longer: the socket would be closed by then.
            return
        server.send(message)


def without_parts(message: str | bytes) -> str:
    """A message of the server's, as one that knows no parts would say it."""
    said: dict[str, Any] = json.loads(message)
    said.pop("parts", None)
    return json.dumps(said)


def track_clip(page: Page, folder: Path) -> None:
    """Open the clip, follow the patch from frame 0, and wait for the end."""
    path = write_clip(folder / "clip.mp4", "libx264", FRAMES, picture, options={"crf": "12"})
    page.locator("#file").set_input_files(path)
    expect(page.locator("#frame-count")).to_have_text(f"of {FRAMES - 1}")
    drag(page, SIZE, truth(0))
    expect_state(page, "ended")


@needs_browser
def test_a_clip_is_sent_in_parts_encoded_in_a_worker(page: Page, server: Server, tmp_path: Path) -> None:
    page.add_init_script(NO_ENCODING_HERE)
    sent = Sent(page)
    open_page(page, server)
    expect(page.locator("#saved")).to_have_text("–")
    track_clip(page, tmp_path)
    assert overlap(shown_box(page, "1"), truth(FRAMES - 1)) > 0.6
    assert len(sent.frames) == FRAMES - 1
    # The first frames go before the connection has said that the server takes parts.
    assert len(sent.parts) >= FRAMES - 4
    for (x, y), (w, h) in sent.parts:
        assert (x % 2, y % 2) == (0, 0)
        assert x + w <= WIDTH
        assert y + h <= HEIGHT
        assert w * h <= 0.75 * WIDTH * HEIGHT
    saved = page.locator("#saved").inner_text()
    assert re.fullmatch(r"≈ \d+\.\d+", saved)
    assert float(saved[2:]) > 0.5 * sent.bytes / 1e6


@needs_browser
def test_without_workers_the_page_encodes_by_itself(page: Page, server: Server, tmp_path: Path) -> None:
    page.add_init_script("delete globalThis.Worker")
    sent = Sent(page)
    open_page(page, server)
    track_clip(page, tmp_path)
    assert len(sent.parts) >= FRAMES - 4


@needs_browser
def test_a_server_without_parts_gets_whole_frames(page: Page, server: Server, tmp_path: Path) -> None:
    sent = Sent(page, parts=False)
    open_page(page, server)
    track_clip(page, tmp_path)
    assert sent.frames == [(None, SIZE)] * (FRAMES - 1)
    expect(page.locator("#saved")).to_have_text("–")


@needs_browser
def test_a_camera_is_sent_in_parts(page: Page, server: Server) -> None:
    sent = Sent(page)
    open_page(page, server)
    page.get_by_role("button", name="Camera").click()
    expect(page.locator('[data-source="camera"]')).to_have_attribute("aria-pressed", "true")
    width, height = (int(page.locator("#frame").get_attribute(side) or 0) for side in ("width", "height"))
    drag(page, (width, height), [width / 2, height / 2, width / 12, width / 12])
    expect_state(page, "tracking")
    wait_for_answers(page, 5)
    assert sent.parts


@needs_browser
@pytest.mark.parametrize(
    ("answers", "index", "part"),
    [
        pytest.param([], 1, [60, 60, 120, 120], id="the next frame: what is wanted"),
        # 5 % and 2 % of 120 pixels, and two more, on each side: 10.4.
        pytest.param([], 2, [48, 48, 144, 144], id="one frame unknown, motion unknown"),
        # Ten pixels a frame, half as much again, 2 % of 120 and two more: 19.4.
        pytest.param([[1, 110, [70, 60, 120, 120], []]], 3, [50, 40, 160, 160], id="one frame unknown, motion seen"),
        pytest.param([[1, 110, None, []]], 2, None, id="the whole frame is wanted"),
        pytest.param([[1, 110, [0, 0, 600, 440], []]], 2, None, id="a part that saves nothing"),
        # The doubled margin: 2 · (15 + 2.4) + 2 = 36.8.
        pytest.param([[1, 110, [70, 60, 120, 120], ["1"]]], 3, [32, 22, 196, 196], id="after one that was too small"),
        pytest.param([[1, 110, [500, 380, 120, 100], []]], 4, [460, 340, 180, 140], id="at the frame's edge"),
    ],
)
def test_the_part_that_is_sent(page: Page, server: Server, answers: Any, index: int, part: list[int] | None) -> None:
    open_page(page, server)
    assert page.evaluate(CHOOSE, [answers, index]) == part
