"""ImageNet-VID as it unpacks: `Data/VID/SPLIT/**/CLIP/NNNNNN.JPEG` and `Annotations/VID/SPLIT/**/CLIP/NNNNNN.xml`.

The folder is the one that holds `Data` and `Annotations`, or its parent (`ILSVRC2015` or the like). The split `train`
is read where there is one, else every split that is annotated. An annotation is VOC's: `xmin ymin xmax ymax` in
pixels from 0, one object an entry, joined over frames by `trackid`; an object without area is absent.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

from model.boxes import Box
from model.data.records import Member, Records, Track
from model.errors import CorpusError
from model.folders import is_hidden

SOURCE = "imagenet_vid"


def recognises(folder: Path) -> bool:
    """Whether frames and annotations lie where ImageNet-VID has them."""
    return _root(folder) is not None


def read(folder: Path) -> Records:
    """Every object's track. Raises CorpusError, naming the file, where an annotation is malformed or without frame."""
    root = _root(folder)
    assert root is not None
    annotations = root / "Annotations" / "VID"
    splits = [annotations / "train"] if (annotations / "train").is_dir() else sorted(annotations.iterdir())
    tracks = [track for split in splits for clip in _clips(split) for track in _tracks(root, clip)]
    if not tracks:
        raise CorpusError(f"{annotations}: no annotated objects")
    return Records(tracks=tracks)


def _root(folder: Path) -> Path | None:
    for root in (folder, *sorted(path for path in folder.iterdir() if path.is_dir())):
        if (root / "Data" / "VID").is_dir() and (root / "Annotations" / "VID").is_dir():
            return root
    return None


def _clips(split: Path) -> Iterator[Path]:
    """Folders that hold annotations themselves: clips lie straight in a split, or in parts of it."""
    return iter(sorted({path.parent for path in split.rglob("*.xml") if not is_hidden(path.name)}))


def _tracks(root: Path, clip: Path) -> Iterator[Track]:
    name = clip.relative_to(root / "Annotations" / "VID").as_posix()
    images = root / "Data" / "VID" / name
    annotations = sorted(path for path in clip.glob("*.xml") if not is_hidden(path.name))
    frames = tuple(Member(str(images / f"{path.stem}.JPEG")) for path in annotations)
    found: dict[str, list[Box | None]] = {}
    for index, (path, frame) in enumerate(zip(annotations, frames, strict=True)):
        if not Path(frame.shard).is_file():
            raise CorpusError(f"{path}: there is no frame {frame.shard}")
        if not Path(frame.shard).stat().st_size:
            raise CorpusError(f"{frame.shard}: the image file is empty (0 bytes)")
        for track, box in _objects(path):
            found.setdefault(track, [None] * len(frames))[index] = box
    for boxes in found.values():
        yield Track(SOURCE, name, frames, tuple(boxes), ordered=True)


def _objects(path: Path) -> Iterator[tuple[str, Box]]:
    try:
        for entry in ElementTree.parse(path).getroot().iter("object"):
            x0, y0, x1, y1 = (float(entry.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax"))
            if x1 - x0 >= 1 and y1 - y0 >= 1:
                yield entry.findtext("trackid", "0"), Box(x0, y0, x1 - x0, y1 - y0)
    except (ElementTree.ParseError, ValueError) as error:
        raise CorpusError(f"{path}: {error}") from error
