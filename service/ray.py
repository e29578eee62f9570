"""The same application as a Ray Serve deployment: `serve run service.ray:app store=redis://HOST`. See docs/ray.md.

The only module that imports Ray. Every replica is the whole server, its sessions live in the shared store, and Ray's
proxy takes the place of uvicorn's door: `host` and `port` are Serve's to say.
"""

from __future__ import annotations

import asyncio
import logging
import logging.config
from collections.abc import Callable, Mapping
from typing import Any

import ray
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from ray import serve
from ray.serve._private.common import DeploymentTargetInfo
from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE
from ray.serve._private.long_poll import LongPollClient, LongPollNamespace
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import LoggingConfig

from model.checkpoints import find_weights, load_weights
from service.api.components import Components
from service.api.socket_limits import SocketLimits
from service.app import create_app
from service.operations.logs import log_config
from service.settings import Settings, SettingsError, load_settings

_log = logging.getLogger(__name__)

_NOT_HERE = frozenset({"host", "port"})
_STOP_SLACK_S = 5.0
"""Seconds beyond the drain until Ray kills a replica: it polls, and the components are taken down."""
_POLL_S = 0.2
_HEALTH_S, _HEALTH_PATIENCE_S = 2.0, 10.0


class Scaling(BaseModel):
    """How many replicas there are and what each may take. A stream is one ongoing request for as long as it lasts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_replicas: int = Field(1, ge=1, le=10_000, description="Replicas when there is little to do.")
    max_replicas: int = Field(1, ge=1, le=10_000, description="Replicas at most; as many as the least: no autoscaling.")
    target_streams: float = Field(8, gt=0, le=100_000, description="Streams and requests a replica should have.")
    max_streams: int = Field(100, ge=1, le=100_000, description="Streams and requests a replica takes; more wait.")
    num_cpus: float = Field(1, ge=0, le=1024, description="CPUs reserved for a replica, and threads of its network.")
    num_gpus: float = Field(0, ge=0, le=64, description="GPUs reserved for a replica; a fraction shares one.")

    @model_validator(mode="after")
    def _in_order(self) -> Scaling:
        if self.max_replicas < self.min_replicas:
            raise ValueError("max_replicas must not be less than min_replicas")
        if self.max_streams < self.target_streams:
            raise ValueError("max_streams must not be less than target_streams, or no replica is ever added")
        return self

    def options(self, drain_s: float) -> dict[str, Any]:
        """Serve's options of the deployment; `drain_s` is the time a replica has to answer what is under way."""
        count: dict[str, Any] = {"num_replicas": self.min_replicas}
        if self.max_replicas > self.min_replicas:
            autoscaling = AutoscalingConfig(
                min_replicas=self.min_replicas,
                max_replicas=self.max_replicas,
                target_ongoing_requests=self.target_streams,
            )
            count = {"autoscaling_config": autoscaling}
        return count | {
            "max_ongoing_requests": self.max_streams,
            # Refused at the door with 503 rather than left to wait without end.
            "max_queued_requests": self.max_streams,
            "ray_actor_options": {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus},
            "graceful_shutdown_wait_loop_s": _POLL_S,
            "graceful_shutdown_timeout_s": drain_s + _STOP_SLACK_S,
            # As in service/operations/logs.py: paths hold sessions' ids.
            "logging_config": LoggingConfig(enable_access_log=False),
            "health_check_period_s": _HEALTH_S,
            "health_check_timeout_s": _HEALTH_PATIENCE_S,
        }


class Tracker:
    """One replica: the application, its weights loaded once, its lifespan run by Serve."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        """`told`: settings by field name; the others come from the replica's environment. Raises SettingsError and
        ModelError, which Serve shows as the reason why the deployment fails.
        """
        self._settings = load_settings(**told)
        logging.config.dictConfig(log_config(self._settings.log_format))
        self._weights = load_weights(find_weights(self._settings.weights))
        self._application: FastAPI | None = None
        self._retiring: asyncio.Task[None] | None = None
        self._watch: LongPollClient | None = None

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """The application, for Serve to run."""
        self._application = create_app(self._settings, weights=self._weights)
        self._application.add_middleware(
            SocketLimits,
            message_bytes=self._settings.max_frame_bytes,
            unread_bytes=(self._settings.window + 1) * self._settings.max_frame_bytes,
        )
        self._watch = _watch_retirement(self._retire)
        return self._application

    async def check_health(self) -> None:
        """Raises RuntimeError where another replica would do better: the model has failed, or this one drains.

        A store out of reach, of which `/readyz` complains too, is no reason to lose what runs.
        """
        components = self._components()
        if components is None:
            raise RuntimeError("not started")
        failure = "draining" if components.drain.begun else components.batcher.failure
        if failure is not None:
            raise RuntimeError(failure)

    def _components(self) -> Components | None:
        components = getattr(self._application.state, "components", None) if self._application is not None else None
        return components if isinstance(components, Components) else None

    def _retire(self) -> None:
        components = self._components()
        if components is not None and self._retiring is None:
            _log.info("retiring: %g s to answer what is under way", components.settings.drain_s)
            self._retiring = asyncio.create_task(self._drain(components))

    async def _drain(self, components: Components) -> None:
        components.tracking.registry.close()
        if not await components.drain.finish(components.settings.drain_s):
            _log.warning("some streams had not finished after %g s", components.settings.drain_s)


def _watch_retirement(retire: Callable[[], None]) -> LongPollClient:
    """Calls `retire` in this event loop once Serve no longer routes to this replica.

    Serve waits for a replica's ongoing requests before it tells the replica anything, and a stream does not end by
    itself: without this, stopping a replica would cut its streams when its time is over. What Serve's own proxies
    listen to says it at once; there is no public name for it.
    """
    me = serve.get_replica_context().replica_id
    routed = False

    def changed(targets: DeploymentTargetInfo) -> None:
        nonlocal routed
        listed = any(each.replica_id == me for each in targets.running_replicas)
        if routed and not listed:
            retire()
        routed = routed or listed

    return LongPollClient(
        ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE),
        {(LongPollNamespace.DEPLOYMENT_TARGETS, me.deployment_id): changed},
        call_in_event_loop=asyncio.get_running_loop(),
        client_id=f"siamfc:{me.unique_id}",
    )


def app(arguments: dict[str, Any]) -> serve.Application:
    """The Serve application, from `key=value` arguments: the fields of `Scaling`, and settings in lower case.

    Settings that are not given come from `SIAMFC_*` here, and then from the replica's own environment. Raises
    SettingsError: a key or value that cannot be, or a store that several replicas cannot share.
    """
    theirs = {name: value for name, value in arguments.items() if name in Scaling.model_fields}
    told = {name: value for name, value in arguments.items() if name not in theirs}
    unknown = sorted(name for name in told if name not in Settings.model_fields)
    if unknown:
        raise SettingsError(f"no such argument: {', '.join(unknown)}")
    if told.keys() & _NOT_HERE:
        raise SettingsError("host and port are Ray Serve's: say them in http_options, or to `serve start`")
    try:
        scaling = Scaling(**theirs)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise SettingsError(where + first["msg"].removeprefix("Value error, ")) from None
    settings = load_settings(**told)
    if scaling.max_replicas > 1 and settings.store == "memory://":
        raise SettingsError("several replicas need a store that they share: store=redis://HOST")
    # The values, not the environment: a replica may run on another machine.
    told = {name: getattr(settings, name) for name in settings.model_fields_set - _NOT_HERE}
    replica = serve.ingress()(Tracker)
    return serve.deployment(replica, name="Tracker", **scaling.options(settings.drain_s)).bind(told)
