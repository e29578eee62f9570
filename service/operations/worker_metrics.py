"""The metrics of all workers of a server, read at any of them: a scrape reaches one worker, which asks the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from service.post import Post

ReadMetrics: TypeAlias = Callable[[], Awaitable[bytes]]

_ANSWER_S = 2.0
"""Seconds that another worker may take; one that takes longer counts as away."""


@asynccontextmanager
async def exposition(own: Callable[[], bytes], post: Post | None) -> AsyncIterator[ReadMetrics]:
    """Give, for the block, a function that reads the whole server's metrics as Prometheus text.

    own: writes this process's. post: its place among the workers of a server; None: it is the only process.
    """
    if post is None:

        async def read() -> bytes:
            return own()

        yield read
        return
    workers = WorkerMetrics(post, own)
    await workers.start()
    try:
        yield workers.render
    finally:
        await workers.stop()


class WorkerMetrics:
    """One worker's metrics, given to the other workers over a local socket, and theirs, got from them."""

    def __init__(self, post: Post, own: Callable[[], bytes]) -> None:
        """own: writes this worker's metrics as Prometheus text."""
        self._post, self._own = post, own
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Answer the other workers."""
        path = self._post.metrics_socket(self._post.number)
        # A worker that was killed has left its own.
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._answer, path)

    async def stop(self) -> None:
        """Answer nobody any more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def render(self) -> bytes:
        """All workers' metrics as Prometheus text, every sample with its worker's number as label `worker`.

        `siamfc_worker_up` is 0 for a worker that does not answer.
        """
        texts = await asyncio.gather(*map(self._text_of, range(self._post.count)))
        return merged(dict(enumerate(texts)))

    async def _text_of(self, number: int) -> bytes:
        """A worker's text; empty if it does not answer."""
        if number == self._post.number:
            return self._own()
        try:
            async with asyncio.timeout(_ANSWER_S):
                reader, writer = await asyncio.open_unix_connection(self._post.metrics_socket(number))
                try:
                    return await reader.read()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return b""

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self._own())
            await writer.drain()
        except ConnectionError:
            # The scrape was given up.
            pass
        finally:
            writer.close()


def merged(texts: Mapping[int, bytes]) -> bytes:
    """Prometheus text of several workers, by their numbers, as one text with the label `worker`."""
    registry = CollectorRegistry()
    registry.register(_Merged(texts))
    return generate_latest(registry)


class _Merged(Collector):
    def __init__(self, texts: Mapping[int, bytes]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("siamfc_worker_up", "Whether a worker process answers.", labels=["worker"])
        families: dict[str, Metric] = {}
        for number, text in self._texts.items():
            up.add_metric([str(number)], float(bool(text)))
            for family in text_string_to_metric_families(text.decode()):
                whole = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                whole.samples.extend(_labelled(family.samples, number))
        yield up
        yield from families.values()


def _labelled(samples: Iterable[Sample], number: int) -> Iterator[Sample]:
    for sample in samples:
        yield sample._replace(labels={**sample.labels, "worker": str(number)})
