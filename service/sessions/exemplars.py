"""Moves exemplars between frames, the device's slots and the store."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from model.arrays import RgbCrops
from model.boxes import Box
from model.frames import Frame
from model.tracker import Track
from service.engine.batcher import Batcher
from service.engine.jobs import Embed, Load, Respond
from service.engine.slots import Slot
from service.errors import IncompatibleReplica, SessionNotFound
from service.operations.metrics import Metrics
from service.sessions.registry import SessionRegistry
from service.sessions.session import Target
from service.sessions.stores.store import Exemplar, SessionStore
from service.sessions.tracker_model import TrackerModel

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Placed:
    """New targets, their exemplars in slots. `kept`: the same exemplars by name, for a shared store to keep."""

    targets: tuple[Target, ...] = ()
    kept: tuple[tuple[str, Exemplar], ...] = ()


class Exemplars:
    """Makes exemplars from boxes on a frame, and loads exemplars of the store into slots."""

    def __init__(
        self,
        model: TrackerModel,
        batcher: Batcher,
        registry: SessionRegistry,
        store: SessionStore,
        metrics: Metrics,
        pool: Executor,
    ) -> None:
        self._model, self._batcher, self._registry = model, batcher, registry
        self._store, self._metrics, self._pool = store, metrics, pool

    async def place(self, frame: Frame, ids: Sequence[str], boxes: Sequence[Box], session_id: str = "") -> Placed:
        """Make new targets from boxes on a frame, each exemplar embedded in a slot of its own.

        `frame`: may be a part of one; `session_id`: the session, empty for one that is being created. Raises
        AtCapacity, ModelUnavailable; then no slots are taken.
        """
        if not ids:
            return Placed()
        slots = self._registry.allocate(len(ids))
        try:
            started: list[tuple[Track, RgbCrops]] = await self._run(self._start_all, frame, boxes)
            crops = np.stack([crop for _, crop in started])
            answer = await self._batcher.submit(Embed(slots, crops, self._store.shared, session_id))
            tracks = await self._settled([track for track, _ in started], slots, frame, session_id)
        except BaseException:
            self._registry.release(slots)
            raise
        names = [secrets.token_hex(6) for _ in ids]
        kept: tuple[tuple[str, Exemplar], ...] = ()
        if answer.embeddings is not None:
            weights, geometry = self._model.weights, self._model.geometry
            kept = tuple(
                (name, Exemplar(weights, geometry, embedding, crop))
                for name, embedding, crop in zip(names, answer.embeddings, crops, strict=True)
            )
        return Placed(
            tuple(
                Target(id, track, name, slot) for id, track, name, slot in zip(ids, tracks, names, slots, strict=True)
            ),
            kept,
        )

    async def bring(self, session_id: str, names: Sequence[str]) -> dict[str, Slot]:
        """Load exemplars of the store into slots; returns the slots by name.

        Exemplars of other weights are embedded again from their crops. Raises IncompatibleReplica, SessionNotFound (the
        session ended meanwhile), AtCapacity, ModelUnavailable, StoreUnavailable; then no slots are taken.
        """
        if not names:
            return {}
        found = await self._store.exemplars(session_id, names)
        if set(names) - set(found):
            raise SessionNotFound("there is no such session")
        for exemplar in found.values():
            if exemplar.geometry != self._model.geometry:
                theirs, ours = exemplar.geometry, self._model.geometry
                raise IncompatibleReplica(
                    f"the session's exemplars are {theirs.exemplar_size} px with context {theirs.context:g};"
                    f" this replica's model needs {ours.exemplar_size} px with context {ours.context:g}",
                    retry_after_s=1,
                )
        slots = dict(zip(names, self._registry.allocate(len(names)), strict=True))
        try:
            await self._fill(session_id, slots, found)
        except BaseException:
            self._registry.release(tuple(slots.values()))
            raise
        return slots

    async def _fill(self, session_id: str, slots: dict[str, Slot], found: dict[str, Exemplar]) -> None:
        ours = [name for name in slots if found[name].weights == self._model.weights]
        others = [name for name in slots if found[name].weights != self._model.weights]
        if ours:
            embeddings = np.stack([found[name].embedding for name in ours])
            await self._batcher.submit(Load(tuple(slots[name] for name in ours), embeddings, session_id))
        if others:
            crops = np.stack([found[name].crop for name in others])
            await self._batcher.submit(Embed(tuple(slots[name] for name in others), crops, session=session_id))
            self._metrics.reembedded(len(others))

    async def _settled(
        self, tracks: Sequence[Track], slots: tuple[Slot, ...], frame: Frame, session_id: str
    ) -> Sequence[Track]:
        """The new tracks, settled by the network's answer to their own first frame, if it has a box head."""
        tracker = self._model.tracker
        if tracker.network.head is None:
            return tracks
        searches = await self._run(self._model.searches, frame, tracks)
        answer = await self._batcher.submit(Respond(slots, searches, session_id))
        return [tracker.settle(*each) for each in zip(tracks, searches, answer.finite_responses(), strict=True)]

    def _start_all(self, frame: Frame, boxes: Sequence[Box]) -> list[tuple[Track, RgbCrops]]:
        return [self._model.tracker.start(frame, box) for box in boxes]

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)
