"""The query of a stream's address."""

from __future__ import annotations

from dataclasses import dataclass

from service.errors import InvalidRequest
from service.sessions.stores.store import Resume
from service.wire.protocol import Mode


@dataclass(frozen=True, slots=True)
class StreamQuery:
    """A connection's wishes: its mode, whether answers have response maps, and the connection it goes on from."""

    mode: Mode
    wants_map: bool
    resumed: Resume | None

    @classmethod
    def parse(cls, mode: str, map_: str, resume: str | None) -> StreamQuery:
        """Parse the values of `mode`, `map` and `resume`. Raises InvalidRequest."""
        if map_ not in ("0", "1"):
            raise InvalidRequest("map must be 0 or 1")
        resumed = Resume.parse(resume) if resume is not None else None
        if mode == "every":
            return cls("every", map_ == "1", resumed)
        if mode == "latest":
            return cls("latest", map_ == "1", resumed)
        raise InvalidRequest("mode must be every or latest")
