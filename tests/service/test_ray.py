"""The builder of the Ray Serve application: its arguments, and what it refuses before anything is deployed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from model.errors import ModelError
from service.settings import Settings, SettingsError
from tests.service.conftest import Running
from tests.support import blobs
from tests.support.waiting import eventually

pytest.importorskip("ray.serve", reason="Ray is not installed (the extra `ray`)", exc_type=ImportError)

from ray.serve.schema import ServeDeploySchema

from service.ray import Scaling, Tracker, app

if TYPE_CHECKING:
    from ray.serve import Deployment

ROOT = Path(__file__).parents[2]
STORE = "redis://127.0.0.1:6379"


def deployment(**arguments: Any) -> Deployment:
    return app(arguments)._bound_deployment


def told(**arguments: Any) -> dict[str, Any]:
    values: dict[str, Any] = deployment(**arguments).init_args[0]
    return values


def test_settings_travel_by_value_as_argument_or_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIAMFC_WINDOW", "7")
    monkeypatch.setenv("SIAMFC_PORT", "9000")
    monkeypatch.setenv("SIAMFC_DRAIN_S", "3")
    values = told(drain_s="2.5", max_sessions=9)
    assert values == {"window": 7, "drain_s": 2.5, "max_sessions": 9}
    assert Settings(**values).drain_s == 2.5


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIAMFC_API_KEYS", "a-key")
    values = told()
    assert Settings(**values).keys() == ("a-key",)
    assert "a-key" not in repr(values)


def test_the_arguments_set_the_scale() -> None:
    made = deployment(store=STORE, min_replicas="2", max_replicas="2", max_streams="40", num_gpus="0.5", num_cpus="3")
    assert made.name == "Tracker"
    assert made.num_replicas == 2
    assert made.max_ongoing_requests == made.max_queued_requests == 40
    assert made.ray_actor_options["num_gpus"] == 0.5
    assert made.ray_actor_options["num_cpus"] == 3


def test_replicas_follow_the_streams_within_the_limits() -> None:
    made = deployment(store=STORE, min_replicas=1, max_replicas=6, target_streams=12)
    scale = made._deployment_config.autoscaling_config
    assert (scale.min_replicas, scale.max_replicas, scale.target_ongoing_requests) == (1, 6, 12)


def test_a_replica_gets_longer_than_its_drain() -> None:
    assert deployment(drain_s=30)._deployment_config.graceful_shutdown_timeout_s > 30


def test_every_replica_may_be_alone_in_memory() -> None:
    assert told() == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"max_replica": 2}, "no such argument: max_replica", id="misspelt scale"),
        pytest.param({"stor": STORE}, "no such argument: stor", id="misspelt setting"),
        pytest.param({"SIAMFC_STORE": STORE}, "no such argument: SIAMFC_STORE", id="variable for argument"),
        pytest.param({"port": 9000}, "Ray Serve's", id="the door is Serve's"),
        pytest.param({"min_replicas": 0}, "min_replicas: ", id="no replica"),
        pytest.param({"max_streams": "many"}, "max_streams: ", id="not a number"),
        pytest.param({"num_gpus": -1}, "num_gpus: ", id="negative"),
        pytest.param(
            {"store": STORE, "min_replicas": 3, "max_replicas": 2}, "max_replicas must", id="most under least"
        ),
        pytest.param({"target_streams": 200}, "max_streams must", id="a target never reached"),
        pytest.param({"max_replicas": 2}, "store=redis://", id="a store that is not shared"),
        pytest.param({"window": 0}, "SIAMFC_WINDOW: ", id="a setting out of bounds"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        app(arguments)


def test_a_misspelt_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIAMFC_STOER", STORE)
    with pytest.raises(SettingsError, match="SIAMFC_STOER"):
        app({})


def test_no_argument_has_two_meanings() -> None:
    assert not Scaling.model_fields.keys() & Settings.model_fields.keys()


def test_the_example_is_a_config_file_of_serves() -> None:
    config = ServeDeploySchema.model_validate(yaml.safe_load((ROOT / "examples" / "ray_serve.yaml").read_text("utf-8")))
    (application,) = config.applications
    assert application.import_path == "service.ray:app"
    assert app(application.args)._bound_deployment.ray_actor_options["num_gpus"] == 1


def test_the_page_names_every_argument() -> None:
    page = (ROOT / "docs" / "ray.md").read_text(encoding="utf-8")
    for name, field in Scaling.model_fields.items():
        assert f"| `{name}` | {field.default:g} | {field.description} |" in page


@pytest.fixture
def replica(service: Running, random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Tracker:
    """A replica around an application that the fixture runs, as Serve would."""
    monkeypatch.setattr("logging.config.dictConfig", lambda config: None)
    made = Tracker({"weights": random_weights})
    made._application = service.app
    return made


def test_weights_that_cannot_be_used_are_the_reason_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logging.config.dictConfig", lambda config: None)
    with pytest.raises(ModelError, match="missing"):
        Tracker({"weights": tmp_path / "missing.safetensors"})


@pytest.mark.anyio
async def test_a_replica_that_works_is_healthy(replica: Tracker) -> None:
    await replica.check_health()


@pytest.mark.anyio
async def test_a_replica_that_has_not_started_is_unhealthy(replica: Tracker) -> None:
    replica._application = None
    with pytest.raises(RuntimeError, match="not started"):
        await replica.check_health()


@pytest.mark.anyio
async def test_a_replica_whose_model_has_failed_is_unhealthy(replica: Tracker, service: Running) -> None:
    session = await service.create()
    service.predictor.fail("respond", RuntimeError("device lost"))
    with service.predictor.held("probe"):
        await service.post_frame(session["session_id"], blobs.frame(61, 50))
        with pytest.raises(RuntimeError, match="RuntimeError"):
            await replica.check_health()
    await eventually(lambda: service.components.batcher.failure is None)
    await replica.check_health()


@pytest.mark.anyio
async def test_a_retiring_replica_drains_once(replica: Tracker, service: Running) -> None:
    stream = asyncio.Event()
    service.components.drain.enter(stream)
    replica._retire()
    async with asyncio.timeout(20):
        await stream.wait()
    first = replica._retiring
    assert first is not None
    replica._retire()
    assert replica._retiring is first
    assert not first.done(), "it did not wait for the stream"
    with pytest.raises(RuntimeError, match="draining"):
        await replica.check_health()
    service.components.drain.leave(stream)
    async with asyncio.timeout(20):
        await first


@pytest.mark.anyio
async def test_retiring_before_the_start_does_nothing(replica: Tracker) -> None:
    replica._application = None
    replica._retire()
    assert replica._retiring is None
