"""Clients that others' generators make from `/openapi.json`: every call is there, and works on a real server."""

from __future__ import annotations

import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.integration import scene
from tests.support.server import Server

OPERATIONS = {
    "create_session",
    "read_session",
    "delete_session",
    "track_frame",
    "put_target",
    "delete_target",
    "read_liveness",
    "read_readiness",
    "read_metrics",
    "read_model",
}
NODE = Path(sys.prefix).parent / ".venv-tools" / "node_modules" / ".bin"
"""The generator for TypeScript, by `make tools`."""

Import = Callable[[str], ModuleType]


@pytest.fixture(scope="module")
def document(server: Server) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.url}/openapi.json").json()
    return found


def test_every_call_has_a_name(document: dict[str, Any]) -> None:
    named = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert sorted(named) == sorted(OPERATIONS)


@pytest.fixture
def generated(document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Import:
    """Imports a module of the client that openapi-python-client makes."""
    pytest.importorskip("openapi_python_client", reason="the package openapi-python-client is not installed")
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    call = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    call += ["--path", "openapi.json", "--output-path", "generated_client"]
    # It formats what it wrote by a ruff on the path.
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(call, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "will not be generated" not in done.stdout
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("generated_client")]:
        monkeypatch.delitem(sys.modules, name)
    return lambda name: importlib.import_module(f"generated_client.{name}")


@pytest.mark.slow
def test_every_call_of_the_generated_client_works(generated: Import, server: Server) -> None:
    models, types = generated("models"), generated("types")

    def call(name: str, *arguments: Any, **options: Any) -> Any:
        package = "service" if name.startswith("read_") and name != "read_session" else "sessions"
        return generated(f"api.{package}.{name}").sync_detailed(*arguments, client=client, **options)

    def file(number: int) -> Any:
        return types.File(io.BytesIO(scene.frame(number)), "frame.jpg", "image/jpeg")

    x, y, w, h = scene.truth(0)
    box = f"{x},{y},{w},{h}"
    with generated("client").AuthenticatedClient(base_url=server.url, token="none") as client:
        form = models.CreateSessionFilesBody(frame=file(0), box=box)
        created = call("create_session", body=form)
        assert created.status_code == 201
        key = created.parsed.session_id
        assert call("track_frame", key, body=types.File(io.BytesIO(scene.frame(1)))).parsed.frame_index == 1
        corrected = call("put_target", key, "second", body=models.PutTargetFilesBody(frame=file(1), box=box))
        assert [target.id for target in corrected.parsed.targets] == ["0", "second"]
        assert call("delete_target", key, "second").status_code == 204
        assert call("read_session", key).parsed.frame_index == 1
        assert call("delete_session", key).status_code == 204
        gone = call("read_session", key)
        assert (gone.status_code, gone.parsed.type_) == (404, "about:blank#session-not-found")
        assert call("read_liveness").parsed.status == "ok"
        assert call("read_readiness").parsed.status == "ready"
        assert "siamfc_frames_total" in call("read_metrics").parsed
        assert call("read_model").parsed.stride > 0


@pytest.mark.slow
@pytest.mark.skipif(
    not (NODE / "openapi-typescript").exists(), reason="openapi-typescript is not installed (make tools)"
)
def test_typescript_knows_every_call(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(document))

    def run(*call: str) -> subprocess.CompletedProcess[str]:
        command = [str(NODE / call[0]), *call[1:]]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False)

    made = run("openapi-typescript", "openapi.json", "-o", "api.ts")
    assert made.returncode == 0, made.stderr
    lines = ['import type { operations } from "./api";']
    lines += [f'export type T{number} = operations["{name}"];' for number, name in enumerate(sorted(OPERATIONS))]
    lines += [
        'type Session = operations["create_session"]["responses"][201]["content"]["application/json"];',
        "export const boxes = (session: Session): number[][] => session.targets.map((target) => target.box);",
    ]
    (tmp_path / "use.ts").write_text("\n".join(lines))
    compiled = run("tsc", "--noEmit", "--strict", "use.ts")
    assert compiled.returncode == 0, compiled.stdout
    (tmp_path / "use.ts").write_text("\n".join([*lines, 'export type No = operations["no_such_call"];']))
    assert "no_such_call" in run("tsc", "--noEmit", "--strict", "use.ts").stdout
