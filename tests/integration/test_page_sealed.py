"""The page and the documentation on a network without a way out: nothing is asked of another host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.integration.browser import (
    ARGUMENTS,
    CHROMIUM,
    expect_state,
    needs_browser,
    open_page,
    opened_page,
    wait_for_answers,
)
from tests.integration.conftest import HOST
from tests.support.server import Server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for which `HOST` is this machine: not localhost, so not a secure context, as on a local network."""
    rules = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, rules])) as launched,
    ):
        yield launched


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with opened_page(browser) as opened:
        yield opened


@pytest.fixture
def named_server(server: Server) -> Server:
    """The shared server by another name."""
    return Server(server.url.replace("127.0.0.1", HOST), server.process, server.log)


def asked(page: Page) -> set[str]:
    """The hosts that the page asks from now on."""
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(str(urlsplit(request.url).hostname or "")))
    page.on("websocket", lambda socket: hosts.add(str(urlsplit(socket.url).hostname)))
    return hosts


@needs_browser
def test_the_page_asks_its_server_only(page: Page, named_server: Server) -> None:
    hosts = asked(page)
    open_page(page, named_server)
    assert not page.evaluate("() => isSecureContext")
    page.get_by_role("button", name="Follow the ladybird").click()
    wait_for_answers(page, 2)
    page.get_by_role("button", name="Start again").click()
    expect_state(page, "preview")
    assert hosts - {""} == {HOST}


@needs_browser
def test_the_documentation_asks_its_server_only(page: Page, named_server: Server) -> None:
    hosts = asked(page)
    page.goto(f"{named_server.url}/docs")
    expect(page.locator("#swagger-ui")).to_contain_text("SiamFC tracking service")
    expect(page.locator(".opblock")).not_to_have_count(0)
    page.wait_for_load_state("networkidle")
    assert hosts - {""} == {HOST}


def test_the_documentation_names_no_other_host(client: httpx.Client) -> None:
    answer = client.get("/docs")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "http://" not in answer.text
    assert "https://" not in answer.text
