"""Alive, ready, metrics, and what model runs here."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.api.dependencies import ComponentsDep, OwnerDep
from service.api.schemas import HealthOut, ModelOut
from service.operations.metrics import CONTENT_TYPE

router = APIRouter(tags=["service"])


@router.get("/healthz")
async def alive() -> HealthOut:
    """The process answers."""
    return HealthOut(status="ok")


@router.get("/readyz", responses={503: {"model": HealthOut}})
async def ready(components: ComponentsDep, response: Response) -> HealthOut:
    """Work is taken: warmed up, not draining, the model's worker alive, the store within reach."""
    failure = "draining" if components.drain.begun else components.batcher.failure or components.leases.store.failure
    if failure is not None:
        response.status_code = 503
        return HealthOut(status=failure)
    return HealthOut(status="ready")


@router.get("/metrics", response_class=Response)
async def metrics(components: ComponentsDep) -> Response:
    """Prometheus text."""
    return Response(components.metrics.render(), media_type=CONTENT_TYPE)


@router.get("/v1/model", tags=["model"])
async def model(components: ComponentsDep, _: OwnerDep) -> ModelOut:
    """Network, sizes, scales, the weights' SHA-256, device, precision and runtime."""
    return components.model
