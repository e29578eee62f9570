"""The page on a phone: a finger draws a box, a loupe shows what lies under it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.integration.browser import DEMO_SIZE, expect_state, needs_browser, open_page, opened_page, shown_box
from tests.support.server import Server

PHONE = {"width": 390, "height": 844}

OPAQUE = """([left, top]) => {
  const overlay = document.getElementById("overlay");
  const ratio = overlay.width / overlay.clientWidth;
  return overlay.getContext("2d").getImageData(left * ratio, top * ratio, 1, 1).data[3];
}"""


@pytest.fixture
def phone(browser: Browser, server: Server) -> Iterator[Page]:
    with opened_page(browser, {"width": PHONE["width"], "height": PHONE["height"]}, touch=True) as page:
        open_page(page, server)
        yield page


class Hand:
    """Fingers on the picture, at places in pixels of the drawn scene."""

    def __init__(self, page: Page) -> None:
        bounds = page.locator("#overlay").bounding_box()
        assert bounds is not None
        self._left, self._top = bounds["x"], bounds["y"]
        self._unit = bounds["width"] / DEMO_SIZE[0]
        self._session: CDPSession = page.context.new_cdp_session(page)

    def touch(self, event: str, *fingers: tuple[float, float]) -> None:
        """One event ("touchStart", "touchMove", "touchEnd") with all fingers that are on the picture after it."""
        points = [
            {"x": self._left + x * self._unit, "y": self._top + y * self._unit, "id": number}
            for number, (x, y) in enumerate(fingers)
        ]
        self._session.send("Input.dispatchTouchEvent", {"type": event, "touchPoints": points})


@needs_browser
def test_a_loupe_shows_what_lies_under_the_finger(phone: Page) -> None:
    hand = Hand(phone)
    # The corner opposite to the finger.
    place = [phone.locator("#overlay").evaluate("(overlay) => overlay.clientWidth") - 70, 70]
    assert phone.evaluate(OPAQUE, place) == 0
    hand.touch("touchStart", (100, 150))
    hand.touch("touchMove", (140, 190))
    assert phone.evaluate(OPAQUE, place) == 255
    hand.touch("touchMove", (180, 230))
    hand.touch("touchEnd")
    expect_state(phone, "tracking")
    assert shown_box(phone, "1") == pytest.approx([100, 150, 80, 80], abs=2)
    expect(phone.locator("#targets li")).to_have_count(1)


@needs_browser
def test_a_second_finger_changes_nothing(phone: Page) -> None:
    hand = Hand(phone)
    hand.touch("touchStart", (100, 150))
    hand.touch("touchMove", (180, 230))
    hand.touch("touchStart", (180, 230), (400, 100))
    hand.touch("touchMove", (180, 230), (500, 200))
    hand.touch("touchEnd", (180, 230))
    hand.touch("touchEnd")
    expect_state(phone, "tracking")
    assert shown_box(phone, "1") == pytest.approx([100, 150, 80, 80], abs=2)
