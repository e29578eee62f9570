"""A real server in a process of its own, which tests and benchmarks start alike."""

from benchmarks._server import Server, environment, free_port, running_server, start_server

__all__ = ["Server", "environment", "free_port", "running_server", "start_server"]
