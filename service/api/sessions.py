"""Routes of sessions over HTTP."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.bodies import read_corner
from service.api.dependencies import CallerDep, ComponentsDep, FrameCharge, OwnerDep, WaitedFor
from service.api.openapi import image_body, problems, session_links, two_forms
from service.api.schemas import (
    CreateIn,
    PlaceIn,
    ResultOut,
    SessionOut,
    TargetOut,
    TimingOut,
    session_body,
    target_states,
)
from service.wire.codec import target_fields

router = APIRouter(prefix="/v1/sessions", tags=["sessions"])


_PROBLEMS = problems()
_TEXT = {"type": "string"}

Corner = Annotated[
    str | None,
    Query(
        description="`x,y`: the image shows the part of the frame whose top-left corner lies at this frame pixel.",
        examples=["120,96"],
    ),
]


@router.post(
    "",
    status_code=201,
    responses=_PROBLEMS | {201: {"links": session_links()}},
    dependencies=[FrameCharge, WaitedFor],
    openapi_extra=two_forms(CreateIn, {"targets": _TEXT, "box": _TEXT, "ttl_s": {"type": "number"}}, ["frame"]),
)
async def create_session(
    request: Request, response: Response, components: ComponentsDep, owner: OwnerDep, caller: CallerDep
) -> SessionOut:
    """Start a session from a first frame and one or more boxes."""
    asked = await components.bodies.create(request, caller)
    session = await components.tracking.start(asked.frame, asked.placements, owner, asked.ttl_s, caller=caller)
    response.headers["Location"] = f"/v1/sessions/{session.id}"
    return session_body(session.facts, session.state, components.tracking.model.tracker)


@router.get("/{session_id}", responses=_PROBLEMS)
async def read_session(session_id: str, components: ComponentsDep, owner: OwnerDep) -> SessionOut:
    """The session's state after its last answered frame."""
    snapshot = await components.leases.read(session_id, owner)
    return session_body(snapshot.facts, snapshot.state, components.tracking.model.tracker)


@router.delete("/{session_id}", status_code=204, responses=_PROBLEMS)
async def delete_session(session_id: str, components: ComponentsDep, owner: OwnerDep) -> None:
    """End the session, free its memory and close its socket with 4410."""
    await components.leases.delete(session_id, owner)


@router.post(
    "/{session_id}/frames",
    responses=_PROBLEMS,
    dependencies=[FrameCharge, WaitedFor],
    response_model_exclude_defaults=True,
    openapi_extra=image_body(),
)
async def track_frame(
    session_id: str,
    request: Request,
    components: ComponentsDep,
    owner: OwnerDep,
    caller: CallerDep,
    at: Corner = None,
) -> ResultOut:
    """Track one more frame, or the part of one that lies `at` a corner; the image's bytes are the body."""
    began = time.perf_counter()
    tracking = components.tracking
    # Before the body: a missing session is worth more to know than a fault of the body.
    await components.leases.read(session_id, owner)
    corner = read_corner(at)
    data = await components.bodies.frame(request)
    async with components.leases.hold(session_id, owner) as lease:
        frame = await tracking.decode(data, corner, tracking.shrink(lease.session), caller=caller)
        async with tracking.step(lease, frame) as step:
            await step.commit()
    total = time.perf_counter() - began
    size, tracker = lease.session.facts.frame_size, tracking.model.tracker
    components.metrics.frame("result")
    components.metrics.stages({"decode": frame.decode_s, "queue": step.queue_s, "infer": step.infer_s, "total": total})
    return ResultOut(
        frame_index=step.progress.frame_index,
        targets=[TargetOut(**target_fields(each)) for each in target_states(step.progress.targets, tracker, size)],
        missed=list(step.missed),
        timing_ms=TimingOut(
            decode=round(frame.decode_s * 1e3, 3),
            queue=round(step.queue_s * 1e3, 3),
            infer=round(step.infer_s * 1e3, 3),
            total=round(total * 1e3, 3),
        ),
    )


@router.put(
    "/{session_id}/targets/{target_id}",
    responses=_PROBLEMS,
    dependencies=[FrameCharge, WaitedFor],
    openapi_extra=two_forms(PlaceIn, {"box": _TEXT}, ["frame", "box"]),
)
async def put_target(
    session_id: str,
    target_id: str,
    request: Request,
    components: ComponentsDep,
    owner: OwnerDep,
    caller: CallerDep,
    at: Corner = None,
) -> SessionOut:
    """Add a target, or correct its box, on a frame sent with it, or on the part that lies `at` a corner.

    The frame is not counted, and the box is in pixels of the whole frame.
    """
    tracking = components.tracking
    await components.leases.read(session_id, owner)
    corner = read_corner(at)
    data, placement = await components.bodies.placement(request, target_id, caller)
    async with components.leases.hold(session_id, owner) as lease:
        await tracking.correct(lease, await tracking.decode(data, corner, caller=caller), placement)
        return session_body(lease.session.facts, lease.session.state, tracking.model.tracker)


@router.delete("/{session_id}/targets/{target_id}", status_code=204, responses=_PROBLEMS)
async def delete_target(session_id: str, target_id: str, components: ComponentsDep, owner: OwnerDep) -> None:
    """Stop following one target."""
    async with components.leases.hold(session_id, owner) as lease:
        await components.tracking.remove(lease, target_id)
