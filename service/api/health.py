"""Routes for liveness, readiness, metrics and the model's description."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from service.api.dependencies import ComponentsDep, OwnerDep
from service.api.schemas import HealthOut, ModelOut
from service.operations.metrics import CONTENT_TYPE

router = APIRouter(tags=["service"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def read_liveness() -> HealthOut:
    """Liveness: the process answers."""
    return HealthOut(status="ok")


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"model": HealthOut}})
async def read_readiness(components: ComponentsDep, response: Response) -> HealthOut:
    """Readiness: warmed up, not draining, the model's worker alive, the session store reachable."""
    failure = "draining" if components.drain.begun else components.batcher.failure or components.leases.store.failure
    if failure is not None:
        response.status_code = 503
        return HealthOut(status=failure)
    return HealthOut(status="ready")


@router.head("/metrics", include_in_schema=False)
@router.get("/metrics", response_class=PlainTextResponse)
async def read_metrics(_: ComponentsDep, request: Request) -> Response:
    """The metrics as Prometheus text; of several worker processes all, with the label `worker`."""
    return Response(await request.app.state.read_metrics(), media_type=CONTENT_TYPE)


@router.get("/v1/model", tags=["model"])
async def read_model(components: ComponentsDep, _: OwnerDep) -> ModelOut:
    """The network, its sizes and scales, its weights' SHA-256, and its device, precision and runtime."""
    return components.model
