"""OpenCV's own trackers as followers, to compare with. Needs nothing beyond OpenCV.

Which there are depends on the build: MIL is in every one, CSRT, KCF and the older ones only in those with the contrib
modules. OpenCV 4 and 5 name them `cv2.TrackerX_create` or `cv2.legacy.TrackerX_create`; the first is preferred.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2

from model.boxes import Box
from model.errors import ModelError
from model.evaluation.one_pass import Found
from model.opencv_images import read_bgr

_WITH_MODEL_FILES = {"dasiamrpn", "goturn", "nano", "vit"}


class OpenCVFollower:
    """`model.evaluation.one_pass.Follower` over an OpenCV tracker, made anew for every sequence.

    A frame in which the tracker finds nothing is answered with its last box. Boxes are OpenCV's: 0-indexed pixels,
    whole ones unless the tracker is of the `legacy` kind. No score is given.
    """

    def __init__(self, name: str) -> None:
        """Raises ModelError where this OpenCV has no tracker of that name (in any case)."""
        self._name = name
        self._create = _creator(name)
        self._tracker: Any = None
        self._box = Box(0, 0, 1, 1)

    def start(self, frame: Path, box: Box) -> None:
        """Follow what `box`, rounded to whole pixels, shows. Raises ModelError for what the tracker does not take."""
        x, y, w, h = (round(value) for value in box.as_list())
        self._tracker, self._box = self._create(), box
        try:
            self._tracker.init(read_bgr(frame), (x, y, max(w, 1), max(h, 1)))
        except cv2.error as error:
            raise ModelError(f"{frame}: OpenCV's {self._name} does not start: {error.err or error}") from error

    def update(self, frame: Path) -> Found:
        """Where the target is in the next image file. Raises ModelError, naming a file that is no image."""
        image = read_bgr(frame)
        try:
            found, box = self._tracker.update(image)
        except cv2.error:
            found, box = False, None  # some raise, where others say no, once the target has left the frame
        if found and box is not None and box[2] > 0 and box[3] > 0:
            self._box = Box(*(float(value) for value in box))
        return Found(self._box)


def available() -> dict[str, Callable[[], Any]]:
    """This OpenCV's trackers that need no model file: lower-case name and what makes one."""
    makers: dict[str, Callable[[], Any]] = {}
    for namespace in (getattr(cv2, "legacy", None), cv2):
        for attribute in dir(namespace):
            name = attribute.removeprefix("Tracker").removesuffix("_create")
            if attribute == f"Tracker{name}_create" and name.lower() not in _WITH_MODEL_FILES:
                makers[name.lower()] = getattr(namespace, attribute)
    return makers


def _creator(name: str) -> Callable[[], Any]:
    makers = available()
    if name.lower() in makers:
        return makers[name.lower()]
    have = f"this OpenCV {cv2.__version__} has no tracker {name!r}, only {', '.join(sorted(makers)) or 'none'}"
    if name.lower() in _WITH_MODEL_FILES:
        raise ModelError(f"OpenCV's tracker {name!r} needs model files and is not offered; {have}")
    raise ModelError(
        f"{have}; csrt, kcf and others come with the contrib build, which replaces the plain one: "
        "pip uninstall -y opencv-python-headless && pip install opencv-contrib-python-headless"
    )
