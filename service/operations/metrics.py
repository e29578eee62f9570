"""Every metric's name, labels and buckets. No session id is ever a label."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
Outcome = Literal["result", "dropped", "error"]
Stage = Literal["decode", "crop", "queue", "infer", "conclude", "store", "send", "total"]
EndReason = Literal["deleted", "expired"]
StoreCall = Literal["create", "read", "acquire", "commit", "renew", "release", "delete", "exemplars"]

_STORE_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.033, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The server's metrics, on a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        frames = Counter("siamfc_frames", "Frames by what became of them.", ["outcome"], registry=registry)
        stages = Histogram(
            "siamfc_frame_stage_seconds", "Time of a frame by stage.", ["stage"], buckets=_SECONDS, registry=registry
        )
        # Looked up by label for every stage of every frame, they would cost more than the counting.
        self._outcomes = {outcome: frames.labels(outcome) for outcome in get_args(Outcome)}
        self._by_stage = {stage: stages.labels(stage) for stage in get_args(Stage)}
        self._batches = Histogram(
            "siamfc_batch_size", "Targets in one pass.", buckets=(1, 2, 4, 8, 16, 32, 64, 128), registry=registry
        )
        self._device = Histogram(
            "siamfc_batch_seconds", "Time of one pass on the device.", buckets=_SECONDS, registry=registry
        )
        self._created = Counter("siamfc_sessions_created", "Sessions started.", registry=registry)
        self._ended = Counter("siamfc_sessions_ended", "Sessions ended, by reason.", ["reason"], registry=registry)
        self._refused = Counter("siamfc_refusals", "Requests refused, by problem.", ["problem"], registry=registry)
        self._store = Histogram(
            "siamfc_store_seconds", "Time of a call to the store.", ["call"], buckets=_STORE_SECONDS, registry=registry
        )
        self._takeovers = Counter("siamfc_lease_takeovers", "Sessions taken from a living lease.", registry=registry)
        self._reembeds = Counter(
            "siamfc_reembeds", "Exemplars embedded again, those of other weights.", registry=registry
        )
        self._streams = Gauge("siamfc_streams", "Open sockets.", registry=registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """A gauge that asks `value` whenever the metrics are read."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def batch(self, targets: int, seconds: float) -> None:
        """One pass of the network."""
        self._batches.observe(targets)
        self._device.observe(seconds)

    def frame(self, outcome: Outcome) -> None:
        """One frame answered."""
        self._outcomes[outcome].inc()

    def stages(self, seconds: dict[Stage, float]) -> None:
        """The stage times of one tracked frame."""
        for stage, value in seconds.items():
            self._by_stage[stage].observe(value)

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """The block is that stage of a frame; one that raises is not counted."""
        begun = time.perf_counter()
        yield
        self._by_stage[stage].observe(time.perf_counter() - begun)

    def created(self) -> None:
        """One session started."""
        self._created.inc()

    def ended(self, reason: EndReason) -> None:
        """One session ended."""
        self._ended.labels(reason).inc()

    def store(self, call: StoreCall, seconds: float) -> None:
        """One call to the shared store."""
        self._store.labels(call).observe(seconds)

    def taken_over(self) -> None:
        """A session taken from a lease that had not lapsed, by the client that held it."""
        self._takeovers.inc()

    def reembedded(self, count: int) -> None:
        """Exemplars of other weights embedded again."""
        self._reembeds.inc(count)

    def refused(self, slug: str) -> None:
        """One request refused, by its problem's slug."""
        self._refused.labels(slug).inc()

    def stream(self, change: Literal[1, -1]) -> None:
        """A socket opened (1) or closed (-1)."""
        self._streams.inc(change)

    def render(self) -> bytes:
        """The Prometheus text."""
        return generate_latest(self._registry)
