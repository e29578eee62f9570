"""The service under `serve run`, on a Ray cluster of this machine that lives as long as the block."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.support.server import Server, environment, free_port

START_DEADLINE_S = 180.0
POLL_S = 0.1
_ROOT = Path(__file__).parents[2]
_NAME = "siamfc"
_CONFIG = """
proxy_location: HeadOnly
http_options: {{host: 127.0.0.1, port: {port}}}
applications:
- name: {name}
  route_prefix: /
  import_path: service.ray:app
  args: {arguments}
"""
# `serve run` takes the cluster that its process is connected to: here a small one, without a dashboard.
_SERVE = """
import ray
small = dict(num_cpus={cpus}, object_store_memory=80_000_000, include_dashboard=False)
ray.init(**small, namespace="serve", _temp_dir={folder!r})
print("cluster:", ray.get_runtime_context().gcs_address, flush=True)
from ray.serve.scripts import cli
cli()
"""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # It listens on the loopback address only, and a token would be written to the home folder.
    "RAY_AUTH_MODE": "disabled",
    # Each replica's own "ready" line, not one for all.
    "RAY_DEDUP_LOGS": "0",
}


class RayServer(Server):
    """`serve run`, and the processes that it started."""

    def replicas(self) -> list[int]:
        """The replicas' process ids."""
        return [pid for pid in self._descendants() if b"ServeReplica" in _command(pid)]

    def busiest(self, during_s: float = 1.0) -> int:
        """The replica that used the most processor time, from now on for as long as that."""
        before = {pid: _processor_time(pid) for pid in self.replicas()}
        # Time is what is measured here, not waited for.
        time.sleep(during_s)
        return max(before, key=lambda pid: _processor_time(pid) - before[pid])

    def update(self, arguments: Mapping[str, object], settings: Mapping[str, str]) -> None:
        """Replace every replica by one with these arguments, one after the other; returns when that is done."""
        address = re.search(r"^cluster: (\S+)$", self.printed(), re.MULTILINE)
        assert address, self.printed()
        options = ["--non-blocking", "--address", address[1], "--name", _NAME]
        given = [f"{name}={value}" for name, value in arguments.items()]
        done = subprocess.run(
            [sys.executable, "-m", "ray.serve.scripts", "run", *options, "service.ray:app", *given],
            cwd=_ROOT,
            env=_environment(settings),
            capture_output=True,
            text=True,
            timeout=START_DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def interrupt(self) -> None:
        """Ctrl-C: `serve run` then takes Serve down, and everything with it."""
        self.process.send_signal(signal.SIGINT)

    def kill_everything(self) -> None:
        """Leave nothing behind, whatever state it is in."""
        for pid in [*self._descendants(), self.process.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def _descendants(self) -> list[int]:
        # All of Ray's processes stay in the session that was made for them.
        return [pid for pid in _processes() if pid != self.process.pid and _session(pid) == self.process.pid]


@contextmanager
def running_on_ray(
    folder: Path, arguments: Mapping[str, object], settings: Mapping[str, str], temporary: Path
) -> Iterator[RayServer]:
    """The service with these arguments, and `SIAMFC_*` settings (without the prefix); `temporary`: a short path,
    because Ray puts sockets there. Raises AssertionError, with the log, where it is not up in time.
    """
    port, log, config = free_port(), folder / "ray.log", folder / "serve.yaml"
    config.write_text(_CONFIG.format(port=port, name=_NAME, arguments=dict(arguments)), encoding="utf-8")
    replicas = int(str(arguments.get("min_replicas", 1)))
    program = _SERVE.format(cpus=replicas, folder=str(temporary))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "run", str(config)],
            cwd=_ROOT,
            env=_environment(settings),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = RayServer(f"http://127.0.0.1:{port}", process, log)
    try:
        _wait_ready(server, replicas)
        yield server
    finally:
        server.kill_everything()


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    return environment(settings) | _QUIET | {"PYTHONPATH": str(_ROOT)}


def _wait_ready(server: RayServer, replicas: int) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    with httpx.Client(base_url=server.url, trust_env=False, timeout=START_DEADLINE_S) as client:
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if client.get("/readyz").status_code == 200 and server.printed().count("ready: ") >= replicas:
                    return
            with suppress(subprocess.TimeoutExpired):
                status = server.process.wait(POLL_S)
                raise AssertionError(f"serve run ended with status {status} at start\n{server.printed()}")
    raise AssertionError(f"not ready within {START_DEADLINE_S} s\n{server.printed()}")


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; empty where there is no such process any more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _session(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[3]) if fields else 0


def _processor_time(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
