"""`siamfc track --select`: the page that takes boxes, and the window where there is one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

from model.inference.predictor import Predictor
from siamfc.cli.failures import InputError
from siamfc.cli.frames import SourceFrame
from siamfc.cli.selecting import SelectionPage, has_display, select_boxes
from tests.integration.browser import ARGUMENTS, CHROMIUM, needs_browser
from tests.siamfc.cli.conftest import COUNT, Run, pictures
from tests.support.fake_server import FakeServer

FRAME = SourceFrame("clip.mp4, frame 0", np.full((480, 640, 3), 90, np.uint8))


@pytest.fixture
def page() -> Iterator[SelectionPage]:
    with SelectionPage(FRAME).served() as page:
        yield page


def test_the_page_shows_the_frame_in_its_own_pixels(page: SelectionPage, folder: Path) -> None:
    text = httpx.get(page.url).text
    assert 'viewBox="0 0 640 480"' in text
    assert "$" not in text.replace("${", "")
    picture = httpx.get(page.url + "frame")
    assert picture.headers["Content-Type"] == "image/jpeg"
    pixels = cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR)
    assert pixels is not None
    assert pixels.shape == (480, 640, 3)
    data = (folder / "8.png").read_bytes()
    with SelectionPage(SourceFrame("8.png", data)).served() as another:
        shown = httpx.get(another.url + "frame")
    assert (shown.headers["Content-Type"], shown.content) == ("image/png", data)


def test_the_boxes_that_are_posted_are_chosen(page: SelectionPage) -> None:
    assert httpx.post(page.url + "boxes", json=[["cup", [1.5, 2, 30, 40]], ["", [5, 6, 7, 8]]]).status_code == 200
    assert page.chosen() == {"cup": (1.5, 2, 30, 40), "1": (5, 6, 7, 8)}


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        pytest.param(b"[]", 422, "no box was drawn", id="none"),
        pytest.param(b"nonsense", 422, "no list", id="no JSON"),
        pytest.param(b"[" * 60_000, 422, "no list", id="depth"),
        pytest.param(b"{}", 422, "no box", id="an object"),
        pytest.param(b'[["a",[1,2,3]]]', 422, "four numbers", id="three numbers"),
        pytest.param(b'[["a",[1,2,NaN,4]]]', 422, "not finite", id="nan"),
        pytest.param(b'[["a",[1,2,5,6]],["a",[1,2,5,6]]]', 422, "two boxes are called 'a'", id="a name twice"),
        pytest.param(json.dumps([["x" * 65, [1, 2, 3, 4]]]).encode(), 422, "is no name", id="a long name"),
        pytest.param(b" " * 70_000, 413, "too long", id="too long"),
    ],
)
def test_what_is_refused(page: SelectionPage, body: bytes, status: int, said: str) -> None:
    answer = httpx.post(page.url + "boxes", content=body)
    assert (answer.status_code, said in answer.text) == (status, True)


def test_nothing_lies_where_the_address_is_guessed(page: SelectionPage) -> None:
    root = page.url.rsplit("/", 2)[0]
    assert [httpx.get(f"{root}/{path}").status_code for path in ("", "frame", "x/frame")] == [404] * 3
    assert httpx.post(f"{root}/boxes", json=[["a", [1, 2, 3, 4]]]).status_code == 422
    assert page.url.startswith("http://127.0.0.1:")


@needs_browser
def test_boxes_are_drawn_with_the_mouse(page: SelectionPage) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        tab = browser.new_page(viewport={"width": 900, "height": 700})
        tab.goto(page.url)
        place = tab.locator("#frame").bounding_box()
        assert place is not None
        scale = place["width"] / 640
        for left, top, right, bottom in ((100, 120, 160, 200), (300, 50, 250, 20), (400, 400, 700, 600)):
            tab.mouse.move(place["x"] + scale * left, place["y"] + scale * top)
            tab.mouse.down()
            tab.mouse.move(place["x"] + scale * right, place["y"] + scale * bottom, steps=3)
            tab.mouse.up()
        tab.locator("input").nth(1).fill("cup")
        tab.get_by_role("button", name="Remove").nth(0).click()
        tab.get_by_role("button", name="Track").click()
        expect(tab.get_by_role("status")).to_have_text("Tracking has begun. This page can be closed.")
        browser.close()
    chosen = page.chosen()
    assert list(chosen) == ["cup", "1"]
    assert chosen["cup"] == pytest.approx((250, 20, 50, 30), abs=1)
    assert chosen["1"] == pytest.approx((400, 400, 240, 80), abs=1)


@pytest.fixture
def no_display(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_display")
def test_the_command_prints_the_page_s_address_and_follows_what_was_drawn(
    run: Run, folder: Path, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(page: SelectionPage) -> Any:
        httpx.post(page.url + "boxes", json=[["cup", [10, 20, 8, 6]]])
        return page._chosen.get(timeout=10)

    monkeypatch.setattr(SelectionPage, "chosen", drawn)
    result = run("track", folder, "--select", "--start", "1", "--format", "csv", "--server", server.url)
    assert result.exit_code == 0, result.stderr
    assert "siamfc: draw the targets at http://127.0.0.1:" in result.stderr
    assert "ssh -L" in result.stderr
    rows = result.stdout.splitlines()
    assert rows[1].startswith("1,cup,10.0,20.0,8.0,6.0")
    assert len(rows) == COUNT
    assert server.created == [(folder / "9.png").read_bytes()]


def test_with_a_display_boxes_are_drawn_in_a_window(
    run: Run, folder: Path, tiny_predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr("siamfc.cli.selecting.has_windows", lambda: True)
    monkeypatch.setattr("siamfc.cli.track.make_predictor", lambda *_: tiny_predictor)
    shown: list[np.ndarray] = []
    drawn = np.array([[10, 20, 8, 6], [0, 0, 0, 0], [30, 10, 9, 9]])

    def select(_title: str, image: np.ndarray, **_: bool) -> np.ndarray:
        shown.append(image)
        return drawn

    monkeypatch.setattr(cv2, "selectROIs", select, raising=False)
    monkeypatch.setattr(cv2, "destroyWindow", lambda _: None, raising=False)
    result = run("track", folder, "--select")
    assert result.exit_code == 0, result.stderr
    first = json.loads(result.stdout.splitlines()[0])["targets"]
    assert [(target["id"], target["box"]) for target in first] == [("0", [10, 20, 8, 6]), ("1", [30, 10, 9, 9])]
    assert np.array_equal(shown[0], pictures()[0])
    drawn = drawn[1:2]
    with pytest.raises(InputError, match="no box was drawn"):
        select_boxes(FRAME)


@pytest.mark.parametrize("arguments", [[], ["--select", "--box", "1,2,3,4"]], ids=["neither", "both"])
def test_boxes_are_given_or_drawn(run: Run, folder: Path, arguments: list[str]) -> None:
    result = run("track", folder, *arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "--box" in result.stderr
    assert "--select" in result.stderr


@pytest.mark.parametrize(
    ("platform", "names", "there"),
    [("linux", {}, False), ("linux", {"DISPLAY": ":0"}, True), ("linux", {"WAYLAND_DISPLAY": "w"}, True),
     ("linux", {"DISPLAY": ""}, False), ("darwin", {}, True), ("win32", {}, True)],
)  # fmt: skip
def test_where_there_is_a_display(
    monkeypatch: pytest.MonkeyPatch, platform: str, names: dict[str, str], there: bool
) -> None:
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(os, "environ", names)
    assert has_display() is there
