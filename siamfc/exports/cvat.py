"""CVAT for video 1.1, an XML file that CVAT, Datumaro and FiftyOne read: one track a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from siamfc.client.results import Target
from siamfc.exports.writers import Clip, Numbers, label_of, rounded


class Cvat:
    """Every frame is a key frame; a lost target is outside, and so it is from its last frame on."""

    def __init__(self, file: TextIO, clip: Clip) -> None:
        self._file = file
        self._clip = clip
        self._labels = Numbers()
        self._tracks: dict[str, Element] = {}
        self._last: dict[str, tuple[int, Target]] = {}
        self._frames = 0

    def write(self, frame_index: int, targets: Sequence[Target]) -> None:
        self._frames = frame_index + 1
        for target in targets:
            if target.id not in self._tracks:
                self._labels.of(label_of(target))
                self._tracks[target.id] = Element(
                    "track", id=str(len(self._tracks)), label=label_of(target), source="semi-auto"
                )
            self._box(frame_index, target, outside=target.status == "lost")
            self._last[target.id] = frame_index, target

    def close(self) -> None:
        for frame_index, target in self._last.values():
            # CVAT draws a track on and on unless it is said to be over.
            if frame_index + 1 < self._frames:
                self._box(frame_index + 1, target, outside=True)
        root = Element("annotations")
        SubElement(root, "version").text = "1.1"
        root.append(self._meta())
        root.extend(self._tracks.values())
        ElementTree.indent(root)
        self._file.write('<?xml version="1.0" encoding="utf-8"?>\n')
        self._file.write(ElementTree.tostring(root, encoding="unicode") + "\n")

    def _box(self, frame_index: int, target: Target, outside: bool) -> None:
        x, y, w, h = target.box
        corners = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(str, rounded(x, y, x + w, y + h)), strict=True))
        flags = {"outside": str(int(outside)), "occluded": "0", "keyframe": "1", "z_order": "0"}
        SubElement(self._tracks[target.id], "box", {"frame": str(frame_index), **flags, **corners})

    def _meta(self) -> Element:
        meta = Element("meta")
        task = SubElement(meta, "task")
        facts = {
            "name": self._clip.name,
            "size": self._frames,
            "mode": "interpolation",
            "overlap": 0,
            "start_frame": 0,
            "stop_frame": max(self._frames - 1, 0),
        }
        for name, value in facts.items():
            SubElement(task, name).text = str(value)
        labels = SubElement(task, "labels")
        for word in self._labels.words():
            label = SubElement(labels, "label")
            SubElement(label, "name").text = word
            SubElement(label, "type").text = "rectangle"
            SubElement(label, "attributes")
        size = SubElement(task, "original_size")
        for name, pixels in zip(("width", "height"), self._clip.size, strict=True):
            SubElement(size, name).text = str(pixels)
        return meta
