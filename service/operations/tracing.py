"""Traces by OTLP over HTTP: one span for each request and each socket, none for a socket's messages."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.http import ExcludeList
from starlette.types import ASGIApp, Receive, Scope, Send

_FLUSH_MS = 2000


class Tracing:
    """One application's exporter of traces. Close it when the application ends."""

    def __init__(self, endpoint: str) -> None:
        """`endpoint`: the collector's base address, such as http://localhost:4318; traces go to its /v1/traces."""
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "siamfc-service"}), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=5)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))

    @property
    def provider(self) -> TracerProvider:
        """The provider that makes spans."""
        return self._provider

    def close(self) -> None:
        """Send the remaining spans. Blocks for up to two seconds."""
        self._provider.force_flush(_FLUSH_MS)
        self._provider.shutdown()


class TracingMiddleware:
    """Makes spans around requests and sockets, except health probes and metrics."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = OpenTelemetryMiddleware(
            app,
            excluded_urls=ExcludeList(["/healthz$", "/readyz$", "/metrics$"]),
            tracer_provider=tracing.provider,
            meter_provider=NoOpMeterProvider(),
            # These would be a span for every frame.
            exclude_spans=["send", "receive"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)
