"""Follow what you draw a box around, live: python examples/webcam_client.py [camera] [server]

Drag a box with the mouse, then Space or Enter; c draws a new box, q or Esc ends. Needs an OpenCV with windows: the
project installs the one without, so: pip uninstall opencv-python-headless && pip install opencv-python
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import cv2

from siamfc import Client, ConnectionLost, FrameError, ProblemError

WINDOW = "siamfc"
COLOURS = {"tracking": (80, 200, 60), "uncertain": (0, 180, 255), "lost": (60, 60, 230)}  # BGR


def has_windows() -> bool:
    """Whether this OpenCV was built with a window system."""
    return not any("NONE" in line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:"))


def ask_box(frame: Any) -> Sequence[int] | None:
    """Let the user drag a box over a frame; None where nothing was drawn."""
    x, y, w, h = cv2.selectROI(WINDOW, frame, showCrosshair=False)
    return (x, y, w, h) if w and h else None


def follow(camera: Any, client: Client) -> None:
    """Show the camera with the target's box until the user ends it."""
    there, frame = camera.read()
    box = ask_box(frame) if there else None
    if box is None:
        return
    with client.start(frame, box) as session:
        target_id = session.started.target.id
        while True:
            there, frame = camera.read()
            if not there:
                return
            key = cv2.waitKey(1) & 0xFF
            if key in (ord("q"), 27):
                return
            if key == ord("c") and (box := ask_box(frame)):
                session.set_target(target_id, box)
            try:
                target = session.update(frame).target
            except FrameError as error:
                print(error, file=sys.stderr)
                continue
            x, y, w, h = map(round, target.box)
            cv2.rectangle(frame, (x, y), (x + w, y + h), COLOURS[target.status], 2)
            label = f"{target.status} {target.score:.2f}"
            cv2.putText(frame, label, (x, y - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.6, COLOURS[target.status], 2)
            cv2.imshow(WINDOW, frame)


def main() -> str | None:
    """Run; returns what went wrong, if anything did."""
    if not has_windows():
        return "this OpenCV has no windows: pip uninstall opencv-python-headless && pip install opencv-python"
    index, server = (sys.argv[1:] + ["0", "http://localhost:8000"][len(sys.argv) - 1 :])[:2]
    camera = cv2.VideoCapture(int(index))
    if not camera.isOpened():
        return f"camera {index} cannot be opened"
    try:
        with Client(server) as client:
            follow(camera, client)
    except (ConnectionLost, ProblemError) as error:
        return str(error)
    finally:
        camera.release()
        cv2.destroyAllWindows()
    return None


if __name__ == "__main__":
    sys.exit(main())
