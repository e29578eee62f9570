"""The application as a Ray Serve deployment: `serve run service.ray:app store=redis://HOST`. See docs/ray.md.

The only module that imports Ray. Every replica is a whole server, and the sessions live in the shared store. Ray's
proxy accepts the connections instead of uvicorn, so `host` and `port` are settings of Ray Serve.
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
from service.api.components import Components, running_components
from service.api.socket_limits import SocketLimits
from service.app import create_app
from service.operations.logs import log_config
from service.settings import Settings, SettingsError, load_settings

_log = logging.getLogger(__name__)

_NOT_HERE = frozenset({"host", "port"})
_STOP_SLACK_S = 5.0
"""Seconds after the drain until Ray kills a replica: for Ray's polling, and to stop the components."""
_POLL_S = 0.2
_HEALTH_S, _HEALTH_PATIENCE_S = 2.0, 10.0


class Scaling(BaseModel):
    """How many replicas there are, and how much a replica accepts. To Ray a stream is one long request."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_replicas: int = Field(1, ge=1, le=10_000, description="Fewest replicas.")
    max_replicas: int = Field(1, ge=1, le=10_000, description="Most replicas; equal to the fewest: no autoscaling.")
    target_streams: float = Field(8, gt=0, le=100_000, description="Streams and requests a replica should have.")
    max_streams: int = Field(100, ge=1, le=100_000, description="Streams and requests a replica accepts; more wait.")
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
        """Make Serve's options of the deployment. `drain_s`: seconds a replica has to answer its accepted frames."""
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
            # More are refused with 503; without this they would wait without end.
            "max_queued_requests": self.max_streams,
            "ray_actor_options": {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus},
            "graceful_shutdown_wait_loop_s": _POLL_S,
            "graceful_shutdown_timeout_s": drain_s + _STOP_SLACK_S,
            # As in service/operations/logs.py: paths hold the ids of sessions.
            "logging_config": LoggingConfig(enable_access_log=False),
            "health_check_period_s": _HEALTH_S,
            "health_check_timeout_s": _HEALTH_PATIENCE_S,
        }


class Tracker:
    """One replica: the application, whose lifespan Serve runs, and its weights, loaded once."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        """`told`: settings by field name; the other settings come from the replica's environment.

        Raises SettingsError and ModelError, which Serve shows as the reason why the deployment fails.
        """
        self._settings = load_settings(**told)
        logging.config.dictConfig(log_config(self._settings.log_format))
        self._weights = load_weights(find_weights(self._settings.weights))
        self._application: FastAPI | None = None
        self._retiring: asyncio.Task[None] | None = None
        self._watch: LongPollClient | None = None

    async def __serve_build_asgi_app__(self) -> FastAPI:
        """Make the application for Serve to run."""
        # Ray's proxy listens, on an address that the settings do not know: any host may be asked for.
        reachable = self._settings.model_copy(update={"host": "0.0.0.0"})
        self._application = create_app(reachable, weights=self._weights)
        self._application.add_middleware(
            SocketLimits,
            message_bytes=self._settings.max_frame_bytes,
            unread_bytes=(self._settings.window + 1) * self._settings.max_frame_bytes,
        )
        self._watch = _watch_retirement(self._retire)
        return self._application

    async def check_health(self) -> None:
        """Raises RuntimeError if another replica should take over: the model has failed, or this replica drains.

        An unreachable store, which `/readyz` reports, is no reason to lose the streams of this replica.
        """
        components = self._components()
        if components is None:
            raise RuntimeError("not started")
        failure = "draining" if components.drain.begun else components.batcher.failure
        if failure is not None:
            raise RuntimeError(failure)

    def _components(self) -> Components | None:
        return running_components(self._application)

    def _retire(self) -> None:
        components = self._components()
        if components is not None and self._retiring is None:
            _log.info("retiring: %g s to answer the accepted frames", components.settings.drain_s)
            self._retiring = asyncio.create_task(self._drain(components))

    async def _drain(self, components: Components) -> None:
        components.tracking.registry.close()
        if not await components.drain.finish(components.settings.drain_s):
            _log.warning("some streams had not finished after %g s", components.settings.drain_s)


def _watch_retirement(retire: Callable[[], None]) -> LongPollClient:
    """Call `retire` in this event loop once Serve no longer routes to this replica.

    Serve tells a replica to stop only after its ongoing requests have ended, and a stream does not end by itself. So
    without this, Serve would cut the streams of a stopping replica when its time is over. Serve's proxies listen to the
    same announcement, which has no public name.
    """
    me = serve.get_replica_context().replica_id
    routed = False

    def changed(targets: DeploymentTargetInfo) -> None:
        nonlocal routed
        listed = any(replica.replica_id == me for replica in targets.running_replicas)
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
    """Make the Serve application from `key=value` arguments: the fields of `Scaling`, and settings in lower case.

    Other settings come from `SIAMFC_*` here, and then from the replica's own environment. Raises SettingsError for an
    unknown key, a value out of bounds, or a store that several replicas cannot share.
    """
    theirs = {name: value for name, value in arguments.items() if name in Scaling.model_fields}
    told = {name: value for name, value in arguments.items() if name not in theirs}
    unknown = sorted(name for name in told if name not in Settings.model_fields)
    if unknown:
        raise SettingsError(f"no such argument: {', '.join(unknown)}")
    if told.keys() & _NOT_HERE:
        raise SettingsError("host and port are settings of Ray Serve: give them in http_options or to `serve start`")
    try:
        scaling = Scaling(**theirs)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise SettingsError(where + first["msg"].removeprefix("Value error, ")) from None
    settings = load_settings(**told)
    if scaling.max_replicas > 1 and settings.store == "memory://":
        raise SettingsError("several replicas need a shared store: store=redis://HOST")
    # Values and not the environment, because a replica may run on another machine.
    told = {name: getattr(settings, name) for name in settings.model_fields_set - _NOT_HERE}
    replica = serve.ingress()(Tracker)
    return serve.deployment(replica, name="Tracker", **scaling.options(settings.drain_s)).bind(told)
