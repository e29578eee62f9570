"""A request has one id, its own tasks have it too, and outside of requests there is none."""

from __future__ import annotations

import asyncio
import logging

import pytest

from service.operations.request_ids import RequestIdFilter, current_request, serving


def test_the_id_holds_for_the_block() -> None:
    assert current_request() == ""
    with serving(b"outer") as outer:
        with serving(b"inner"):
            assert current_request() == "inner"
        assert current_request() == outer == "outer"
    assert current_request() == ""


@pytest.mark.parametrize("given", [None, b"", b"a b", b"a" * 65, b"\xff", b"a\n"])
def test_an_unusable_id_is_replaced(given: bytes | None) -> None:
    with serving(given) as made, serving(given) as other:
        assert made != other
        assert len(made) == 16


def test_a_task_of_the_request_has_its_id() -> None:
    async def serve() -> str:
        with serving(b"mine"):
            task = asyncio.create_task(asyncio.sleep(0, current_request()))
        return await task

    assert asyncio.run(serve()) == "mine"


def test_records_are_marked_when_they_are_made() -> None:
    record = logging.LogRecord("a", logging.INFO, "a", 1, "text", (), None)
    with serving(b"mine"):
        assert RequestIdFilter().filter(record)
    assert record.__dict__["request_id"] == "mine"
