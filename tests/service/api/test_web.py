"""The demo page: its files and its policy."""

from __future__ import annotations

import re

import pytest

from tests.service.conftest import Running

pytestmark = pytest.mark.anyio


async def test_the_page_and_all_its_files_are_served(service: Running) -> None:
    page = await service.client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    asked = re.findall(r'(?:href|src)="(/web/[^"]+)"', page.text)
    assert asked
    for path in asked:
        assert (await service.client.get(path)).status_code == 200, path


async def test_the_page_may_load_nothing_from_elsewhere(service: Running) -> None:
    page = await service.client.get("/")
    policy = dict(rule.strip().split(" ", 1) for rule in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy
    assert not any("unsafe" in value or "*" in value for value in policy.values())
    assert page.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?![^>]*\bsrc=)", page.text), "the policy refuses scripts inside the page"
    assert not re.search(r'\son\w+="|\sstyle="', page.text), "the policy refuses handlers and styles inside the page"


async def test_a_module_has_the_type_that_browsers_ask_for(service: Running) -> None:
    response = await service.client.get("/web/app.js")
    assert "javascript" in response.headers["content-type"]


@pytest.mark.parametrize("path", ["/web/nope.js", "/web/../settings.py", "/web/%2e%2e/settings.py", "/web/"])
async def test_nothing_else_is_served(service: Running, path: str) -> None:
    response = await service.client.get(path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
