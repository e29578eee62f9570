"""Where tracking can begin anew: the last frame that was answered, and what was found in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from siamfc.client.results import Target


@dataclass(frozen=True, slots=True)
class Anchor:
    """An encoded frame, as it was sent, and its targets, boxes in pixels of that frame.

    whole: encodes the whole frame, where only a part was sent.
    """

    frame: bytes
    targets: tuple[Target, ...]
    whole: Callable[[], bytes] | None = None

    @property
    def picture(self) -> bytes:
        """The whole frame, encoded."""
        return self.frame if self.whole is None else self.whole()

    @property
    def wanted(self) -> list[dict[str, Any]]:
        """The targets as a create call takes them."""
        return [{"id": target.id, "box": list(target.box)} for target in self.targets]
