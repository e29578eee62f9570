"""All metrics: names, labels and buckets. A session's id is never a label."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class ReceivedImage:
    """A tracked frame as it was sent.

    `pixels`: the image's; `frame_pixels`: the whole frame's; `encoded_bytes`: the image's size; `decode_s`: seconds of
    decoding it; `missed`: whether it is a part that did not show all that was wanted.
    """

    pixels: int
    frame_pixels: int
    encoded_bytes: int
    decode_s: float
    missed: bool = False


class Metrics:
    """One server's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        registry = self._registry
        frames = Counter("siamfc_frames", "Frames by outcome.", ["outcome"], registry=registry)
        stages = Histogram(
            "siamfc_frame_stage_seconds", "Time of a frame by stage.", ["stage"], buckets=_SECONDS, registry=registry
        )
        # Found once here: a look-up by label costs more than the counting, and comes several times for every frame.
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
            "siamfc_reembeds", "Exemplars of other weights that were embedded again.", registry=registry
        )
        pixels = Counter(
            "siamfc_frame_pixels",
            "Pixels of tracked frames that were sent, and that parts saved.",
            ["kind"],
            registry=registry,
        )
        encoded = Counter(
            "siamfc_frame_bytes",
            "Bytes of tracked frames that were sent, and that parts saved by the bytes of their own pixels.",
            ["kind"],
            registry=registry,
        )
        self._pixels = {kind: pixels.labels(kind) for kind in ("sent", "saved")}
        self._bytes = {kind: encoded.labels(kind) for kind in ("sent", "saved")}
        self._decode_saved = Counter(
            "siamfc_decode_saved_seconds",
            "Time of decoding that parts saved, by the time of their own pixels.",
            registry=registry,
        )
        self._parts = Counter("siamfc_parts", "Frames sent in part.", registry=registry)
        self._missed = Counter("siamfc_parts_missed", "Parts that did not show all that was wanted.", registry=registry)
        self._streams = Gauge("siamfc_streams", "Open sockets.", registry=registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a gauge that calls `value` whenever the metrics are read."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def batch(self, targets: int, seconds: float) -> None:
        """Count one pass of the network with that many targets."""
        self._batches.observe(targets)
        self._device.observe(seconds)

    def frame(self, outcome: Outcome) -> None:
        """Count one answered frame."""
        self._outcomes[outcome].inc()

    def stages(self, seconds: dict[Stage, float]) -> None:
        """Record stage times of one tracked frame."""
        for stage, value in seconds.items():
            self._by_stage[stage].observe(value)

    def received(self, image: ReceivedImage) -> None:
        """Record what one tracked frame was sent as."""
        saved = image.frame_pixels - image.pixels
        self._pixels["sent"].inc(image.pixels)
        self._bytes["sent"].inc(image.encoded_bytes)
        if not saved:
            return
        times = saved / image.pixels
        self._pixels["saved"].inc(saved)
        self._bytes["saved"].inc(image.encoded_bytes * times)
        self._decode_saved.inc(image.decode_s * times)
        self._parts.inc()
        if image.missed:
            self._missed.inc()

    @contextmanager
    def timed(self, stage: Stage) -> Iterator[None]:
        """Record the block's time as that stage of a frame, unless it raises."""
        begun = time.perf_counter()
        yield
        self._by_stage[stage].observe(time.perf_counter() - begun)

    def created(self) -> None:
        """Count one started session."""
        self._created.inc()

    def ended(self, reason: EndReason) -> None:
        """Count one ended session."""
        self._ended.labels(reason).inc()

    def store(self, call: StoreCall, seconds: float) -> None:
        """Record the time of one call to the shared store."""
        self._store.labels(call).observe(seconds)

    def taken_over(self) -> None:
        """Count a client that resumed its session before its old lease had lapsed."""
        self._takeovers.inc()

    def reembedded(self, count: int) -> None:
        """Count exemplars of other weights that were embedded again."""
        self._reembeds.inc(count)

    def refused(self, slug: str) -> None:
        """Count one refused request by its problem's slug."""
        self._refused.labels(slug).inc()

    def stream(self, change: Literal[1, -1]) -> None:
        """Count a socket that opened (1) or closed (-1)."""
        self._streams.inc(change)

    def render(self) -> bytes:
        """Write all metrics as Prometheus text."""
        return generate_latest(self._registry)
