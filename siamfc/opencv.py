"""A tracker with the interface of OpenCV's: `siamfc.opencv.Tracker` where a program has `cv2.TrackerCSRT_create()`."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, Unpack

from numpy.typing import NDArray

from siamfc.backends import Backend, Where, open_backend
from siamfc.client import Target

Box = tuple[float, float, float, float]


class Tracker:
    """One target, in this process or on a server. Images are uint8 BGR [H, W, 3]; boxes x, y, w, h in their pixels.

    `Tracker()` loads the default network into this process, `Tracker(server="http://localhost:8000")` needs none; the
    other arguments are those of `siamfc.backends.open_backend`. Several trackers share a `backend` that the caller
    opened, and closes. `close` ends the session on a server.
    """

    def __init__(self, backend: Backend | None = None, **where: Unpack[Where]) -> None:
        if backend is not None and where:
            raise ValueError("give a backend, or where to open one")
        self._owns = backend is None
        self._backend = open_backend(**where) if backend is None else backend
        self._tracker = self._backend.tracker()
        self._last: Target | None = None

    def init(self, image: NDArray[Any], boundingBox: Sequence[float]) -> None:  # noqa: N803 - OpenCV's name
        """Follow what the box shows in `image`. Raises InvalidBox, InvalidFrame and the client's other errors."""
        self._last = None
        self._last = self._tracker.start(image, boundingBox)

    def update(self, image: NDArray[Any]) -> tuple[bool, Box]:
        """Whether the target is seen in `image`, and its box; of a lost target, where it was probably last.

        Raises RuntimeError before `init`, and the client's errors.
        """
        self._last = self._tracker.update(image)
        return self._last.status != "lost", self._last.box

    def getTrackingScore(self) -> float:  # noqa: N802 - OpenCV's name
        """The probability that the last box is right, 0..1. Raises RuntimeError before `init`."""
        if self._last is None:
            raise RuntimeError("getTrackingScore before init")
        return self._last.score

    def close(self) -> None:
        """Forget the target, and end the session and the connection where there is a server."""
        self._tracker.close()
        if self._owns:
            self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()
