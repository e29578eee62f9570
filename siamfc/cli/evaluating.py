"""The work of `siamfc eval`: every tracker over every sequence, whatever becomes of one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from model.errors import ModelError, SequenceError
from siamfc.cli.failures import InputError, refused_frame
from siamfc.cli.progress import progress

if TYPE_CHECKING:
    from model.boxes import Box
    from model.data.sequences import Sequence as Frames
    from model.evaluation.one_pass import Follower, Found, Report, Run
    from siamfc import Client, Session

_NAMED = 5
"""Sequences that a message names; of more it says how many."""


class _OnFrame(Protocol):
    def __call__(self, sequence: str, done: int, total: int, /) -> None: ...


@dataclass(slots=True)
class Outcome:
    """Each tracker's report over the sequences that all trackers have followed to their end.

    failed: why sequences are left out, by name. stopped: what ended the work before its end, such as a server that has
    gone; None where all was done.
    """

    reports: dict[str, Report] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    stopped: Exception | None = None


def evaluate_all(sequences: Sequence[Frames], makers: Mapping[str, Callable[[], Follower]]) -> Outcome:
    """Follow all sequences with each tracker; `makers` makes one of each name for every sequence."""
    from model.evaluation.one_pass import Report

    outcome = Outcome()
    runs = {name: _runs(sequences, make, name, outcome) for name, make in makers.items() if outcome.stopped is None}
    whole = set.intersection(*({run.sequence.name for run in each} for each in runs.values()))
    outcome.reports = {
        name: Report(tuple(run for run in each if run.sequence.name in whole)) for name, each in runs.items()
    }
    return outcome


def _runs(sequences: Sequence[Frames], make: Callable[[], Follower], name: str, outcome: Outcome) -> list[Run]:
    """One tracker's runs, of the sequences that no tracker has failed on before."""
    from model.evaluation.one_pass import follow

    runs: list[Run] = []
    total = sum(len(sequence.frames) - sequence.first for sequence in sequences)
    with progress(f"evaluating {name}", total) as report:
        before = 0
        for sequence in sequences:
            if sequence.name in outcome.failed:
                continue
            on_frame = _telling(report, f"{name}: {sequence.name}", before - sequence.first)
            try:
                runs.append(follow(sequence, make(), on_frame))
            except (ModelError, InputError) as error:
                outcome.failed[sequence.name] = str(error)
            except Exception as error:  # told, and raised once what has been done is written
                outcome.stopped = error
                return runs
            before += len(sequence.frames) - sequence.first
    return runs


def _telling(report: Callable[[int, str], None], description: str, before: int) -> _OnFrame:
    return lambda _sequence, done, _total: report(before + done, description)


def listed(reasons: Mapping[str, str]) -> str:
    """Reasons by sequence, as one line that names the first of them."""
    shown = list(reasons.values())[:_NAMED]
    more = [f"and {len(reasons) - _NAMED} more"] if len(reasons) > _NAMED else []
    return "; ".join([*shown, *more])


class ServerFollower:
    """A `model.evaluation.one_pass.Follower` through a server; image files are sent as they are."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._session: Session | None = None

    def start(self, frame: Path, box: Box) -> None:
        """Start a session on the image file and box.

        Raises SequenceError, naming a file that the server refuses, and ClientError.
        """
        with refused_frame(str(frame), SequenceError):
            self._session = self._client.start(frame, box.as_list())

    def update(self, frame: Path) -> Found:
        """The target in the next image file. Raises as `start`."""
        from model.boxes import Box
        from model.evaluation.one_pass import Found

        assert self._session is not None, "update before start"
        with refused_frame(str(frame), SequenceError):
            target = self._session.update(frame).target
        return Found(Box(*target.box), target.score)

    def __enter__(self) -> ServerFollower:
        return self

    def __exit__(self, *details: object) -> None:
        if self._session is not None:
            self._session.__exit__(*details)  # type: ignore[arg-type]
