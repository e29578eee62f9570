"""Which training clips the tracker's constants are chosen on, and which check the choice.

A clip's family is its source and its name without the number at the end: clips of one family may show the same scene
or the same kind of thing, so that a family is never on both sides.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.errors import CorpusError
from model.training.corpus import Track


@dataclass(frozen=True, slots=True)
class Window:
    """A run of a track's frames, `start` up to `stop`, the first of which shows the target."""

    track: Track
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Clips:
    """What is searched on and what checks it, each with its weights, which sum to 1.

    A source weighs as the square root of its windows: a large one does not drown the others, a single clip does not
    count for as much as twenty.
    """

    search: tuple[Window, ...]
    search_weights: tuple[float, ...]
    check: tuple[Window, ...]
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
    """Draw the windows: one track a family, at most `per_source` families a source on either side.

    Of every three families of a source, in drawn order, one is kept for the check. A window is the first `frames`
    frames from the target's first appearance: successive ones, since how far a target moves between two frames is what
    the constants depend on. Windows of the sources alternate. Raises CorpusError where a side would be empty.
    """
    rng = np.random.default_rng(seed)
    families: dict[str, dict[tuple[str, str], list[Window]]] = defaultdict(lambda: defaultdict(list))
    for track in sorted(tracks, key=lambda each: (each.source, each.clip)):
        window = _window(track, frames)
        if track.ordered and window is not None:
            families[track.source][family(track)].append(window)
    sides: tuple[list[list[Window]], list[list[Window]]] = ([], [])
    for source in sorted(families):
        drawn = [windows[int(rng.integers(len(windows)))] for windows in families[source].values()]
        drawn = [drawn[index] for index in rng.permutation(len(drawn))]
        sides[0].append([each for index, each in enumerate(drawn) if index % 3 != 2][:per_source])
        sides[1].append(drawn[2::3][:per_source])
    search, check = (_alternating(side) for side in sides)
    if not search or not check:
        raise CorpusError("too few ordered clips: one source must have three that are not of the same family")
    return Clips(search, _weights(search), check, _weights(check))


def _window(track: Track, frames: int) -> Window | None:
    present = track.present
    if not present:
        return None
    start, stop = present[0], min(present[0] + frames, len(track.frames))
    return Window(track, start, stop) if sum(start <= index < stop for index in present) >= 3 else None


def _alternating(sources: Sequence[Sequence[Window]]) -> tuple[Window, ...]:
    longest = max((len(each) for each in sources), default=0)
    return tuple(each[index] for index in range(longest) for each in sources if index < len(each))


def _weights(windows: Sequence[Window]) -> tuple[float, ...]:
    sizes = Counter(each.track.source for each in windows)
    raw = [sizes[each.track.source] ** -0.5 for each in windows]
    return tuple(each / sum(raw) for each in raw)
