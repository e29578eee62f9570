"""The division of training clips into those that the tracker's constants are chosen on and those that check them.

A clip's family is its source and its name without the number at the end: clips of one family may show the same scene
or the same kind of thing, so a family is on one side only.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.data.corpus import Track
from model.errors import CorpusError


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A run of a track's frames, `start` up to `stop`, the first of which shows the target."""

    track: Track
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Clips:
    """The excerpts of the search and of the check, with their weights; each side's weights sum to 1.

    A source weighs as the square root of its excerpts: a large source does not drown the others, and a single clip
    does not count as much as twenty.
    """

    search: tuple[Excerpt, ...]
    search_weights: tuple[float, ...]
    check: tuple[Excerpt, ...]
    check_weights: tuple[float, ...]


def family(track: Track) -> tuple[str, str]:
    """The track's source and its clip's name without numbers and separators at the end."""
    return track.source, re.sub(r"[\W_\d]+$", "", track.clip) or track.clip


def refuse_evaluation_layout(folder: Path) -> None:
    """Raises CorpusError where the folder is one of sequences to be judged on: `NAME/img` and `groundtruth*.txt`."""
    for path in (folder, *sorted(folder.glob("*/"))):
        if (path / "img").is_dir() and any(path.glob("groundtruth*.txt")):
            raise CorpusError(f"{path}: an evaluation sequence; constants are chosen on training clips alone")


def choose_clips(tracks: Sequence[Track], seed: int, frames: int, per_source: int) -> Clips:
    """Draw the excerpts: one track a family, at most `per_source` families a source on either side.

    One of every three families of a source, in drawn order, is kept for the check. An excerpt is the first `frames`
    frames from the target's first appearance. They are successive, because the constants depend on how far a target
    moves between two frames. Excerpts of the sources alternate. Raises CorpusError where a side would be empty.
    """
    rng = np.random.default_rng(seed)
    families: dict[str, dict[tuple[str, str], list[Excerpt]]] = defaultdict(lambda: defaultdict(list))
    for track in sorted(tracks, key=lambda each: (each.source, each.clip)):
        excerpt = _excerpt(track, frames)
        if track.ordered and excerpt is not None:
            families[track.source][family(track)].append(excerpt)
    sides: tuple[list[list[Excerpt]], list[list[Excerpt]]] = ([], [])
    for source in sorted(families):
        drawn = [excerpts[int(rng.integers(len(excerpts)))] for excerpts in families[source].values()]
        drawn = [drawn[index] for index in rng.permutation(len(drawn))]
        sides[0].append([each for index, each in enumerate(drawn) if index % 3 != 2][:per_source])
        sides[1].append(drawn[2::3][:per_source])
    search, check = (_alternating(side) for side in sides)
    if not search or not check:
        raise CorpusError("too few ordered clips: one source must have three that are not of the same family")
    return Clips(search, _weights(search), check, _weights(check))


def _excerpt(track: Track, frames: int) -> Excerpt | None:
    present = track.present
    if not present:
        return None
    start, stop = present[0], min(present[0] + frames, len(track.frames))
    return Excerpt(track, start, stop) if sum(start <= index < stop for index in present) >= 3 else None


def _alternating(sources: Sequence[Sequence[Excerpt]]) -> tuple[Excerpt, ...]:
    longest = max((len(each) for each in sources), default=0)
    return tuple(each[index] for index in range(longest) for each in sources if index < len(each))


def _weights(excerpts: Sequence[Excerpt]) -> tuple[float, ...]:
    sizes = Counter(each.track.source for each in excerpts)
    raw = [sizes[each.track.source] ** -0.5 for each in excerpts]
    return tuple(each / sum(raw) for each in raw)
