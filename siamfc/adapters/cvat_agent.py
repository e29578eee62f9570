"""A tracking function for a CVAT agent (`cvat-sdk` 2.80): run by `cvat-cli function run-agent`.

`--function-module siamfc.adapters.cvat_agent`, and `-p server=str:http://localhost:8000` or `-p weights=str:light`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from cvat_sdk.auto_annotation import TrackableShape, TrackingFunctionSpec

from siamfc.adapters.cvat_points import box_of, points_of
from siamfc.adapters.pillow import frame_of
from siamfc.backends import Backend, TargetTracker, Where, open_backend

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

RECTANGLE = "rectangle"


def create(**where: Unpack[Where]) -> Function:
    """The function, as an agent makes it; parameters as `siamfc.backends.open_backend`."""
    return Function(open_backend(**where))


class Function:
    """Tracks rectangles. The state of a shape is its tracker; the agent keeps it for eight hours at most."""

    spec = TrackingFunctionSpec(supported_shape_types=[RECTANGLE])

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def preprocess_image(self, context: Any, image: Image) -> NDArray[np.uint8]:
        """The image as a frame, uint8 BGR [H, W, 3]; once for all its shapes."""
        return frame_of(image)

    def init_tracking_state(self, context: Any, pp_image: NDArray[np.uint8], shape: TrackableShape) -> TargetTracker:
        """A tracker that follows what the shape shows. Raises the client's errors."""
        tracker = self._backend.tracker()
        tracker.start(pp_image, box_of(shape.points))
        return tracker

    def track(self, context: Any, pp_image: NDArray[np.uint8], state: TargetTracker) -> TrackableShape | None:
        """The shape in the image; None while the target is lost."""
        target = state.update(pp_image)
        return None if target.status == "lost" else TrackableShape(type=RECTANGLE, points=points_of(target.box))
