"""Our own layout: uncompressed tar shards and JSON-lines indexes.

`stills.jsonl`, `videos.jsonl` and `cutouts.jsonl` (each may be absent, not the first two together) name members of the
shards beside them. Boxes are [x, y, w, h], 0-indexed pixels; `null` where a track's target is absent. The shards are
held in memory.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from model.boxes import Box
from model.data.records import Cutout, Member, Records, Still, Track
from model.errors import CorpusError, InvalidBoxError

Row = TypeVar("Row")


def recognises(folder: Path) -> bool:
    """Whether the folder has one of the indexes."""
    return (folder / "stills.jsonl").is_file() or (folder / "videos.jsonl").is_file()


def read(folder: Path) -> Records:
    """The records of the indexes. Raises CorpusError, naming file and line, where one is malformed."""
    return _Reader(folder).read()


class _Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: dict[str, bytes] = {}
        self._members: dict[str, dict[str, Member]] = {}

    def read(self) -> Records:
        stills = list(self._rows("stills.jsonl", self._still))
        tracks = [track for found in self._rows("videos.jsonl", self._tracks) for track in found]
        cutouts = list(self._rows("cutouts.jsonl", self._cutout))
        if not stills and not tracks:
            raise CorpusError(f"{self._folder}: neither stills.jsonl nor videos.jsonl names anything")
        return Records(stills, tracks, cutouts, self._shards)

    def _rows(self, name: str, read: Callable[[dict[str, Any]], Row]) -> Iterator[Row]:
        path = self._folder / name
        if not path.exists():
            return
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    row = read(json.loads(line))
                except (CorpusError, InvalidBoxError, KeyError, TypeError, ValueError) as error:
                    reason = f"no {error}" if isinstance(error, KeyError) else error
                    raise CorpusError(f"{path}:{number}: {reason}") from error
                yield row

    def _member(self, shard: str, name: str) -> Member:
        path = self._folder / shard
        key = str(path)
        if key not in self._shards:
            try:
                self._shards[key] = path.read_bytes()
                with tarfile.open(path) as tar:
                    self._members[key] = {
                        entry.name: Member(key, entry.offset_data, entry.size) for entry in tar if entry.isfile()
                    }
            except (OSError, tarfile.TarError) as error:
                raise CorpusError(f"{path}: {error}") from error
        try:
            return self._members[key][name]
        except KeyError:
            raise CorpusError(f"{path}: no member {name!r}") from None

    def _still(self, row: dict[str, Any]) -> Still:
        boxes = tuple(Box(*box) for box in row["boxes"])
        return Still(row["source"], self._member(row["shard"], row["member"]), boxes)

    def _cutout(self, row: dict[str, Any]) -> Cutout:
        return Cutout(row["source"], self._member(row["shard"], row["member"]), row["member"])

    def _tracks(self, row: dict[str, Any]) -> list[Track]:
        frames = tuple(self._member(row["shard"], name) for name in row["frames"])
        tracks: list[Track] = []
        for track in row["tracks"]:
            boxes = tuple(None if box is None else Box(*box) for box in track["boxes"])
            if len(boxes) != len(frames):
                raise CorpusError(f"{row['clip']}: {len(boxes)} boxes for {len(frames)} frames")
            tracks.append(Track(row["source"], row["clip"], frames, boxes, not row.get("unordered", False)))
        return tracks
