"""A tracker as a Nuclio function of CVAT. `docker/cvat/` holds the function that deploys it.

A request's body is `{"image": base64, "shapes": [points or null, ...], "states": [...]}`: shapes without states are
where tracking begins; states, with shapes or nulls, are gone on with. The answer is `{"shapes", "states"}`, one of
either for every target; the shape of a lost target is null. A state is JSON that names the tracker in this process.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import OrderedDict
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any
from uuid import uuid4

from siamfc.adapters.cvat_points import Box, box_of, points_of
from siamfc.backends import Backend, TargetTracker
from siamfc.client import Target

MAX_TRACKERS = 1000


class Trackers:
    """The trackers of one function, by the key in their states; the one least used goes first.

    The function may have been started again since, or the tracker have been let go. Then tracking begins anew, in the
    image at hand, with the box of the state: a target that has moved since is followed less well.
    """

    def __init__(self, backend: Backend, limit: int = MAX_TRACKERS) -> None:
        self._backend = backend
        self._limit = limit
        self._trackers: OrderedDict[str, TargetTracker] = OrderedDict()

    def answer(self, image: bytes, shapes: Sequence[Any], states: Sequence[Any]) -> dict[str, list[Any]]:
        """The body of the answer. Raises ValueError for a malformed request, and the client's errors."""
        found: dict[str, list[Any]] = {"shapes": [], "states": []}
        for shape, state in zip_longest(shapes, states):
            points, state = self._begin(image, shape) if state is None else self._go_on(image, state)
            found["shapes"].append(points)
            found["states"].append(state)
        return found

    def _begin(self, image: bytes, points: Any) -> tuple[list[float], dict[str, Any]]:
        if not isinstance(points, list):
            raise ValueError("a target without a state needs a shape, the points x1, y1, x2, y2")
        key, box = uuid4().hex, box_of(points)
        self._start(key, image, box)
        return points_of(box), {"tracker": key, "box": list(box)}

    def _go_on(self, image: bytes, state: Any) -> tuple[list[float] | None, dict[str, Any]]:
        try:
            key, (x, y, w, h) = str(state["tracker"]), state["box"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"not a state that this function gave: {error!r}") from error
        tracker = self._trackers.get(key)
        target = self._start(key, image, (x, y, w, h)) if tracker is None else tracker.update(image)
        self._trackers.move_to_end(key)
        return None if target.status == "lost" else points_of(target.box), {"tracker": key, "box": list(target.box)}

    def _start(self, key: str, image: bytes, box: Box) -> Target:
        tracker = self._backend.tracker()
        target = tracker.start(image, box)
        self._trackers[key] = tracker
        if len(self._trackers) > self._limit:
            self._trackers.popitem(last=False)[1].close()
        return target


def handle(trackers: Trackers, context: Any, event: Any) -> Any:
    """Nuclio's answer to an event: 200 with the body, or 400 with the reason as text."""
    body = event.body if isinstance(event.body, dict) else _parsed(event.body)
    try:
        image = base64.b64decode(body["image"], validate=True)
        found = trackers.answer(image, body.get("shapes") or [], body.get("states") or [])
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        reason = f"{type(error).__name__}: {error}"
        return context.Response(body=reason, headers={}, content_type="text/plain", status_code=400)
    return context.Response(body=json.dumps(found), headers={}, content_type="application/json", status_code=200)


def _parsed(body: Any) -> dict[str, Any]:
    """A body that came without a JSON content type; nothing where it is no JSON object."""
    try:
        parsed = json.loads(body)
    except (TypeError, ValueError):
        return {}
    return parsed if isinstance(parsed, dict) else {}
