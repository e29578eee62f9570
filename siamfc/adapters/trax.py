"""A tracker behind the TraX protocol (`vot-trax` 4), as the VOT toolkit runs it: rectangles and images by path."""

from __future__ import annotations

from typing import Any

from trax import Image, Rectangle, Region, Server, TraxException, TraxStatus

from siamfc.backends import Backend


def serve(backend: Backend) -> bool:
    """Answer the client on standard input and output until it leaves; whether it said so.

    Nothing else may write to standard output. Every status carries the target's score as `confidence`. What a frame
    raises ends the conversation.
    """
    tracker = backend.tracker()
    try:
        with Server([Region.RECTANGLE], [Image.PATH], tracker_name="SiamFC", tracker_family="siamese") as server:
            while (request := _next(server)) is not None and request.type != TraxStatus.QUIT:
                frame = request.image["color"].path()
                if request.type == TraxStatus.INITIALIZE:
                    region, _ = request.objects[0]
                    target = tracker.start(frame, region.bounds())
                else:
                    target = tracker.update(frame)
                server.status([(Rectangle.create(*target.box), {"confidence": f"{target.score:.6f}"})])
        return request is not None
    finally:
        tracker.close()


def _next(server: Server) -> Any:
    """The client's next request, None where it has gone: the library tells that by no other sign than an error."""
    try:
        return server.wait()
    except TraxException:
        return None
