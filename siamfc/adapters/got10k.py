"""A tracker of the GOT-10k toolkit (`got10k` 0.1.3), for its experiments over GOT-10k, OTB, VOT and others.

`ExperimentOTB(root).run(SiamFC())`; the toolkit's boxes and ours are the same: x, y, w, h, 0-indexed as they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Unpack

import numpy as np
from got10k.trackers import Tracker

from siamfc.adapters.pillow import frame_of
from siamfc.backends import Where, open_backend

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image


class SiamFC(Tracker):  # type: ignore[misc]  # the toolkit has no types
    """One target, in this process or on a server; `where` as `siamfc.backends.open_backend`.

    On a server, frames are sent as JPEG again, which moves boxes slightly; in this process they are used as decoded.
    """

    def __init__(self, name: str = "SiamFC", **where: Unpack[Where]) -> None:
        super().__init__(name, is_deterministic=True)
        self._tracker = open_backend(**where).tracker()

    def init(self, image: Image, box: Sequence[float]) -> None:
        """Follow what `box` shows in the image. Raises the client's errors."""
        self._tracker.start(frame_of(image), box)

    def update(self, image: Image) -> NDArray[np.float64]:
        """The target's box in the next image, float64 [4]."""
        return np.array(self._tracker.update(frame_of(image)).box, np.float64)
