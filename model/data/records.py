"""The records of a training corpus: still images, tracks through clips, cut-outs. Readers make them of a layout."""

from __future__ import annotations

from dataclasses import dataclass, field

from model.boxes import Box


@dataclass(frozen=True, slots=True)
class Member:
    """One encoded image: its file, the offset of its bytes there, and their number (-1: to the end)."""

    shard: str
    offset: int = 0
    length: int = -1


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
    """A single object cut from its background: an RGBA image. `name` begins with the clip it was cut from, if any."""

    source: str
    image: Member
    name: str = ""


@dataclass(slots=True)
class Records:
    """A reader's records. `shards`: the bytes of the files that are held in memory, by name.

    `skipped`: why clips were left out that show nothing, one reason a clip.
    """

    stills: list[Still] = field(default_factory=list)
    tracks: list[Track] = field(default_factory=list)
    cutouts: list[Cutout] = field(default_factory=list)
    shards: dict[str, bytes] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def __iadd__(self, other: Records) -> Records:
        self.stills += other.stills
        self.tracks += other.tracks
        self.cutouts += other.cutouts
        self.shards |= other.shards
        self.skipped += other.skipped
        return self
