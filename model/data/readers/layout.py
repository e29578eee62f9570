"""The layout of a corpus folder, recognised by its files, and its records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from model.data.readers import got10k, imagenet_vid, shards
from model.data.records import Records
from model.errors import CorpusError

_READERS: tuple[tuple[Callable[[Path], bool], Callable[[Path], Records]], ...] = (
    (shards.recognises, shards.read),
    (imagenet_vid.recognises, imagenet_vid.read),
    (got10k.recognises, got10k.read),
)


def read(folder: Path) -> Records:
    """The records of a corpus folder. Raises CorpusError where it has no known layout or is malformed."""
    if not folder.is_dir():
        raise CorpusError(f"{folder}: no such folder")
    for recognises, records in _READERS:
        if recognises(folder):
            return records(folder)
    raise CorpusError(
        f"{folder}: neither stills.jsonl nor videos.jsonl is here, nor Data/VID with Annotations/VID (ImageNet-VID), "
        "nor folders with groundtruth.txt beside their frames (GOT-10k)"
    )
