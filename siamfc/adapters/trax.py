"""A tracker behind the TraX protocol (`vot-trax` 4), as the VOT toolkit runs it: rectangles and images by path."""

from __future__ import annotations

from trax import Image, Rectangle, Region, Server, TraxStatus

from siamfc.backends import Backend


def serve(backend: Backend) -> None:
    """Answer the client on standard input and output until it leaves. Nothing else may write to standard output.

    Every status carries the target's score as `confidence`. What a frame raises ends the conversation.
    """
    tracker = backend.tracker()
    try:
        with Server([Region.RECTANGLE], [Image.PATH], tracker_name="SiamFC", tracker_family="siamese") as server:
            while (request := server.wait()).type != TraxStatus.QUIT:
                frame = request.image["color"].path()
                if request.type == TraxStatus.INITIALIZE:
                    region, _ = request.objects[0]
                    target = tracker.start(frame, region.bounds())
                else:
                    target = tracker.update(frame)
                server.status([(Rectangle.create(*target.box), {"confidence": f"{target.score:.6f}"})])
    finally:
        tracker.close()
