"""The HTTP calls and the socket's address as values, which both clients send, and the reading of the answers."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import httpx

from siamfc.client.errors import ProblemError, UnexpectedAnswer
from siamfc.client.frames import content_type
from siamfc.client.protocol import Mode
from siamfc.client.refusals import from_kind, from_problem, from_status
from siamfc.contract import INVALID_BOX, PROBLEM_MEDIA_TYPE

BoxLike: TypeAlias = Sequence[float]
"""Four numbers x, y, w, h: pixels of the frame as sent, 0-indexed."""


CONNECTIONS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2.0)
"""An idle connection is given up before a server does, after 5 s: a call that met the server's end would fail."""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server's address and API key. `base_url` may carry a path that a proxy puts before `/v1`."""

    base_url: str
    api_key: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a server's address is http(s)://host[:port], not {self.base_url!r}")

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every call."""
        return {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key}"}

    def stream_url(self, session_id: str, mode: Mode, response_maps: bool, resume: str | None = None) -> str:
        """The address of a session's socket. `resume` names the last connection and its first unanswered frame."""
        parts = urlsplit(self.base_url)
        path = parts.path.rstrip("/") + _session_path(session_id) + "/stream"
        query = urlencode({"mode": mode, "map": int(response_maps)} | ({"resume": resume} if resume else {}), safe=":")
        return urlunsplit(("wss" if parts.scheme == "https" else "ws", parts.netloc, path, query, ""))


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request; `arguments` are httpx's."""

    method: str
    path: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def create(frame: bytes, targets: Sequence[Mapping[str, Any]], ttl_s: float | None) -> Call:
    """Start a session."""
    if ttl_s is not None:
        body = {"frame": base64.b64encode(frame).decode(), "targets": list(targets), "ttl_s": ttl_s}
        return Call("POST", "/v1/sessions", {"json": body})
    files = {
        "frame": ("frame", frame, content_type(frame)),
        "targets": (None, json.dumps(list(targets)), "application/json"),
    }
    return Call("POST", "/v1/sessions", {"files": files})


def read_session(session_id: str) -> Call:
    """Read a session's present state."""
    return Call("GET", _session_path(session_id))


def delete_session(session_id: str) -> Call:
    """End a session."""
    return Call("DELETE", _session_path(session_id))


def delete_target(session_id: str, target_id: str) -> Call:
    """Stop tracking one target."""
    return Call("DELETE", f"{_session_path(session_id)}/targets/{quote(target_id, safe='')}")


def read_model() -> Call:
    """Read the facts about the server's model."""
    return Call("GET", "/v1/model")


def targets_of(box: BoxLike | None, targets: Sequence[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    """The `targets` of a create call, from one box or several targets `{"id"?, "box"}`. Raises InvalidBox."""
    if (box is None) == (targets is None):
        raise TypeError("give a box or targets, and not both")
    if box is not None:
        return [{"box": checked_box(box)}]
    return [{**target, "box": checked_box(target["box"])} for target in targets or ()]


def checked_box(box: BoxLike) -> list[float]:
    """Four finite floats, which JSON can carry. Raises InvalidBox otherwise; the server checks the rest."""
    try:
        values = [float(value) for value in box]
    except (TypeError, ValueError):
        values = []
    if len(values) != 4 or not all(map(math.isfinite, values)):
        detail = f"a box is four finite numbers x, y, w, h; got {box!r}"
        raise from_kind(INVALID_BOX, detail)
    return values


def body_of(response: httpx.Response) -> Any:
    """An answer's JSON, None for 204. Raises the ProblemError of a refusal, UnexpectedAnswer for anything else."""
    if response.is_error:
        raise _problem_of(response)
    if response.status_code == 204:
        return None
    if not response.is_success:
        raise UnexpectedAnswer(f"{response.request.method} {response.url} answered {response.status_code}")
    try:
        return response.json()
    except ValueError as error:
        raise UnexpectedAnswer(f"{response.request.method} {response.url} answered no JSON") from error


def _problem_of(response: httpx.Response) -> ProblemError:
    try:
        retry_after = float(response.headers.get("Retry-After", ""))
    except ValueError:
        retry_after = None
    if response.headers.get("Content-Type", "").partition(";")[0] == PROBLEM_MEDIA_TYPE:
        try:
            body = response.json()
        except ValueError:
            body = None
        if isinstance(body, dict):
            return from_problem({"status": response.status_code} | body, retry_after)
    return from_status(response.status_code, f"{response.request.url} answered {response.status_code}", retry_after)


def _session_path(session_id: str) -> str:
    return f"/v1/sessions/{quote(session_id, safe='')}"
