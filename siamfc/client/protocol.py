"""One stream of frames and answers, without I/O: what to put on the wire, what came from it, what a reconnect needs.

A shell owns the socket. It opens one, gives its first message to `connected`, sends what `data_to_send` returns,
gives every later message to `receive`, and a closure to `disconnected`, which raises or means: connect again.

Every frame gets one answer, in the order of `submit`, over any number of connections. After a reconnect:

- the server knows the connection that dropped (`resume`) and says what was missed: that is answered, the rest is
  sent again. All below is for servers that do not, or for sessions that others have driven since;
- the server counted none of the unanswered frames: all are sent again;
- it counted one (`needs_state`): its answer was lost on the way, and the session's state is that answer. It is taken
  for the oldest frame's, which it is unless that one failed and its error was lost too;
- it counted several: only the last one's answer can still be had, so all are sent again, and are counted twice;
- mode "latest": nothing says which frame was counted, so all are sent again, and the server drops what is overtaken.

A frame that the server could not keep (`store-unavailable`) is sent again too, with those after it, in "every": the
shell waits while `stalled`, calls `go_on`, or `give_up`, after which that is their answer.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias

from siamfc.client.errors import ProblemError, StoreUnavailable, TargetNotFound, UnexpectedAnswer
from siamfc.client.refusals import from_close_code, from_problem
from siamfc.client.results import Answer, Failed, Result, SessionState, parse_answer
from siamfc.contract import CloseCode

Mode: TypeAlias = Literal["every", "latest"]
Message: TypeAlias = str | bytes

NO_CODE, ABNORMAL, BAD_GATEWAY = 1005, 1006, 1014
"""A close frame without a code, no close frame at all, and what a proxy says of a server that is away."""
RECONNECT_CODES = frozenset(
    {NO_CODE, ABNORMAL, BAD_GATEWAY, CloseCode.GOING_AWAY, CloseCode.RESTARTING, CloseCode.TRY_LATER}
)
LATEST_DEPTH = 32
"""Unanswered frames under way in mode "latest", where the server drops instead of pushing back."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One message to the server; `number` says which frame of the stream it is, None that it is no frame."""

    message: Message
    number: int | None = None


class StreamProtocol:
    """The state of one stream. No method does I/O or waits."""

    def __init__(self, mode: Mode = "every", *, driven_before: bool = False) -> None:
        """driven_before: this client has just driven the session over another connection."""
        self.mode = mode
        self.window = 1
        self.needs_state = False
        """After `connected`: fetch the session's state and give it to `recover` before sending anything."""
        self.progressed = False
        """Whether this connection has brought an answer; one that never does is no reason to begin backoff anew."""
        self._items: deque[_Item] = deque()  # all that is not answered yet, oldest first
        self._sent = 0  # how many of them this connection has carried
        self._in_flight = 0  # how many of those are frames
        self._next_number = 0
        self._next_seq = 0
        self._counted: int | None = None  # the server's frame_index, as far as it is known here
        self._connections = 0
        self._driven_before = driven_before
        self._lost_in_flight = False
        self._lost_opening = False
        self._refused: list[ProblemError] = []
        self._connection: str | None = None  # its name, as the server said it
        self._held: list[ProblemError] = []  # what the oldest frames, which wait to be sent again, were answered

    @property
    def resume(self) -> str | None:
        """What to ask for when connecting again: the last connection, and the first `seq` that had no answer."""
        return None if self._connection is None else f"{self._connection}:{self._next_seq}"

    @property
    def stalled(self) -> bool:
        """Whether frames wait for the shell's `go_on`."""
        return bool(self._held) and not self._in_flight

    @property
    def outstanding(self) -> int:
        """Frames submitted and not answered."""
        return sum(item.number is not None for item in self._items)

    @property
    def room(self) -> bool:
        """Whether another frame may be submitted now."""
        return self.outstanding < self._limit

    @property
    def _limit(self) -> int:
        return self.window if self.mode == "every" else max(self.window, LATEST_DEPTH)

    # What goes out

    def submit(self, frame: bytes) -> int:
        """Queue a frame; its number in the stream, from 0."""
        number = self._next_number
        self._next_number += 1
        self._items.append(_Item(frame, number))
        return number

    def renumber(self) -> None:
        """Call the next frame 0. Only while none is outstanding."""
        assert not self.outstanding
        self._next_number = 0

    def set_target(self, target_id: str, box: Sequence[float]) -> None:
        """Queue a new or corrected box, drawn on the next frame submitted."""
        self._control(type="set_target", id=target_id, box=list(box))

    def remove_target(self, target_id: str) -> None:
        """Queue the end of one target."""
        self._control(type="remove_target", id=target_id)

    def data_to_send(self) -> list[Message]:
        """The messages for the wire, in order, each handed out once a connection; frames up to the window."""
        ready: list[Message] = []
        if self._held:
            return ready
        for item in islice(self._items, self._sent, None):
            if item.number is not None:
                if self._in_flight >= self._limit:
                    break
                self._in_flight += 1
            ready.append(item.message)
        self._sent += len(ready)
        return ready

    # What comes in

    def connected(self, message: Message) -> list[Answer]:
        """Take a new connection's first message; the answers that the last one lost, where it brings them.

        Raises UnexpectedAnswer unless it is `ready`.
        """
        body = _parse(message)
        try:
            if body["type"] != "ready":
                raise UnexpectedAnswer(f"the first message must be ready, not {body['type']!r}")
            frame_index, self.window = int(body["frame_index"]), max(1, int(body["window"]))
            missed = list(body.get("missed") or ()) if "missed" in body and self._connection else None
            connection = body.get("connection")
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedAnswer(f"not a ready message: {body}") from error
        answers = [] if missed is None else self._missed(missed)
        self._connection = connection if isinstance(connection, str) else None
        self._sent = self._in_flight = self._next_seq = 0
        self._held.clear()
        self._connections += 1
        self.progressed = bool(answers)
        if missed is not None:
            self.needs_state, self._lost_in_flight, self._counted = False, False, frame_index
            return answers
        counted = 0 if self._counted is None else frame_index - self._counted
        self.needs_state = counted == 1 and self.mode == "every" and self._lost_in_flight
        if not self.needs_state:
            self._counted, self._lost_in_flight = frame_index, False
        return []

    def recover(self, state: SessionState) -> list[Answer]:
        """Take the session's state as the answer that was lost, if it still is that one."""
        expected = None if self._counted is None else self._counted + 1
        self.needs_state, self._lost_in_flight, self._counted = False, False, state.frame_index
        if state.frame_index != expected:
            return []
        return [Result(self._pop(), state.frame_index, state.targets, refused=self._take_refused())]

    def receive(self, message: Message) -> list[Answer]:
        """Take a message of the server; the answers it brings. Raises UnexpectedAnswer."""
        body = _parse(message)
        if "seq" not in body:
            self._notice(body)
            return []
        if body["seq"] != self._next_seq or not self._in_flight:
            raise UnexpectedAnswer(f"an answer to frame {body['seq']} where {self._next_seq} was due")
        answers = self._answered(body, may_hold=self.mode == "every")
        self._in_flight -= 1
        self.progressed = True
        return answers

    def go_on(self) -> None:
        """Send again what waits for it."""
        self._held.clear()
        self._sent = 0

    def give_up(self) -> list[Answer]:
        """Send nothing again: what came is the answer."""
        held, self._held = self._held, []
        answers: list[Answer] = [Failed(self._pop(), problem) for problem in held]
        return answers

    def disconnected(self, code: int | None, reason: str = "", *, opening: bool = False) -> None:
        """Take a closure; None is one without a close frame. Returns where a new connection is worth it, else raises.

        opening: it came instead of `ready`. Just after a drop the server may still take the dead connection for a
        living one, so that "busy" is then worth another try; so it is where an earlier opening was lost on the way.
        """
        self._lost_in_flight = self._lost_in_flight or self._in_flight > 0
        self._in_flight = 0
        code = ABNORMAL if code is None else code
        had_it = self._driven_before or self._lost_opening or self._connections > 0
        if code in RECONNECT_CODES or (code == CloseCode.SESSION_BUSY and opening and had_it):
            self._lost_opening = self._lost_opening or opening
            return
        raise from_close_code(code, reason)

    # Inside

    def _control(self, **body: Any) -> None:
        self._items.append(_Item(json.dumps(body)))

    def _answered(self, body: dict[str, Any], *, may_hold: bool) -> list[Answer]:
        """The answer to the oldest frame that has none, after those held back for it; none where it is held itself."""
        frames = (item.number for item in self._items if item.number is not None)
        number = next(islice(frames, len(self._held), None), None)
        if number is None:
            raise UnexpectedAnswer(f"an answer to frame {body['seq']}, which was not sent")
        answer = parse_answer(body, number, tuple(self._refused) if body.get("type") == "result" else ())
        self._next_seq += 1
        if may_hold and isinstance(answer, Failed) and isinstance(answer.problem, StoreUnavailable):
            self._held.append(answer.problem)
            return []
        # A frame after them was counted: sent again, they would be out of order.
        answers = self.give_up()
        if isinstance(answer, Result):
            self._take_refused()
            self._counted = answer.frame_index
        self._pop()
        return [*answers, answer]

    def _missed(self, messages: Sequence[Any]) -> list[Answer]:
        """What the last connection lost."""
        answers: list[Answer] = []
        for body in messages:
            if not isinstance(body, dict):
                raise UnexpectedAnswer(f"not a message: {body!r}")
            if "seq" not in body:
                self._notice(body)
            elif body["seq"] != self._next_seq:
                raise UnexpectedAnswer(f"frame {body['seq']} is said to be missed where {self._next_seq} is")
            else:
                answers += self._answered(body, may_hold=False)
        return answers

    def _pop(self) -> int:
        """Forget the oldest frame and the controls before it; the frame's number."""
        while True:
            item = self._items.popleft()
            self._sent = max(0, self._sent - 1)
            if item.number is not None:
                return item.number

    def _take_refused(self) -> tuple[ProblemError, ...]:
        refused, self._refused = tuple(self._refused), []
        return refused

    def _notice(self, body: dict[str, Any]) -> None:
        """A message that answers no frame: a control that was refused, or the server's farewell."""
        if body.get("type") != "error":
            return
        problem = body.get("problem")
        error = from_problem(problem if isinstance(problem, dict) else {})
        # A removal that is sent again after a drop may have been done before it.
        if not (isinstance(error, TargetNotFound) and self._connections > 1):
            self._refused.append(error)


def _parse(message: Message) -> dict[str, Any]:
    if isinstance(message, bytes):
        raise UnexpectedAnswer("the server sent a binary message")
    try:
        body = json.loads(message)
    except ValueError as error:
        raise UnexpectedAnswer(f"not JSON: {message[:80]!r}") from error
    if not isinstance(body, dict):
        raise UnexpectedAnswer(f"not a message: {message[:80]!r}")
    return body
