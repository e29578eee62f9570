"""How a session's socket is opened, and which failures are worth another attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, InvalidStatus, WebSocketException
from websockets.typing import Subprotocol

from siamfc.client.calls import ServerAddress
from siamfc.client.errors import (
    AnswerTimeout,
    AtCapacity,
    ClientError,
    ConnectionLost,
    FrameError,
    ServerFault,
    UnexpectedAnswer,
)
from siamfc.client.protocol import Mode, StreamProtocol
from siamfc.client.reconnect import Reconnect
from siamfc.client.refusals import from_close_code, from_kind, from_status
from siamfc.client.results import Answer, Dropped, Failed, Result
from siamfc.contract import RATE_LIMITED, SUBPROTOCOL, CloseCode

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
FAILURES = (OSError, WebSocketException, ConnectionLost, ServerFault, AtCapacity)
"""The errors of opening a connection; `judge_opening` says which of them are final."""


@dataclass(frozen=True, slots=True)
class Route:
    """The route to a session's socket: address, kind (mode, response maps), timeout and reconnect policy."""

    server: ServerAddress
    session_id: str
    kind: tuple[Mode, bool]
    timeout_s: float
    reconnect: Reconnect

    def url(self, resume: str | None) -> str:
        """The socket's address; `resume` is `StreamProtocol.resume`."""
        return self.server.stream_url(self.session_id, *self.kind, resume)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of websockets' `connect`, sync and asyncio alike."""
        return {
            "subprotocols": [Subprotocol(SUBPROTOCOL)],
            "compression": None,
            "additional_headers": self.server.headers,
            "open_timeout": self.timeout_s,
            "close_timeout": min(self.timeout_s, 5.0),
            "max_size": MAX_MESSAGE_BYTES,
        }

    def timed_out(self) -> AnswerTimeout:
        """The error of an answer that did not come."""
        return AnswerTimeout(f"session {self.session_id}: no answer within {self.timeout_s:g} s")

    def exhausted(self, last: Exception) -> ClientError:
        """The error after the last attempt, which failed with `last`."""
        code = closure(last)[0] if isinstance(last, ConnectionClosed) else None
        if code in (CloseCode.SESSION_BUSY, CloseCode.TRY_LATER):
            return from_close_code(code)
        return ConnectionLost(f"no connection to session {self.session_id}: {last}")


def closure(error: ConnectionClosed) -> tuple[int | None, str]:
    """The close code and reason that the server sent; None if it sent no close frame."""
    return (error.rcvd.code, error.rcvd.reason) if error.rcvd else (None, "")


def judge_opening(error: Exception, protocol: StreamProtocol) -> None:
    """Return if another attempt may help after `error`, else raise the client's error."""
    if isinstance(error, ConnectionClosed):
        protocol.disconnected(*closure(error), opening=True)
    elif isinstance(error, InvalidStatus):
        if error.response.status_code not in RETRIED_STATUSES:
            raise from_status(error.response.status_code) from error
    elif isinstance(error, InvalidHandshake) and not isinstance(error, InvalidMessage):
        raise UnexpectedAnswer(f"no tracking service answers there: {error}") from error
    else:
        protocol.disconnected(None, opening=True)


def delivered(answer: Answer) -> Result:
    """The result of an `update`. Raises FrameError if the frame failed, and the error of a refused control message."""
    if isinstance(answer, Failed):
        raise FrameError(answer.seq, answer.problem) from answer.problem
    if isinstance(answer, Dropped):
        # Our server drops none in mode "every"; another may, for its rate limit.
        raise FrameError(answer.seq, from_kind(RATE_LIMITED, "the server dropped the frame"))
    if answer.refused:
        raise answer.refused[0]
    return answer
