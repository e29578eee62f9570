"""The demo page, in a real browser. Skipped where there is no Chromium."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.integration import scene
from tests.integration.browser import (
    DEMO_SIZE,
    WEB,
    drag,
    needs_browser,
    open_page,
    shown_box,
    wait_for_answers,
)
from tests.integration.calls import http_client, metric
from tests.integration.conftest import KEYS
from tests.support.server import Server

FRAMES = 6


def test_the_page_asks_nobody_else(client: httpx.Client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    for file in WEB.iterdir():
        if file.suffix == ".mp4":
            continue
        addresses = re.findall(r"https?://[^\s\"'<]+", file.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, file.name


def test_everything_the_page_names_is_served(client: httpx.Client) -> None:
    index = client.get("/").text
    named = set(re.findall(r'(?:src|href)="(/[^"]*)"', index))
    scripts = {path for path in named if path.endswith(".js")}
    assert scripts
    for path in scripts:
        folder = path.rsplit("/", 1)[0]
        named |= {f"{folder}/{name}" for name in re.findall(r'from "\./([^"]+)"', client.get(path).text)}
    for path in named:
        assert client.get(path).status_code == 200, path


def test_there_is_no_inline_script_or_style() -> None:
    index = (WEB / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", index)


@needs_browser
def test_the_demo_works_at_once(page: Page, server: Server, client: httpx.Client) -> None:
    others = metric(client, "siamfc_sessions_active")
    open_page(page, server)
    expect(page.locator("#model")).to_contain_text("swift")
    page.get_by_role("button", name="Follow the ladybird").click()
    expect(page.locator("body")).to_have_attribute("data-state", "tracking")
    wait_for_answers(page)
    row = page.locator("#targets li")
    expect(row).to_have_attribute("data-status", "tracking")
    assert float(row.get_attribute("data-overlap") or 0) > 0.5
    for name in ("fps", "round-trip", "infer-ms"):
        assert re.match(r"\d", page.locator(f"#{name}").inner_text())
    assert metric(client, "siamfc_sessions_active") == others + 1
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.get_by_role("button", name="Start again").click()
    expect(page.locator("body")).to_have_attribute("data-state", "preview")
    assert metric(client, "siamfc_sessions_active") == others


@needs_browser
def test_add_correct_and_remove(page: Page, server: Server) -> None:
    open_page(page, server)
    rows = page.locator("#targets li")
    drag(page, DEMO_SIZE, [120, 180, 80, 64])
    expect(rows).to_have_count(1)
    page.keyboard.down("Shift")
    drag(page, DEMO_SIZE, [400, 100, 60, 60])
    page.keyboard.up("Shift")
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Add target").click()
    drag(page, DEMO_SIZE, [30, 30, 50, 50])
    expect(rows).to_have_count(3)
    page.get_by_role("button", name="Pause").click()
    expect(rows.nth(2)).to_have_class("selected")
    drag(page, DEMO_SIZE, [500, 280, 70, 50])
    expect(rows.nth(2).locator(".detail")).to_contain_text(re.compile(r"^(499|500|501), "))
    page.get_by_role("button", name="Stop following 2").click()
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Go on").click()
    wait_for_answers(page, 3)
    assert [row.get_attribute("data-id") for row in rows.all()] == ["1", "3"]


@needs_browser
def test_keyboard_alone(page: Page, server: Server) -> None:
    open_page(page, server)
    page.locator("#overlay").focus()
    for key in ("Enter", "ArrowRight", "Shift+ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("body")).to_have_attribute("data-state", "tracking")
    wait_for_answers(page, 2)
    for key in ("a", "Escape", "a", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    expect(page.locator("#targets li")).to_have_count(2)
    page.keyboard.press("Delete")
    expect(page.locator("#targets li")).to_have_count(1)
    page.keyboard.press("Space")
    expect(page.locator("body")).to_have_attribute("data-state", "paused")


@needs_browser
def test_response_maps_come_and_go(page: Page, server: Server) -> None:
    open_page(page, server)
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(urlsplit(socket.url).query))
    page.get_by_role("button", name="Follow the ladybird").click()
    wait_for_answers(page, 2)
    # More answers than there can be frames under way: the last came by the new connection.
    page.get_by_label("Response map").check()
    wait_for_answers(page, 5)
    page.get_by_label("Response map").uncheck()
    wait_for_answers(page, 5)
    assert sockets == [f"mode=every&map={shown}" for shown in (0, 1, 0)]
    assert float(page.locator("#targets li").get_attribute("data-overlap") or 0) > 0.5


def images(folder: Path) -> list[Path]:
    files = [folder / f"{k}.jpg" for k in range(FRAMES)]
    for k, file in enumerate(files):
        file.write_bytes(scene.frame(k))
    return files


def video(folder: Path) -> list[Path]:
    file = folder / "scene.webm"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"VP80"), 2, (scene.WIDTH, scene.HEIGHT))
    for k in range(FRAMES):
        writer.write(cv2.cvtColor(scene.picture(k), cv2.COLOR_RGB2BGR))
    writer.release()
    return [file]


@needs_browser
@pytest.mark.parametrize("make", [pytest.param(images, id="images"), pytest.param(video, id="video")])
def test_files_are_followed_to_their_end(page: Page, server: Server, tmp_path: Path, make: Any) -> None:
    open_page(page, server)
    page.locator("#file").set_input_files(make(tmp_path))
    expect(page.locator("#frame")).to_have_attribute("width", str(scene.WIDTH))
    expect(page.locator("#frame-count")).to_have_text(f"of {FRAMES - 1}")
    drag(page, (scene.WIDTH, scene.HEIGHT), scene.truth(0))
    expect(page.locator("body")).to_have_attribute("data-state", "ended")
    assert scene.overlap(shown_box(page, "1"), scene.truth(FRAMES - 1)) > 0.5


@needs_browser
def test_camera(page: Page, server: Server) -> None:
    open_page(page, server)
    page.get_by_role("button", name="Camera").click()
    expect(page.locator('[data-source="camera"]')).to_have_attribute("aria-pressed", "true")
    size = (
        int(page.locator("#frame").get_attribute("width") or 0),
        int(page.locator("#frame").get_attribute("height") or 0),
    )
    drag(page, size, [size[0] / 4, size[1] / 4, size[0] / 4, size[1] / 4])
    expect(page.locator("body")).to_have_attribute("data-state", "tracking")
    wait_for_answers(page, 3)


@needs_browser
def test_a_file_that_is_no_picture(page: Page, server: Server, tmp_path: Path) -> None:
    open_page(page, server)
    damaged = tmp_path / "damaged.jpg"
    damaged.write_bytes(b"not a picture")
    page.locator("#file").set_input_files(damaged)
    expect(page.get_by_role("alert")).to_contain_text("damaged.jpg")
    expect(page.locator("body")).to_have_attribute("data-state", "preview")


@needs_browser
def test_a_key_is_asked_for(page: Page, keyed_server: Server) -> None:
    page.goto(f"{keyed_server.url}/")
    field = page.get_by_label("This server asks for an API key")
    field.fill("wrong")
    page.get_by_role("button", name="Use key").click()
    expect(field).to_be_focused()
    field.fill(KEYS[1])
    page.get_by_role("button", name="Use key").click()
    expect(page.locator("#model")).to_contain_text("swift")
    page.get_by_role("button", name="Follow the ladybird").click()
    wait_for_answers(page, 2)
    assert KEYS[1] not in page.url


@needs_browser
def test_a_refusal_is_shown(page: Page, small_server: Server) -> None:
    open_page(page, small_server)
    page.get_by_role("button", name="Follow the ladybird").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.locator("body")).to_have_attribute("data-state", "preview")
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_role("alert")).to_be_hidden()


@needs_browser
def test_a_session_that_ends_elsewhere(page: Page, server: Server) -> None:
    open_page(page, server)
    with page.expect_websocket() as opened:
        page.get_by_role("button", name="Follow the ladybird").click()
    wait_for_answers(page, 1)
    with http_client(server) as http:
        assert http.delete(urlsplit(opened.value.url).path.removesuffix("/stream")).status_code == 204
    expect(page.get_by_role("alert")).to_contain_text("deleted")
    # The result stays, and can be gone on with.
    expect(page.locator("body")).to_have_attribute("data-state", "paused")
    expect(page.locator("#targets li")).to_have_count(1)
    page.get_by_role("button", name="Go on").click()
    wait_for_answers(page, 1)


@needs_browser
@pytest.mark.parametrize("width", [320, 390, 768, 1600])
def test_the_page_fits_its_window(page: Page, server: Server, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_page(page, server)
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
