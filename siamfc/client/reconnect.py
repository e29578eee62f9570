"""The policy for reconnecting: exponential backoff with jitter, bounded in time and, if wanted, in attempts."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True, slots=True)
class Reconnect:
    """The reconnect policy.

    Delays double from `first_delay_s` to `max_delay_s`. Each is cut by up to half at random, so that the clients of a
    restarted server do not all come back at once. The client gives up after `give_up_after_s` seconds, or after
    `attempts` where that is sooner; None sets no number of them, and with 0 the client never tries again.
    """

    attempts: int | None = None
    first_delay_s: float = 0.1
    max_delay_s: float = 5.0
    give_up_after_s: float = 60.0

    def __post_init__(self) -> None:
        if self.attempts is not None and self.attempts < 0:
            raise ValueError(f"attempts must not be negative: {self.attempts}")
        if not 0 <= self.first_delay_s <= self.max_delay_s:
            raise ValueError(f"0 <= first_delay_s <= max_delay_s must hold: {self.first_delay_s}, {self.max_delay_s}")
        if not self.give_up_after_s > 0:
            raise ValueError(f"give_up_after_s must be positive: {self.give_up_after_s}")

    def delays(
        self,
        *,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> Iterator[float]:
        """Seconds to wait before each attempt, until there are no more. `chance` gives numbers in [0, 1)."""
        deadline = clock() + self.give_up_after_s
        delay = self.first_delay_s
        for _ in count() if self.attempts is None else range(self.attempts):
            wait = delay * (1 - chance() / 2)
            if clock() + wait > deadline:
                return
            yield wait
            delay = min(delay * 2, self.max_delay_s)
