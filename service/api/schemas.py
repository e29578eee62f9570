"""Request and response bodies as pydantic models: they validate, and make the OpenAPI page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, model_validator

from model.tracker import Tracker
from service.sessions.stores.store import Facts, State, StoredTarget
from service.wire.codec import MAX_ID, target_fields
from service.wire.messages import TargetState


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Moment = Annotated[datetime, PlainSerializer(_iso, return_type=str)]
BoxField = Annotated[
    list[float],
    Field(min_length=4, max_length=4, description="[x, y, w, h], pixels of the frame", examples=[[198, 214, 34, 81]]),
]


_BOX_SCHEMA: dict[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
"""A box in a request. Its numbers are checked by `service.wire.codec`, whose faults say more than a schema's."""


class TargetOut(BaseModel):
    """One tracked object."""

    id: str
    box: BoxField
    score: Annotated[float, Field(ge=0, le=1, description="Probability that the box overlaps the truth by IoU 0.5.")]
    status: Literal["tracking", "uncertain", "lost"]
    wants: Annotated[
        list[int] | None,
        Field(
            min_length=4,
            max_length=4,
            description=(
                "[x, y, w, h], whole pixels of the frame, x and y even: the part of the next frame that will be read"
                " for the target, with a margin for motion. null: the whole frame."
            ),
            examples=[[120, 96, 192, 180]],
        ),
    ]


class SessionOut(BaseModel):
    """A session after its last answered frame."""

    session_id: str
    frame_index: int
    frame_size: Annotated[list[int], Field(min_length=2, max_length=2, description="[width, height]")]
    targets: list[TargetOut]
    stream_url: str
    created_at: Moment
    expires_at: Moment


class TimingOut(BaseModel):
    """A frame's times in milliseconds."""

    decode: float
    queue: float
    infer: float
    total: float


class ResultOut(BaseModel):
    """The answer to one tracked frame."""

    frame_index: int
    targets: list[TargetOut]
    timing_ms: TimingOut
    missed: Annotated[
        list[str], Field(description="Targets of whose wanted part the frame did not show everything, by id.")
    ] = []


class ModelOut(BaseModel):
    """The network that this server runs."""

    model_config = ConfigDict(protected_namespaces=())

    network: str
    stride: int
    exemplar_size: int
    search_size: int
    map_size: int
    upscaled_map_size: int
    embedding_channels: int
    scales: list[float]
    weights_sha256: str
    device: str
    precision: str
    runtime: str
    parts: Annotated[bool, Field(description="Whether frames may be sent in part.")] = True


class HealthOut(BaseModel):
    """`ok`, `ready`, or the reason why the server is not ready."""

    status: str


class TargetIn(BaseModel):
    """A target to follow."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[str | None, Field(min_length=1, max_length=MAX_ID)] = None
    box: Annotated[Any, Field(json_schema_extra=_BOX_SCHEMA)]


class CreateIn(BaseModel):
    """A session to start: a base64 image, and `targets` or a single `box`."""

    model_config = ConfigDict(extra="forbid")

    frame: Annotated[str, Field(description="The first frame: a JPEG, PNG or WebP image in base64.")]
    targets: list[TargetIn] | None = None
    box: Annotated[Any, Field(json_schema_extra=_BOX_SCHEMA)] = None
    ttl_s: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None

    @model_validator(mode="after")
    def _one_of(self) -> CreateIn:
        if (self.targets is None) == (self.box is None):
            raise ValueError("give either targets or box")
        return self


class PlaceIn(BaseModel):
    """A frame in base64, and the box drawn on it."""

    model_config = ConfigDict(extra="forbid")

    frame: Annotated[str, Field(description="The frame the box was drawn on, in base64.")]
    box: Annotated[Any, Field(json_schema_extra=_BOX_SCHEMA)]


class ProblemOut(BaseModel):
    """Why a call was refused (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None
    request_id: Annotated[str | None, Field(description="The answer's X-Request-ID; the server's log has it too.")] = (
        None
    )


def target_state(target: StoredTarget, tracker: Tracker, frame_size: tuple[int, int]) -> TargetState:
    """Show a target as clients see it, with the part of the next frame that the tracker will read for it."""
    track = target.track
    wants = tracker.wants(track, frame_size)
    wanted = None if wants is None else wants.as_list
    return TargetState(target.id, track.box.as_list(), track.score, track.status, wants=wanted)


def target_states(targets: Sequence[StoredTarget], tracker: Tracker, size: tuple[int, int]) -> tuple[TargetState, ...]:
    """Show the targets of a session whose frames are `size` (width, height)."""
    return tuple(target_state(target, tracker, size) for target in targets)


def session_body(facts: Facts, state: State, tracker: Tracker) -> SessionOut:
    """Show a session as clients see it."""
    targets = target_states(state.targets, tracker, facts.frame_size)
    return SessionOut(
        session_id=facts.session_id,
        frame_index=state.frame_index,
        frame_size=list(facts.frame_size),
        targets=[TargetOut(**target_fields(target)) for target in targets],
        stream_url=f"/v1/sessions/{facts.session_id}/stream",
        created_at=facts.created_at,
        expires_at=state.expires_at,
    )
