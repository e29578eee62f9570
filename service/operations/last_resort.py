"""Ends the process at a set time, whatever its threads are doing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


class LastResort:
    """A deadline for the end of the process, which then ends at once. For a process that is stuck."""

    def __init__(self, after_s: float, end: Callable[[int], object] = os._exit) -> None:
        """`after_s`: seconds from `arm` to the end; `end`: ends the process with a status."""
        self._after_s, self._end = after_s, end
        self._timer: threading.Timer | None = None

    def arm(self) -> None:
        """Begin to count; a second call changes nothing."""
        if self._timer is not None:
            return
        self._timer = threading.Timer(self._after_s, self._end, (1,))
        self._timer.daemon = True
        self._timer.start()
