"""Sessions over HTTP."""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response

from service.api import bodies
from service.api.schemas import (
    CreateIn,
    PlaceIn,
    ProblemOut,
    ResultOut,
    SessionOut,
    TargetOut,
    TimingOut,
    session_body,
    target_state,
)
from service.dependencies import FrameCharge, OwnerDep, PartsDep
from service.wire.codec import target_fields

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


def _two_forms(schema: type[CreateIn | PlaceIn], parts: dict[str, Any], required: list[str]) -> dict[str, Any]:
    form = {
        "type": "object",
        "properties": {"frame": {"type": "string", "format": "binary"}} | parts,
        "required": required,
    }
    content = {
        "multipart/form-data": {"schema": form},
        "application/json": {"schema": schema.model_json_schema(ref_template="#/components/schemas/{model}")},
    }
    # The nested definitions move into the document's components; see `service.app`.
    return {"requestBody": {"required": True, "content": content}}


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemOut, "description": text}
    for status, text in {
        401: "key missing or unknown",
        404: "no such session",
        409: "busy, or the frame's size changed",
        413: "too many bytes",
        415: "unsupported media type",
        422: "unusable image, box or field",
        429: "over the rate",
        503: "full, draining, or the model failed",
    }.items()
}
_TEXT = {"type": "string"}


@router.post(
    "",
    status_code=201,
    responses=_PROBLEMS,
    dependencies=[FrameCharge],
    openapi_extra=_two_forms(CreateIn, {"targets": _TEXT, "box": _TEXT, "ttl_s": {"type": "number"}}, ["frame"]),
)
async def create_session(request: Request, response: Response, parts: PartsDep, owner: OwnerDep) -> SessionOut:
    """Start a session from a first frame and one or more boxes."""
    asked = await bodies.read_create(request, parts.settings.max_frame_bytes)
    session = await parts.tracking.start(asked.frame, asked.placements, owner, asked.ttl_s)
    response.headers["Location"] = f"/v1/sessions/{session.id}"
    return session_body(session)


@router.get("/{session_id}", responses=_PROBLEMS)
async def read_session(session_id: str, parts: PartsDep, owner: OwnerDep) -> SessionOut:
    """The session's state after its last answered frame."""
    return session_body(parts.tracking.registry.get(session_id, owner))


@router.delete("/{session_id}", status_code=204, responses=_PROBLEMS)
async def delete_session(session_id: str, parts: PartsDep, owner: OwnerDep) -> None:
    """End the session, free its memory, close its socket with 4410."""
    registry = parts.tracking.registry
    registry.end(registry.get(session_id, owner), "deleted")


@router.post(
    "/{session_id}/frames",
    responses=_PROBLEMS,
    dependencies=[FrameCharge],
    openapi_extra={
        "requestBody": {"required": True, "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
async def track_frame(session_id: str, request: Request, parts: PartsDep, owner: OwnerDep) -> ResultOut:
    """One more frame: its bytes are the body."""
    began = time.perf_counter()
    tracking = parts.tracking
    session = tracking.registry.get(session_id, owner)
    with session.driven():
        data = await bodies.read_frame(request, parts.settings.max_frame_bytes)
        frame = await tracking.decode(data)
        advance = await tracking.advance(session, frame)
    total = time.perf_counter() - began
    parts.metrics.frame("result")
    parts.metrics.stages({"decode": frame.decode_s, "queue": advance.queue_s, "infer": advance.infer_s, "total": total})
    return ResultOut(
        frame_index=advance.progress.frame_index,
        targets=[TargetOut(**target_fields(target_state(target))) for target in advance.progress.targets],
        timing_ms=TimingOut(
            decode=round(frame.decode_s * 1e3, 3),
            queue=round(advance.queue_s * 1e3, 3),
            infer=round(advance.infer_s * 1e3, 3),
            total=round(total * 1e3, 3),
        ),
    )


@router.put(
    "/{session_id}/targets/{target_id}",
    responses=_PROBLEMS,
    dependencies=[FrameCharge],
    openapi_extra=_two_forms(PlaceIn, {"box": _TEXT}, ["frame", "box"]),
)
async def put_target(session_id: str, target_id: str, request: Request, parts: PartsDep, owner: OwnerDep) -> SessionOut:
    """Add a target, or correct its box, on a frame sent with it; the frame's count stays as it is."""
    tracking = parts.tracking
    session = tracking.registry.get(session_id, owner)
    with session.driven():
        data, placement = await bodies.read_placement(request, target_id, parts.settings.max_frame_bytes)
        await tracking.correct(session, await tracking.decode(data), placement)
    return session_body(session)


@router.delete("/{session_id}/targets/{target_id}", status_code=204, responses=_PROBLEMS)
async def delete_target(session_id: str, target_id: str, parts: PartsDep, owner: OwnerDep) -> None:
    """Stop following one target."""
    tracking = parts.tracking
    session = tracking.registry.get(session_id, owner)
    with session.driven():
        tracking.remove(session, target_id)
