"""COCO's object detection, a JSON file: an image a frame, an annotation a target, a category a label."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TextIO

from siamfc.client.results import Target
from siamfc.exports.writers import Clip, Numbers, label_of, rounded


class Coco:
    """Images and ids count from 1; images are named as CVAT names a video's frames. Lost targets are left out.

    An annotation's `attributes` hold `track_id` and `status`; its `score` is the target's, as in COCO's results.
    """

    def __init__(self, file: TextIO, clip: Clip) -> None:
        self._file = file
        self._clip = clip
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []
        self._labels = Numbers()
        self._numbers = Numbers()

    def write(self, frame_index: int, targets: Sequence[Target]) -> None:
        width, height = self._clip.size
        name = f"frame_{frame_index:06d}.jpg"
        self._images.append({"id": frame_index + 1, "file_name": name, "width": width, "height": height})
        for target in targets:
            number = self._numbers.of(target.id)
            if target.status != "lost":
                self._annotations.append(self._annotation(frame_index + 1, number, target))

    def close(self) -> None:
        words = enumerate(self._labels.words(), 1)
        whole = {
            "info": {"description": self._clip.name},
            "licenses": [],
            "images": self._images,
            "annotations": self._annotations,
            "categories": [{"id": number, "name": word, "supercategory": ""} for number, word in words],
        }
        self._file.write(json.dumps(whole) + "\n")

    def _annotation(self, image_id: int, number: int, target: Target) -> dict[str, Any]:
        box = rounded(*target.box)
        return {
            "id": len(self._annotations) + 1,
            "image_id": image_id,
            "category_id": self._labels.of(label_of(target)),
            "bbox": box,
            "area": round(box[2] * box[3], 2),
            "iscrowd": 0,
            "score": round(target.score, 4),
            "attributes": {"track_id": number, "status": target.status},
        }
