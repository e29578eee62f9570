"""The application: makes every component and puts them together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

from model.checkpoints import Weights, find_weights, load_weights
from service.api import health, sessions, stream, web
from service.api.bodies import BodyLimits, BodyReader
from service.api.body_budget import BodyBudget
from service.api.body_limit import BodyLimit
from service.api.components import Components
from service.api.error_handlers import add_error_handlers
from service.api.gate import Gate
from service.api.key_file import KeyFile
from service.api.keys import Keyring
from service.api.openapi import complete
from service.api.origins import HostRules
from service.api.rate_limit import RateLimiter
from service.api.schemas import ModelOut
from service.engine.batcher import Batcher
from service.engine.jobs import SlotPredictor
from service.engine.overload import OverloadGuard
from service.engine.slots import SlotTable
from service.operations.log_queue import installed
from service.operations.metrics import Metrics
from service.operations.tracing import Tracing, TracingMiddleware
from service.operations.worker_metrics import exposition
from service.post import Post
from service.sessions.decode_pool import DecodePool
from service.sessions.exemplars import Exemplars
from service.sessions.lease_manager import LeaseManager
from service.sessions.registry import SessionRegistry
from service.sessions.requests import Limits
from service.sessions.stores.memory import MemoryStore
from service.sessions.stores.store import SessionStore
from service.sessions.tracker_model import TrackerModel
from service.sessions.tracking import Tracking
from service.settings import Settings, load_settings

_log = logging.getLogger(__name__)

_SWEEP_S = 0.5
_BODY_SLACK = 512 * 1024
"""Bytes that a request's body may have beside its frame: form fields, multipart headers, JSON."""

PredictorFactory = Callable[[Weights, Settings, int], tuple[SlotPredictor, dict[str, str]]]
"""(weights, settings, number of slots) -> a predictor, and its device, precision and runtime by name."""


class _Application(FastAPI):
    def openapi(self) -> dict[str, Any]:
        made = self.openapi_schema is not None
        document = super().openapi()
        return document if made else complete(document)


def create_app(
    settings: Settings | None = None,
    make_predictor: PredictorFactory | None = None,
    weights: Weights | None = None,
    post: Post | None = None,
) -> FastAPI:
    """Make the ASGI application. Its lifespan does everything heavy, and raises ModelError.

    `weights`: weights that are loaded already; None loads the file of the settings, or the bundled one. `post`: the
    place among the workers of a server, if there are several. Raises SettingsError.
    """
    settings = settings if settings is not None else load_settings()

    tracing = Tracing(settings.otlp_endpoint) if settings.otlp_endpoint else None
    budget = BodyBudget(max(settings.body_budget_bytes, _most_body(settings)))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            _running(settings, make_predictor or _device_predictor, weights) as components,
            exposition(components.metrics.render, post) as app.state.read_metrics,
        ):
            app.state.components = components
            budget.open()
            components.drain.at_begin(budget.close)
            yield
        if tracing is not None:
            await asyncio.to_thread(tracing.close)

    app = _Application(
        title="SiamFC tracking service",
        version="1",
        summary="Send a first frame and a box, stream frames, get boxes back.",
        lifespan=lifespan,
        docs_url=None,  # service.api.web has its own, which asks no other host.
        redoc_url=None,
        # The operationIds, after which generated clients name their calls.
        generate_unique_id_function=lambda route: route.name,
    )
    routers = (sessions.router, stream.router, health.router, web.router)
    for router in routers:
        app.include_router(router)
    web.mount_files(app)
    add_error_handlers(app, [route for router in routers for route in router.routes])
    _add_middleware(app, settings, budget)
    if tracing is not None:
        app.add_middleware(TracingMiddleware, tracing=tracing)
    return app


def _most_body(settings: Settings) -> int:
    """The bytes that a request's body may have. A frame in JSON is base64: four bytes for three."""
    return settings.max_frame_bytes * 4 // 3 + _BODY_SLACK


def _add_middleware(app: FastAPI, settings: Settings, budget: BodyBudget) -> None:
    """Put the limits on bodies, the rules for other origins and the gate before the routes; the last is outermost."""
    app.add_middleware(
        BodyLimit,
        limit=_most_body(settings),
        budget=budget,
        deadline_s=settings.body_s,
    )
    _allow_origins(app, settings.origins())
    app.add_middleware(
        Gate,
        hosts=HostRules(settings.host, settings.hosts(), keyed=bool(settings.keys())),
        origins=settings.origins(),
        guarded=settings.guarded(),
    )


def _allow_origins(app: FastAPI, origins: Sequence[str]) -> None:
    """Let pages of these origins call."""
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-ID"],
            expose_headers=["Location", "Retry-After", "X-Request-ID"],
        )


@asynccontextmanager
async def _running(
    settings: Settings, make_predictor: PredictorFactory, weights: Weights | None
) -> AsyncIterator[Components]:
    """Start all components, warm up the model, and stop everything in the opposite order."""
    clock = time.monotonic
    metrics = Metrics()
    weights = weights if weights is not None else load_weights(find_weights(settings.weights))
    slots = SlotTable(settings.max_sessions * settings.max_targets)
    predictor, names = make_predictor(weights, settings, slots.capacity)
    batcher = Batcher(
        predictor,
        slots,
        metrics,
        batch_max=settings.batch_max,
        wait_s=settings.batch_wait_ms / 1e3,
        pass_s=settings.batch_max_ms / 1e3,
        pass_limit_s=settings.pass_limit_s,
    )
    guard = OverloadGuard(settings.max_queue_ms / 1e3, clock)
    store = _store(settings, metrics, clock)
    registry = SessionRegistry(slots, metrics, settings.max_sessions, clock, cache=store.shared)
    _watch(metrics, registry, slots, batcher, store, guard)
    per_key = settings.max_sessions_per_key if settings.keys() else 0
    limits = Limits(settings.max_targets, settings.max_frame_pixels, settings.session_ttl_s, per_key)
    # One more for decoding: a caller who has as many frames under way as there are cores leaves one to the others.
    with _pixel_threads() as pool, DecodePool(_pool_size() + 1) as decoders:
        model = TrackerModel(weights.tracker, weights.sha256, predictor.cutter)
        exemplars = Exemplars(model, batcher, registry, store, metrics, pool)
        leases = LeaseManager(store, registry, exemplars, metrics, clock)
        tracking = Tracking(model, batcher, registry, exemplars, leases, metrics, limits, pool, decoders, clock, guard)
        keyring, rate = Keyring(settings.keys()), RateLimiter(settings.rate_limit_fps, clock)
        bodies = BodyReader(BodyLimits(settings.max_frame_bytes, settings.max_targets), decoders)
        facts = _model_facts(weights, names)
        components = Components(settings, tracking, bodies, leases, batcher, metrics, keyring, rate, facts, clock)
        await batcher.start()
        await store.start()
        await leases.start()
        _log.info("ready: %s on %s, %s", facts.network, facts.device, facts.precision)
        sweeper = asyncio.create_task(_sweep(registry, store, KeyFile(settings, keyring), leases))
        try:
            yield components
        finally:
            registry.close()
            await components.drain.finish(settings.drain_s)
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper
            await leases.stop()
            await store.stop()
            await batcher.stop()


def _watch(
    metrics: Metrics,
    registry: SessionRegistry,
    slots: SlotTable,
    batcher: Batcher,
    store: SessionStore,
    guard: OverloadGuard,
) -> None:
    """Add the gauges that are read from other components."""
    metrics.watch("siamfc_sessions_active", "Sessions alive.", lambda: len(registry))
    metrics.watch("siamfc_slots_used", "Exemplar slots given out.", lambda: slots.used)
    metrics.watch("siamfc_ready", "Whether the model can be used.", lambda: float(batcher.failure is None))
    metrics.watch("siamfc_store_up", "Whether the store of sessions can be used.", lambda: float(store.failure is None))
    metrics.watch("siamfc_targets_waiting", "Targets waiting for the device.", lambda: batcher.targets_waiting)
    metrics.watch("siamfc_wait_seconds", "Wait of a frame for each target, smoothed.", lambda: guard.wait_s)
    metrics.watch(
        "siamfc_log_lines_dropped",
        "Log lines that nobody read in time.",
        lambda: sum(each.dropped for each in installed()),
    )
    metrics.watch(
        "siamfc_log_lines_summarised",
        "Log lines that were counted because many were alike.",
        lambda: sum(each.summarised for each in installed()),
    )
    metrics.watch("siamfc_overloaded", "Whether new sessions are refused.", lambda: float(guard.refusing))


@contextlib.contextmanager
def _pixel_threads() -> Iterator[ThreadPoolExecutor]:
    """Threads for crops and peaks. Their end is not waited for: nobody is left who needs what they are at."""
    pool = ThreadPoolExecutor(_pool_size(), "pixels")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _pool_size() -> int:
    return max(2, min(16, os.cpu_count() or 2))


def _store(settings: Settings, metrics: Metrics, clock: Callable[[], float]) -> SessionStore:
    if settings.store == "memory://":
        return MemoryStore(clock)
    # Imported here because redis is an extra.
    from service.sessions.stores.redis import RedisStore
    from service.sessions.stores.redis_tls import TlsFiles

    tls = TlsFiles(settings.store_ca, settings.store_cert, settings.store_key)
    return RedisStore(settings.store, metrics, tls=tls)


async def _sweep(registry: SessionRegistry, store: SessionStore, keys: KeyFile, leases: LeaseManager) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        registry.sweep()
        store.sweep()
        for owner in keys.refresh():
            await leases.revoke(owner)


def _device_predictor(weights: Weights, settings: Settings, slots: int) -> tuple[SlotPredictor, dict[str, str]]:
    # Imported here because it loads torch, which a server with another predictor does not need.
    from model.inference.remembered import RememberedChoices
    from service.engine.predictor import DevicePredictor

    predictor = DevicePredictor(
        weights,
        device=settings.device,
        runtime=settings.runtime,
        precision=settings.precision,
        threads=settings.threads,
        slots=slots,
        batch_max=settings.batch_max,
        remembered=RememberedChoices.of_user() if settings.remember else None,
    )
    network = predictor.network
    return predictor, {"device": str(network.device), "precision": network.precision, "runtime": network.runtime}


def _model_facts(weights: Weights, names: dict[str, str]) -> ModelOut:
    network = weights.network.config
    return ModelOut(
        network=network.name,
        stride=network.stride,
        exemplar_size=network.exemplar_size,
        search_size=network.search_size,
        map_size=network.map_size,
        upscaled_map_size=(network.map_size - 1) * weights.constants.upscale + 1,
        embedding_channels=network.channels,
        scales=list(weights.constants.scale_factors),
        weights_sha256=weights.sha256,
        **names,
    )
