"""Nobody reads the server's log: it serves and ends all the same."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks._server import environment, free_port, wait_ready
from tests.integration.calls import http_client, metric, session_on
from tests.integration.hostile import HEALTHY_S, watched
from tests.support.server import Server

PIPE_BYTES = 4096
GARBAGE = 100
EXIT_DEADLINE_S = 10.0


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a pipe can be set on Linux alone")
def test_a_log_that_nobody_reads(tmp_path: Path, weights_file: Path) -> None:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.write(writer, b"x" * PIPE_BYTES)
    port = free_port()
    settings = {"HOST": "127.0.0.1", "PORT": str(port), "WEIGHTS": str(weights_file)}
    process = subprocess.Popen([sys.executable, "-m", "service"], env=environment(settings), stderr=writer)
    server = Server(f"http://127.0.0.1:{port}", process, tmp_path / "none")
    server.log.touch()
    try:
        wait_ready(server)
        with watched(server) as watch:
            for _ in range(GARBAGE):
                with socket.create_connection(("127.0.0.1", port)) as garbage:
                    garbage.sendall(b"garbage\r\n\r\n")
                    assert garbage.recv(100).startswith(b"HTTP/1.1 400")
        assert watch.worst_s < HEALTHY_S
        with http_client(server) as client, session_on(client):
            assert metric(client, "siamfc_log_lines_summarised") == GARBAGE - 20
        server.terminate()
        assert server.wait(EXIT_DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)
        os.close(writer)
