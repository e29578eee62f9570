"""Renders docs/pictures/page.jpg: `python docs/pictures/page.py` in a checkout after `make setup`, with Chromium.

The page in real use: the demo clip with two targets, one of them selected and with its response map.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from benchmarks._server import running_server

SIZE = (1440, 900)
CLIP_WIDTH = 960
STONES = (600.0, 205.0, 860.0, 315.0)
"""The corners of the stones in the clip."""
PATIENCE_MS = 120_000


def main() -> None:
    """Start a server, use its page, and write the picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder) / "server.log") as server,
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])) as browser,
    ):
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        page.goto(f"{server.url}/")
        page.get_by_role("button", name="Demo clip").click()
        page.get_by_label("Response map").check()
        page.get_by_role("button", name="Follow the rabbit").click()
        page.get_by_role("button", name="Add target").click()
        bounds = page.locator("#overlay").bounding_box()
        assert bounds is not None
        left, top, right, bottom = (side * bounds["width"] / CLIP_WIDTH for side in STONES)
        page.mouse.move(bounds["x"] + left, bounds["y"] + top)
        page.mouse.down()
        page.mouse.move(bounds["x"] + right, bounds["y"] + bottom)
        page.mouse.up()
        for number, name in (("2", "stones"), ("1", "rabbit")):
            page.get_by_label(f"Name of {number}").fill(name)
            page.get_by_label(f"Name of {number}").press("Enter")
        page.get_by_label("Select rabbit").click()
        page.wait_for_function("() => document.getElementById('frame-number').value > 40")
        # Without the speed, which is this machine's.
        picture = Path(__file__).with_name("page.jpg")
        page.locator(".stage-column").screenshot(path=picture, type="jpeg", quality=85)


if __name__ == "__main__":
    main()
