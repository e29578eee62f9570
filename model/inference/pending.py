"""A pass of the network that was begun. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from model.response import Response


class Pending(Protocol):
    """A pass that was begun."""

    @property
    def ready(self) -> bool:
        """Whether `result` has nothing to wait for. False where that is not known."""

    def result(self) -> list[Response]:
        """The responses, one a search, in their order. Waits for them; raises what went wrong."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A `Pending` whose responses are there."""

    responses: list[Response]

    @property
    def ready(self) -> bool:
        return True

    def result(self) -> list[Response]:
        return self.responses
