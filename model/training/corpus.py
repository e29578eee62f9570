"""A training corpus in memory: still images with boxes, video tracks, object cut-outs.

Layout of a corpus folder: uncompressed tar shards, and JSON-lines indexes `stills.jsonl`, `videos.jsonl` and
`cutouts.jsonl` (the last may be absent). Boxes are [x, y, w, h], 0-indexed pixels; `null` where a track's target is
absent.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from model.boxes import Box
from model.errors import CorpusError

Image = NDArray[np.uint8]
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Member:
    """One encoded image: its shard's file name, where its bytes begin there and how many they are."""

    shard: str
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Still:
    """A still image and the boxes of the objects in it."""

    source: str
    image: Member
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Track:
    """One object through a clip; `boxes[i]` lies in `frames[i]`, None where it is absent.

    `ordered` is False where the frames are separate photographs of the object.
    """

    source: str
    clip: str
    frames: tuple[Member, ...]
    boxes: tuple[Box | None, ...]
    ordered: bool

    @property
    def present(self) -> tuple[int, ...]:
        """Indexes of the frames that show the object."""
        return tuple(index for index, box in enumerate(self.boxes) if box is not None)


@dataclass(frozen=True, slots=True)
class Cutout:
    """A single object cut from its background: an RGBA image."""

    source: str
    image: Member


class Corpus:
    """Everything a sampler draws from. Shards are held in memory as their encoded bytes."""

    def __init__(self, folder: Path) -> None:
        """Read the corpus in `folder`; raises CorpusError where a file is missing or malformed."""
        if not folder.is_dir():
            raise CorpusError(f"{folder}: no such folder")
        self._shards: dict[str, bytes] = {}
        self._members: dict[str, dict[str, Member]] = {}
        self._folder = folder
        self.stills = tuple(self._rows("stills.jsonl", self._still))
        self.tracks = tuple(track for tracks in self._rows("videos.jsonl", self._tracks) for track in tracks)
        self.cutouts = tuple(self._rows("cutouts.jsonl", self._cutout))
        if not self.stills and not self.tracks:
            raise CorpusError(f"{folder}: neither stills.jsonl nor videos.jsonl names anything")

    def rgb(self, member: Member) -> Image:
        """The image as uint8 [height, width, 3] RGB."""
        return self._decode(member, cv2.IMREAD_COLOR, cv2.COLOR_BGR2RGB)

    def rgba(self, member: Member) -> Image:
        """The image as uint8 [height, width, 4] RGBA."""
        return self._decode(member, cv2.IMREAD_UNCHANGED, cv2.COLOR_BGRA2RGBA)

    def _decode(self, member: Member, flags: int, conversion: int) -> Image:
        data = np.frombuffer(self._shards[member.shard], np.uint8, member.length, member.offset)
        image = cv2.imdecode(data, flags)
        if image is None:
            raise CorpusError(f"{member.shard}: the image at byte {member.offset} cannot be decoded")
        return np.asarray(cv2.cvtColor(image, conversion), np.uint8)

    def _rows(self, name: str, read: Callable[[dict[str, Any]], Row]) -> Iterator[Row]:
        path = self._folder / name
        if not path.exists():
            return
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = read(json.loads(line))
                except (CorpusError, KeyError, TypeError, ValueError) as error:
                    reason = f"no {error}" if isinstance(error, KeyError) else error
                    raise CorpusError(f"{path}:{number}: {reason}") from error
                yield row

    def _member(self, shard: str, name: str) -> Member:
        if shard not in self._shards:
            path = self._folder / shard
            try:
                self._shards[shard] = path.read_bytes()
                with tarfile.open(path) as tar:
                    self._members[shard] = {
                        entry.name: Member(shard, entry.offset_data, entry.size) for entry in tar if entry.isfile()
                    }
            except (OSError, tarfile.TarError) as error:
                raise CorpusError(f"{path}: {error}") from error
        try:
            return self._members[shard][name]
        except KeyError:
            raise CorpusError(f"{self._folder / shard}: no member {name!r}") from None

    def _still(self, row: dict[str, Any]) -> Still:
        boxes = tuple(Box(*box) for box in row["boxes"])
        return Still(row["source"], self._member(row["shard"], row["member"]), boxes)

    def _cutout(self, row: dict[str, Any]) -> Cutout:
        return Cutout(row["source"], self._member(row["shard"], row["member"]))

    def _tracks(self, row: dict[str, Any]) -> list[Track]:
        frames = tuple(self._member(row["shard"], name) for name in row["frames"])
        tracks: list[Track] = []
        for track in row["tracks"]:
            boxes = tuple(None if box is None else Box(*box) for box in track["boxes"])
            if len(boxes) != len(frames):
                raise CorpusError(f"{row['clip']}: {len(boxes)} boxes for {len(frames)} frames")
            tracks.append(Track(row["source"], row["clip"], frames, boxes, not row.get("unordered", False)))
        return tracks
