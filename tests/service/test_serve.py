"""The uvicorn server around the application: it drains before it closes, and ends with the right status."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service import __main__ as command
from service import serve
from service.serve import DrainingServer
from service.settings import Settings
from tests.service.conftest import RunService
from tests.support.waiting import eventually

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def _logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("logging.config.dictConfig", lambda config: None)


@pytest.mark.anyio
@pytest.mark.parametrize("told", SIGNALS)
async def test_told_to_stop_it_stops_listening_drains_and_returns(
    run_service: RunService, told: signal.Signals
) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    async with run_service() as service:
        # The fixture runs the application's lifespan; here it is only served.
        config = uvicorn.Config(service.app, port=0, lifespan="off", log_config=None, timeout_graceful_shutdown=1)
        server = DrainingServer(config)
        serving = asyncio.create_task(server.serve())
        await eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        waker = asyncio.Event()
        service.components.drain.enter(waker)
        os.kill(os.getpid(), told)
        await asyncio.wait_for(waker.wait(), 20)
        assert not serving.done(), "it did not wait for the stream"
        async with httpx.AsyncClient(trust_env=False) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get(f"http://127.0.0.1:{port}/healthz")
        service.components.drain.leave(waker)
        async with asyncio.timeout(20):
            await serving
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_handlers_are_put_back_even_after_a_failure() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def fail() -> None:
        with serve._handled((signal.SIGTERM,), lambda number, frame: None):
            seen.append(signal.getsignal(signal.SIGTERM))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen != [before]
    assert signal.getsignal(signal.SIGTERM) is before


def test_weights_that_cannot_be_used_end_it_with_2(tmp_path: Path) -> None:
    assert serve.run(Settings(weights=tmp_path / "missing.safetensors", port=0)) == 2


def test_an_unusable_runtime_ends_it_with_2_and_one_line(
    random_weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("model.inference.choice.find_spec", lambda name: None)
    settings: Any = {"device": "cpu", "runtime": "openvino"}
    assert serve.run(Settings(weights=random_weights, port=0, **settings)) == 2
    error = capsys.readouterr().err
    assert error == "siamfc: runtime openvino needs the extra openvino: pip install 'siamfc-service[openvino]'\n"


def test_a_port_that_is_taken_ends_it_with_1(random_weights: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings: Any = {"device": "cpu", "runtime": "torch", "precision": "fp32", "threads": 1, "max_sessions": 1}
        port = taken.getsockname()[1]
        assert serve.run(Settings(weights=random_weights, port=port, **settings)) == 1


def test_it_runs_on_uvloop_and_httptools_and_leaves_frames_uncompressed(
    random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[uvicorn.Config] = []
    monkeypatch.setattr(DrainingServer, "run", lambda server, sockets: made.append(server.config))
    settings: Any = {"device": "cpu", "precision": "fp32"}
    serve.run(Settings(weights=random_weights, port=0, **settings))
    (config,) = made
    config.load()
    assert config.get_loop_factory() is uvloop.new_event_loop
    assert issubclass(getattr(config.http_protocol_class, "func", object), HttpToolsProtocol)
    assert not config.ws_per_message_deflate


def test_python_m_service_says_which_setting_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIAMFC_MAX_SESION", "3")
    assert command.main() == 2
    assert "SIAMFC_MAX_SESION" in capsys.readouterr().err


def test_python_m_service_serves_with_the_environments_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Settings] = []

    def run(settings: Settings) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setenv("SIAMFC_PORT", "9000")
    monkeypatch.setattr(command, "run", run)
    assert command.main() == 0
    assert seen[0].port == 9000
