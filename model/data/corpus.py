"""A training corpus: still images with boxes, video tracks, object cut-outs; from one folder or several.

The layouts that can be read are those of `model.data.readers`. Boxes are [x, y, w, h], 0-indexed pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Self

from model.arrays import RgbaImage, RgbImage
from model.data.readers.layout import read
from model.data.records import Cutout, Member, Records, Still, Track
from model.errors import CorpusError, ModelError
from model.images import decode
from model.opencv_images import decode_rgba

__all__ = ["Corpus", "Cutout", "Member", "Still", "Track", "is_held_out"]


class Corpus:
    """The records a sampler draws from. Tar shards are held in memory as encoded bytes; single files are not."""

    def __init__(self, *folders: Path) -> None:
        """Read the corpora in `folders` as one; raises CorpusError where a file is missing or malformed."""
        records = Records()
        for folder in folders:
            records += read(folder)
        self._shards = records.shards
        self.stills = tuple(records.stills)
        self.tracks = tuple(records.tracks)
        self.cutouts = tuple(records.cutouts)
        self.skipped = tuple(records.skipped)

    def divided(self, share: float) -> tuple[Self, tuple[Track, ...]]:
        """This corpus without the clips that are held out, and their tracks; see `is_held_out`.

        Cut-outs of the held-out clips are left out too. If nothing would be left, nothing is held out.
        """
        held = tuple(track for track in self.tracks if is_held_out(track, share))
        rest = tuple(track for track in self.tracks if not is_held_out(track, share))
        if not rest and not self.stills:
            return self, ()
        clips = {track.clip for track in held}
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        copy.tracks = rest
        copy.cutouts = tuple(cutout for cutout in self.cutouts if cutout.name.rpartition("_")[0] not in clips)
        return copy, held

    def rgb(self, member: Member) -> RgbImage:
        """The image as uint8 [height, width, 3] RGB."""
        return self._decoded(member, decode)

    def rgba(self, member: Member) -> RgbaImage:
        """The image as uint8 [height, width, 4] RGBA."""
        return self._decoded(member, decode_rgba)

    def _decoded(self, member: Member, decoder: Callable[[bytes], RgbImage | None]) -> RgbImage:
        """The image as stored: boxes are in its pixels, whatever its EXIF orientation says."""
        reason = ""
        try:
            image = decoder(self._encoded(member))
        except (OSError, ModelError) as error:
            image, reason = None, f": {error}"
        if image is None:
            raise CorpusError(f"{member.shard}: the image at byte {member.offset} cannot be decoded{reason}")
        return image

    def _encoded(self, member: Member) -> bytes:
        data = self._shards[member.shard] if member.shard in self._shards else Path(member.shard).read_bytes()
        return data[member.offset :] if member.length < 0 else data[member.offset : member.offset + member.length]


def is_held_out(track: Track, share: float) -> bool:
    """Whether the track's clip belongs to the `share` of clips that are kept from training: by a hash of its name."""
    digest = hashlib.sha256(f"{track.source}/{track.clip}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
