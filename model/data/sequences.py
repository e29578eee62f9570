"""Evaluation sequences on disk: frames with the target's true box in each.

Three layouts, told apart by their files; DIR holds sequences or is one itself:

- ours: `NAME/img/*.jpg` and `NAME/groundtruth.txt`; 0-indexed, nan where the target is absent.
- OTB: `NAME/img/*.jpg` and `NAME/groundtruth_rect.txt`, or one `groundtruth_rect.K.txt` a target; 1-indexed.
- GOT-10k: `NAME/*.jpg`, `NAME/groundtruth.txt` and perhaps `NAME/absence.label` (1 where the target is absent);
  1-indexed (got-10k/toolkit, issue 6: "All coordinate values are 1-based").

A truth file has one box `x y w h` a line, separated by commas, tabs or spaces. In every layout a box without area
marks an absent target too, as OTB and GOT-10k files have it (got-10k/toolkit, issue 10).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.arrays import Float64
from model.boxes import from_one_indexed
from model.errors import SequenceError
from model.folders import EmptyFileError, image_files, is_hidden

_ABSENCE = "absence.label"

_OTB_FIRST = {"david": 300}
_OTB_PARTIAL = ("david", "football1", "freeman3", "freeman4", "diving")
"""OTB sequences whose truth covers a part of the frames, from the first unless named above (the benchmark's page)."""


_SPLITS = ("train", "val", "test")


class _AbsentError(SequenceError):
    """A sequence shows its target in too few frames."""


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """Frames in order and the truth: float64 [N, 4] boxes `x, y, w, h`, 0-indexed pixels, rows of nan where absent.

    truth_files: the files that the truth was read from.
    """

    name: str
    frames: tuple[Path, ...]
    truth: Float64
    truth_files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Raises SequenceError unless there is one box a frame and the target is present in one at least."""
        if self.truth.shape != (len(self.frames), 4):
            raise SequenceError(f"{self.name}: truth of shape {self.truth.shape} for {len(self.frames)} frames")
        if not self.present.any():
            raise _AbsentError(f"{self.name}: the target is present in no frame")

    @property
    def present(self) -> NDArray[np.bool_]:
        """Whether the target is in each frame, bool [N]."""
        return np.asarray(np.isfinite(self.truth).all(axis=1), np.bool_)

    @property
    def scorable(self) -> bool:
        """Whether there is a frame to score: one that shows the target, after the first."""
        return int(np.count_nonzero(self.present)) >= 2

    @property
    def first(self) -> int:
        """Index of the first frame that shows the target: where a run starts."""
        return int(self.present.argmax())


_Reader = Callable[[], Sequence]


@dataclass(frozen=True, slots=True)
class Survey:
    """A folder's sequences: those that can be followed; the others' names, and why they cannot.

    absent: sequences that show their target in too few frames. faulty: sequences with a file that is malformed or does
    not fit the others.
    """

    sequences: tuple[Sequence, ...]
    absent: Mapping[str, str]
    faulty: Mapping[str, str]


def survey(folder: Path, *, unscored: bool = False) -> Survey:
    """Every sequence in `folder`, by name; or the one that `folder` is; or those one level deeper, as LaSOT has them.

    With `unscored`, sequences in GOT-10k's layout may state the first box alone, as its test set does: they can be
    followed, not scored. Raises SequenceError where there is no sequence at all, where the folder holds splits, and
    where two sequences have one name.
    """
    if not folder.is_dir():
        raise SequenceError(f"{folder}: no such folder")
    sequences: list[Sequence] = []
    absent: dict[str, str] = {}
    faulty: dict[str, str] = {}
    names: Counter[str] = Counter()
    for name, read in _find(folder, unscored):
        names[name] += 1
        try:
            sequence = read()
            if not (sequence.scorable or unscored):
                raise _AbsentError(f"{name}: the target must be present in at least two frames")
            sequences.append(sequence)
        except _AbsentError as error:
            absent[name] = str(error)
        except SequenceError as error:
            faulty[name] = str(error)
    doubled = sorted(name for name, count in names.items() if count > 1)
    if doubled:
        raise SequenceError(f"{folder}: two sequences are called {', '.join(doubled)}")
    return Survey(tuple(sequences), absent, faulty)


def read_sequences(folder: Path, *, unscored: bool = False) -> list[Sequence]:
    """The sequences of `survey`. Raises SequenceError for one that cannot be followed too, naming file and line."""
    found = survey(folder, unscored=unscored)
    for reason in (*found.faulty.values(), *found.absent.values()):
        raise SequenceError(reason)
    return list(found.sequences)


def _find(folder: Path, unscored: bool) -> list[tuple[str, _Reader]]:
    """The names of a folder's sequences, and what reads each; none of their files is read yet."""
    level = [folder]
    for _ in range(3):
        found = [each for path in level for each in _readers(path, unscored)]
        if found:
            _refuse_splits(folder, level)
            return found
        level = [child for path in level for child in sorted(path.iterdir()) if _is_folder(child)]
    raise SequenceError(
        f"{folder}: no sequences; expected NAME/img/*.jpg with NAME/groundtruth.txt, or the OTB or GOT-10k layout"
    )


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not is_hidden(path.name) and path.name != "img"


def _refuse_splits(folder: Path, level: list[Path]) -> None:
    """A dataset's root holds sequences to train on and others to be judged by, which are not one thing."""
    parents = {path.parent for path in level} - {folder, folder.parent}
    splits = sorted(str(parent) for parent in parents if parent.name in _SPLITS)
    if splits:
        raise SequenceError(f"{folder}: holds splits; give one of {', '.join(splits)}")


def _readers(folder: Path, unscored: bool) -> Iterator[tuple[str, _Reader]]:
    """The sequences that the folder itself is: one, several targets of one, or none."""
    name = folder.resolve().name
    ours = folder / "groundtruth.txt"
    if ours.is_file():
        in_img = (folder / "img").is_dir()
        yield name, lambda: _read_ours(name, ours) if in_img else _read_got10k(name, ours, unscored)
        return
    for path in sorted(folder.glob("groundtruth_rect*.txt")):
        target = path.name.removeprefix("groundtruth_rect").removesuffix(".txt").strip(".")
        if target and not path.read_bytes().strip():
            continue  # OTB's Human4 ships an empty file for a target that nobody annotated.
        own = f"{name}-{target}" if target else name
        yield own, lambda own=own, path=path: _read_otb(own, name, path)  # type: ignore[misc]


def _read_ours(name: str, path: Path) -> Sequence:
    return _sequence(name, path, _frames(path.parent / "img"), _read_truth(path))


def _read_got10k(name: str, path: Path, unscored: bool) -> Sequence:
    folder = path.parent
    frames = _frames(folder)
    if not frames and (folder / "color").is_dir():
        raise SequenceError(f"{folder}: frames in color/ are VOT's layout, which is not read; see docs/evaluation.md")
    truth = from_one_indexed(_read_truth(path))
    if unscored and len(truth) == 1 and frames:
        truth = np.concatenate([truth, np.full((len(frames) - 1, 4), np.nan)])
    else:
        truth[_read_absence(folder / _ABSENCE, len(truth))] = np.nan
    return _sequence(name, path, frames, truth)


def _read_otb(name: str, folder_name: str, path: Path) -> Sequence:
    truth = from_one_indexed(_read_truth(path))
    return _sequence(name, path, _otb_part(folder_name, _frames(path.parent / "img"), len(truth)), truth)


def _sequence(name: str, path: Path, frames: tuple[Path, ...], truth: Float64) -> Sequence:
    if len(frames) != len(truth):
        raise SequenceError(f"{path}: {len(truth)} boxes for {len(frames)} frames")
    truth.setflags(write=False)
    labels = path.with_name(_ABSENCE)
    return Sequence(name, frames, truth, (path, labels) if labels.is_file() else (path,))


def _frames(folder: Path) -> tuple[Path, ...]:
    if not folder.is_dir():
        raise SequenceError(f"{folder}: no such folder")
    try:
        return image_files(folder)
    except EmptyFileError as error:
        raise SequenceError(str(error)) from error


def _otb_part(name: str, frames: tuple[Path, ...], count: int) -> tuple[Path, ...]:
    if name.lower() not in _OTB_PARTIAL or len(frames) <= count:
        return frames
    first = _OTB_FIRST.get(name.lower(), 1) - 1
    return frames[first : first + count]


def _read_truth(path: Path) -> Float64:
    """Boxes float64 [N, 4] as written, rows of nan where absent."""
    rows = [_read_box(path, number, line) for number, line in _lines(path)]
    if not rows:
        raise SequenceError(f"{path}: no boxes")
    return np.array(rows, np.float64)


def _read_box(path: Path, number: int, line: str) -> list[float]:
    try:
        box = [float(part) for part in re.split(r"[,\s]+", line)]
    except ValueError:
        raise SequenceError(f"{path}:{number}: not numbers: {line[:80]!r}") from None
    if len(box) != 4:
        raise SequenceError(f"{path}:{number}: a box is four numbers x, y, w, h; got {len(box)}")
    if all(map(math.isnan, box)):
        return box
    if not all(map(math.isfinite, box)):
        raise SequenceError(f"{path}:{number}: four finite numbers or four nan, not {line[:80]!r}")
    return box if box[2] > 0 and box[3] > 0 else [math.nan] * 4


def _read_absence(path: Path, count: int) -> NDArray[np.bool_]:
    if not path.is_file():
        return np.zeros(count, np.bool_)
    flags: list[bool] = []
    for number, line in _lines(path):
        if line not in ("0", "1"):
            raise SequenceError(f"{path}:{number}: 0 or 1 expected, not {line[:80]!r}")
        flags.append(line == "1")
    if len(flags) != count:
        raise SequenceError(f"{path}: {len(flags)} labels for {count} boxes")
    return np.array(flags, np.bool_)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Stripped lines and their numbers from 1, without the blank ones at the end."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SequenceError(f"{path}: cannot be read: {error}") from error
    for number, line in enumerate(text.rstrip().splitlines(), 1):
        yield number, line.strip()
