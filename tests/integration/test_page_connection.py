"""What the page says and keeps when the connection drops, the server restarts or a key is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.integration import scene
from tests.integration.browser import drag, expect_state, needs_browser, open_page, wait_for_answers
from tests.integration.conftest import KEYS
from tests.support.numbered import write_clip
from tests.support.server import Server

FRAMES = 16
SIZE = (scene.WIDTH, scene.HEIGHT)
CLIP_SIZE = (960, 540)
STREAM = re.compile(r"/v1/sessions/[^/]+/stream")


LISTEN = """() => {
  const notice = document.getElementById("connection");
  globalThis.said = [];
  new MutationObserver(() => said.push(notice.innerText)).observe(notice, { childList: true });
}"""


class Line:
    """The page's sockets, which a test can cut. `refusing`: how many further connections fail at once."""

    def __init__(self, page: Page, cut_after: int) -> None:
        self.opened: list[str] = []
        self.refusing = 0
        self._cut_after = cut_after
        page.route_web_socket(STREAM, self._route)

    def _route(self, socket: WebSocketRoute) -> None:
        self.opened.append(socket.url)
        if len(self.opened) > 1 and self.refusing:
            self.refusing -= 1
            # No code of the server's: the page sees an abnormal end.
            socket.close(code=3000)
            return
        server = socket.connect_to_server()
        if len(self.opened) == 1:
            server.on_message(lambda message: self._pass_on(socket, server, message))

    def _pass_on(self, socket: WebSocketRoute, server: WebSocketRoute, message: str | bytes) -> None:
        if self._cut_after and json.loads(message)["type"] == "result":
            self._cut_after -= 1
            if not self._cut_after:
                # The answer is lost with the connection.
                server.close(code=3000)
                socket.close(code=1012)
                return
        socket.send(message)


@needs_browser
def test_a_dropped_connection_loses_no_frame(page: Page, server: Server, tmp_path: Path) -> None:
    line = Line(page, cut_after=4)
    open_page(page, server)
    path = write_clip(tmp_path / "clip.mp4", "libx264", FRAMES, scene.picture)
    page.locator("#file").set_input_files(path)
    expect(page.locator("#frame-count")).to_have_text(f"of {FRAMES - 1}")
    page.evaluate(LISTEN)
    drag(page, SIZE, scene.truth(0))
    expect_state(page, "ended")
    assert len(line.opened) == 2
    assert "resume=" in line.opened[1]
    assert page.locator("#answered").inner_text() == str(FRAMES - 1)
    assert "Reconnecting, 1 of 5…" in page.evaluate("said")
    expect(page.locator("#connection")).to_be_hidden()


@needs_browser
def test_a_lost_connection_keeps_the_boxes(page: Page, server: Server) -> None:
    line = Line(page, cut_after=3)
    line.refusing = 1
    open_page(page, server)
    page.get_by_role("button", name="Follow the ladybird").click()
    expect(page.get_by_role("alert")).to_contain_text("The connection was lost.")
    expect_state(page, "paused")
    expect(page.locator("#targets li")).to_have_count(1)
    page.get_by_role("button", name="Go on").click()
    wait_for_answers(page, 3)


@needs_browser
def test_a_refused_key_is_said_and_the_right_one_kept(page: Page, keyed_server: Server) -> None:
    page.goto(f"{keyed_server.url}/")
    field = page.get_by_label("This server asks for an API key")
    expect(page.locator("#key-refused")).to_be_hidden()
    field.fill("wrong")
    page.get_by_role("button", name="Use key").click()
    expect(page.get_by_text("The server refused this key.")).to_be_visible()
    field.fill(KEYS[1])
    page.get_by_role("button", name="Use key").click()
    expect(page.locator("#model")).to_contain_text("swift")
    expect(page.locator("#key-form")).to_be_hidden()
    page.reload()
    expect(page.locator("#model")).to_contain_text("swift")
    expect(page.locator("#key-form")).to_be_hidden()


@needs_browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_controls_are_in_view(page: Page, server: Server, theme: str) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
    open_page(page, server)
    page.get_by_role("button", name="Demo clip").click()
    expect(page.locator("#credit")).to_contain_text("CC BY 3.0")
    page.get_by_label("Response map").check()
    page.get_by_role("button", name="Follow the rabbit").click()
    expect_state(page, "tracking")
    for k in range(3):
        page.get_by_role("button", name="Add target").click()
        drag(page, CLIP_SIZE, [500.0 + 120 * k, 40, 90, 90])
    expect(page.locator("#targets li")).to_have_count(4)
    page.locator("#file").set_input_files({"name": "no.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"})
    expect(page.get_by_role("alert")).to_contain_text("no.jpg")
    bottom = page.evaluate("() => document.querySelector('.controls').getBoundingClientRect().bottom + scrollY")
    assert bottom <= 900
    shown = page.locator("#frame").bounding_box()
    assert shown is not None
    assert shown["height"] > 300
