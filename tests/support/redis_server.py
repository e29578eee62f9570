"""A Redis for a test, which is skipped where there is none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import _redis
from benchmarks._redis import RedisServer

__all__ = ["RedisServer", "running_redis"]


@contextmanager
def running_redis(folder: Path, *, durable: bool = False) -> Iterator[RedisServer]:
    """A Redis for the block. Skips the test where there is no redis-server."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    with _redis.running_redis(folder, durable=durable) as server:
        yield server
