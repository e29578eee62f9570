"""The query of a stream's address."""

from __future__ import annotations

import pytest

from service.api.stream_query import StreamQuery
from service.errors import InvalidRequest
from service.sessions.stores.store import Resume


def test_a_query() -> None:
    assert StreamQuery.parse("latest", "1", "abc:7") == StreamQuery("latest", True, Resume("abc", 7))
    assert StreamQuery.parse("every", "0", None) == StreamQuery("every", False, None)


@pytest.mark.parametrize("query", [("fast", "0", None), ("every", "2", None), ("every", "0", "abc"), ("", "", "")])
def test_refused_queries(query: tuple[str, str, str | None]) -> None:
    with pytest.raises(InvalidRequest):
        StreamQuery.parse(*query)
