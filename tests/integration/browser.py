"""The demo page in a real Chromium: opening it, drawing on it, waiting for what it shows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.server import Server

WEB = Path(__file__).parents[2] / "service" / "web"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
ARGUMENTS = [
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
WAIT_MS = 30_000
NO_FAULTS = ("Failed to load resource", "The Cross-Origin-Opener-Policy header has been ignored")
"""Said by the browser itself: of a refused call, whose answer is asserted on, and of a page over plain http."""
DEMO_SIZE = (640, 360)
"""Size of the drawn scene, as in service/web/demo.js."""


@contextmanager
def opened_page(
    browser: Browser, viewport: ViewportSize | None = None, theme: str = "light", *, touch: bool = False
) -> Iterator[Page]:
    """A fresh page; whatever goes wrong in its scripts, or is blocked by its policy, raises AssertionError."""
    context = browser.new_context(
        viewport=viewport or {"width": 1100, "height": 800},
        color_scheme="dark" if theme == "dark" else "light",
        has_touch=touch,
    )
    context.set_default_timeout(WAIT_MS)
    expect.set_options(timeout=WAIT_MS)
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    own = [fault for fault in faults if not fault.startswith(NO_FAULTS)]
    assert own == [], own


def open_page(page: Page, server: Server) -> None:
    """Open the page and wait until the drawn scene is there."""
    page.goto(f"{server.url}/")
    expect(page.locator("body")).to_have_attribute("data-state", "preview")


def expect_state(page: Page, state: str) -> None:
    """Wait until the page is in that state."""
    expect(page.locator("body")).to_have_attribute("data-state", state)


def drag(page: Page, size: tuple[int, int], box: list[float]) -> None:
    """Draw a box, given in pixels of a frame of that size."""
    x, y, w, h = box
    pull(page, size, (x, y), (x + w, y + h))


def pull(page: Page, size: tuple[int, int], start: tuple[float, float], end: tuple[float, float]) -> None:
    """Press at one point of the frame and let go at another, in pixels of a frame of that size."""
    bounds = page.locator("#overlay").bounding_box()
    assert bounds is not None
    scale = bounds["width"] / size[0]
    (x0, y0), (x1, y1) = ((bounds["x"] + x * scale, bounds["y"] + y * scale) for x, y in (start, end))
    page.mouse.move(x0, y0)
    page.mouse.down()
    page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
    page.mouse.move(x1, y1)
    page.mouse.up()


def wait_for_answers(page: Page, more: int = 5) -> None:
    """Until that many more frames have been answered."""
    goal = int(page.locator("#answered").inner_text()) + more
    pattern = "|".join(str(count) for count in range(goal, goal + 1000))
    expect(page.locator("#answered")).to_have_text(re.compile(f"^({pattern})$"))


def shown_box(page: Page, target_id: str) -> list[float]:
    """A target's box in the frame in view, in whole pixels."""
    text = page.locator(f'#targets li[data-id="{target_id}"] .detail').inner_text()
    return [float(number) for number in re.findall(r"-?\d+", text)[:4]]


def go_to(page: Page, frame: int) -> None:
    """Go to a frame by its number."""
    page.locator("#frame-number").fill(str(frame))
    page.locator("#frame-number").press("Enter")
    expect(page.locator("#timeline")).to_have_attribute("aria-valuenow", str(frame))
