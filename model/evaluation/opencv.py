"""OpenCV's own trackers as followers, to compare with. Needs nothing beyond OpenCV, and the user's files for two.

Which there are depends on the build: MIL is in every one, CSRT, KCF and the older ones only in those with the contrib
modules. OpenCV 4 and 5 name them `cv2.TrackerX_create` or `cv2.legacy.TrackerX_create`; the first is preferred.
NanoTrack and VitTrack are networks, which OpenCV runs from ONNX files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cv2

from model.boxes import Box
from model.errors import ModelError
from model.evaluation.one_pass import Found
from model.file_kinds import foreign_kind
from model.opencv_images import read_bgr

_WITH_MODEL_FILES = {"dasiamrpn", "goturn", "nano", "vit"}


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """ONNX files of trackers that are networks, as far as they are given: NanoTrack's two, and VitTrack's."""

    nano_backbone: Path | None = None
    nano_head: Path | None = None
    vit: Path | None = None

    def or_in(self, folder: Path) -> ModelFiles:
        """These files, and for those not given the one of the folder that its name tells.

        Raises ModelError where several files of the folder may be meant.
        """
        return ModelFiles(
            self.nano_backbone or _only(folder, "nano", "backbone"),
            self.nano_head or _only(folder, "nano", "head"),
            self.vit or _only(folder, "vit"),
        )

    def given(self) -> tuple[Path, ...]:
        """The files that there are."""
        return tuple(path for path in (self.nano_backbone, self.nano_head, self.vit) if path is not None)


class OpenCVFollower:
    """`model.evaluation.one_pass.Follower` over an OpenCV tracker, made anew for every sequence.

    A frame in which the tracker finds nothing is answered with its last box. Boxes are OpenCV's: 0-indexed pixels,
    whole ones unless the tracker is of the `legacy` kind. NanoTrack and VitTrack give a score, the others none.
    """

    def __init__(self, name: str, files: ModelFiles | None = None) -> None:
        """`files`: for the trackers `nano` and `vit`.

        Raises ModelError where this OpenCV has no tracker of that name (in any case), or its files are missing.
        """
        self._name = name
        self._create = _creator(name.lower(), files or ModelFiles())
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
        return Found(self._box, self._score())

    def _score(self) -> float | None:
        if self._name.lower() not in _NETWORKS:
            return None
        return min(max(float(self._tracker.getTrackingScore()), 0.0), 1.0)


def available() -> dict[str, Callable[[], Any]]:
    """This OpenCV's trackers that need no model file: lower-case name and what makes one."""
    makers: dict[str, Callable[[], Any]] = {}
    for namespace in (getattr(cv2, "legacy", None), cv2):
        for attribute in dir(namespace):
            name = attribute.removeprefix("Tracker").removesuffix("_create")
            if attribute == f"Tracker{name}_create" and name.lower() not in _WITH_MODEL_FILES:
                makers[name.lower()] = getattr(namespace, attribute)
    return makers


def _creator(name: str, files: ModelFiles) -> Callable[[], Any]:
    makers = available()
    if name in makers:
        return makers[name]
    if name in _NETWORKS and hasattr(cv2, f"Tracker{name.capitalize()}_create"):
        return _NETWORKS[name](files)
    have = f"this OpenCV {cv2.__version__} has no tracker {name!r}, only {', '.join(sorted(makers)) or 'none'}"
    if name in _WITH_MODEL_FILES:
        raise ModelError(f"OpenCV's tracker {name!r} needs model files and is not offered; {have}")
    raise ModelError(
        f"{have}; csrt, kcf and others come with the contrib build, which replaces the plain one: "
        "pip uninstall -y opencv-python-headless && pip install opencv-contrib-python-headless"
    )


def _nano(files: ModelFiles) -> Callable[[], Any]:
    backbone, head = files.nano_backbone, files.nano_head
    if backbone is None or head is None:
        raise ModelError("OpenCV's tracker 'nano' needs two ONNX files of NanoTrack, its backbone and its head")
    build: Any = cv2
    params = build.TrackerNano_Params()
    params.backbone, params.neckhead = str(backbone), str(head)
    return _loading("nano", lambda: build.TrackerNano_create(params), backbone, head)


def _vit(files: ModelFiles) -> Callable[[], Any]:
    if files.vit is None:
        raise ModelError("OpenCV's tracker 'vit' needs the ONNX file of VitTrack")
    build: Any = cv2
    params = build.TrackerVit_Params()
    params.net = str(files.vit)
    return _loading("vit", lambda: build.TrackerVit_create(params), files.vit)


_NETWORKS: Mapping[str, Callable[[ModelFiles], Callable[[], Any]]] = MappingProxyType({"nano": _nano, "vit": _vit})


def _loading(name: str, create: Callable[[], Any], *files: Path) -> Callable[[], Any]:
    """`create`, once it has been seen to work. Raises ModelError, naming the file that is no network."""
    # At every start OpenCV 5 warns that its engine knows no targets.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    for path in files:
        if not path.is_file():
            raise ModelError(f"{path}: there is no such file, which OpenCV's tracker {name!r} needs")
        try:
            cv2.dnn.readNetFromONNX(str(path))
        except cv2.error as error:
            kind = foreign_kind(path)
            reason = f"it is {kind}" if kind else " ".join(str(error.err or error).split())
            raise ModelError(f"{path}: OpenCV's tracker {name!r} cannot load it: {reason}") from error
    return create


def _only(folder: Path, *words: str) -> Path | None:
    found = [path for path in sorted(folder.glob("*.onnx")) if all(word in path.name.lower() for word in words)]
    if len(found) > 1:
        raise ModelError(f"{folder}: {found[0].name} or {found[1].name}? Name the file")
    return found[0] if found else None
