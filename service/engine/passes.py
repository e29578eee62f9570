"""One pass of the device: its jobs are joined into one batch, and the results handed back. No thread, no torch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.inference.pending import Pending
from service.engine.jobs import Embed, Job, Load, Respond, SlotPredictor
from service.engine.slots import Slot


@dataclass(frozen=True, slots=True)
class Pass:
    """Jobs that the device has been given together."""

    jobs: tuple[Job, ...]
    _read: dict[int, Any]
    """Embeddings that were read back, by the job's index."""
    _pending: Pending | None

    @classmethod
    def begin(cls, predictor: SlotPredictor, jobs: Sequence[Job]) -> Pass:
        """Give the jobs to the device. Exemplars go first, so a pass may hold a target's first frame and its next."""
        embeds = [job for job in jobs if isinstance(job, Embed)]
        if embeds:
            predictor.embed(_slots(embeds), joined([job.crops for job in embeds]))
        read: dict[int, Any] = {}
        for index, job in enumerate(jobs):
            if isinstance(job, Load):
                predictor.write(job.slots, job.embeddings)
            elif isinstance(job, Embed) and job.read_back:
                read[index] = predictor.read(job.slots)
        searches = [job for job in jobs if isinstance(job, Respond) and job.slots]
        wanted = joined([job.searches for job in searches]) if searches else ()
        return cls(tuple(jobs), read, predictor.respond(_slots(searches), wanted) if searches else None)

    @property
    def ready(self) -> bool:
        """Whether `results` would not wait."""
        return self._pending is None or self._pending.ready

    def results(self) -> list[Any]:
        """The jobs' results in order: responses, embeddings, or None. Waits for the device."""
        responses = self._pending.result() if self._pending is not None else []
        results: list[Any] = []
        at = 0
        for index, job in enumerate(self.jobs):
            if isinstance(job, Respond) and job.slots:
                results.append(responses[at : at + len(job.slots)])
                at += len(job.slots)
            else:
                results.append(self._read.get(index))
        return results


def joined(parts: Sequence[Any]) -> Any:
    """Concatenate arrays, tuples or lists. A single one is returned as it is, because copies of crops are slow."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else type(parts[0])(itertools.chain(*parts))


def _slots(jobs: Sequence[Job]) -> tuple[Slot, ...]:
    return tuple(slot for job in jobs for slot in job.slots)
