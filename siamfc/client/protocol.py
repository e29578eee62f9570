"""One stream of frames and answers, without I/O: messages to send, answers received, and the state for a reconnect.

A caller (`link.LinkFlow`) owns the socket. It opens one, gives its first message to `connected`, sends the messages of
`data_to_send`, and gives later messages to `receive` and a closure to `disconnected`. Unless `disconnected` raises, it
connects again.

Every frame gets one answer, in the order of `submit`, over any number of connections. After a reconnect:

- The server may know the dropped connection (`resume`). It then sends the missed answers, and the other frames are
  sent again. The cases below are for servers that do not know it, or sessions that another client has driven since.
- The server counted none of the unanswered frames: all are sent again.
- The server counted one (`needs_state`): its answer was lost, and the session's state is that answer. The protocol
  takes it for the oldest frame's. This is wrong only if the oldest frame failed and its error was lost too.
- The server counted several: only the last answer can still be read, so all frames are sent again and counted twice.
- In mode "latest" the count does not tell which frame was counted. All are sent again, and the server drops old ones.

In mode "every", a frame that the server could not store (`store-unavailable`) is sent again with the frames after it.
The caller waits while `stalled` and then calls `go_on`, or `give_up`, which makes the failure the frames' answer.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Literal, TypeAlias

from siamfc.client.anchor import Anchor
from siamfc.client.errors import ProblemError, StoreUnavailable, TargetNotFound, UnexpectedAnswer
from siamfc.client.outgoing import Item, Message
from siamfc.client.refusals import from_close_code, from_problem
from siamfc.client.results import Answer, Failed, Result, SessionState, Target, parse_answer, parse_message
from siamfc.contract import CloseCode

Mode: TypeAlias = Literal["every", "latest"]

NO_CODE, ABNORMAL, BAD_GATEWAY = 1005, 1006, 1014
"""A close frame without a code, no close frame at all, and what a proxy says of a server that is away."""
RECONNECT_CODES = frozenset(
    {NO_CODE, ABNORMAL, BAD_GATEWAY, CloseCode.GOING_AWAY, CloseCode.RESTARTING, CloseCode.TRY_LATER}
)
LATEST_DEPTH = 32
"""Unanswered frames under way in mode "latest", where the server drops instead of pushing back."""


class StreamProtocol:
    """The state of one stream. No method does I/O or waits."""

    def __init__(self, mode: Mode = "every", *, driven_before: bool = False, anchor: Anchor | None = None) -> None:
        """driven_before: this client has driven the session over another connection just now."""
        self.mode = mode
        self.window = 1
        self.parts = False
        """Whether the server takes parts of frames."""
        self.needs_state = False
        """After `connected`: fetch the session's state and give it to `recover` before sending anything."""
        self.anchor = anchor
        """The last answered frame and its targets; None, from the start on, where they are not kept."""
        self.progressed = False
        """Whether this connection has brought an answer. Only then does its end start a new count of attempts."""
        self._items: deque[Item] = deque()  # messages without an answer, oldest first
        self._sent = 0  # how many of the items this connection has sent
        self._in_flight = 0  # how many of the sent items are frames
        self._next_number = 0
        self._next_seq = 0
        self._counted: int | None = None  # the server's frame_index, as far as the client knows
        self._connections = 0
        self._driven_before = driven_before
        self._lost_in_flight = False
        self._lost_opening = False
        self._refused: list[ProblemError] = []
        self._connection: str | None = None  # its name, from the server
        self._held: list[ProblemError] = []  # failures of the oldest frames, which wait to be sent again

    @property
    def resume(self) -> str | None:
        """The `resume` parameter of the next connection: the last connection's name and its first unanswered `seq`."""
        return None if self._connection is None else f"{self._connection}:{self._next_seq}"

    @property
    def stalled(self) -> bool:
        """Whether frames wait for `go_on`."""
        return bool(self._held) and not self._in_flight

    @property
    def outstanding(self) -> int:
        """The number of frames submitted and not answered."""
        return sum(item.number is not None for item in self._items)

    @property
    def room(self) -> bool:
        """Whether another frame may be submitted now."""
        return self.outstanding < self._limit

    @property
    def _limit(self) -> int:
        return self.window if self.mode == "every" else max(self.window, LATEST_DEPTH)

    # To the server

    def submit(self, frame: bytes, at: tuple[int, int] | None = None, whole: Callable[[], bytes] | None = None) -> int:
        """Queue a frame; its number in the stream, from 0. `at`, `whole`: of a part of one, as `Outgoing` has them."""
        number = self._next_number
        self._next_number += 1
        self._items.append(Item(frame, number, at, whole))
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
        """The messages to send, in order, with frames up to the window. A connection gets a message once."""
        ready: list[Message] = []
        if self._held:
            return ready
        sent = self._sent
        for item in islice(self._items, self._sent, None):
            if item.number is not None:
                if self._in_flight >= self._limit:
                    break
                self._in_flight += 1
            ready += item.messages(parts=self.parts)
            sent += 1
        self._sent = sent
        return ready

    # From the server

    def connected(self, message: Message) -> list[Answer]:
        """Read a new connection's first message. Returns the answers that the last connection lost, if it brings them.

        Raises UnexpectedAnswer unless the message is `ready`.
        """
        body = parse_message(message)
        try:
            if body["type"] != "ready":
                raise UnexpectedAnswer(f"the first message must be ready, not {body['type']!r}")
            frame_index, self.window = int(body["frame_index"]), max(1, int(body["window"]))
            missed = list(body.get("missed") or ()) if "missed" in body and self._connection else None
            connection = body.get("connection")
            self.parts = body.get("parts") is True
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
        """Take the session's state as the lost answer, unless another client has driven the session since."""
        expected = None if self._counted is None else self._counted + 1
        self.needs_state, self._lost_in_flight, self._counted = False, False, state.frame_index
        if state.frame_index != expected:
            return []
        self._move_anchor(state.targets)
        return [Result(self._pop(), state.frame_index, state.targets, refused=self._take_refused())]

    def begin_anew(self) -> None:
        """The session is a new one, made from the anchor, which has counted no frame: all are sent again."""
        self._connection = None
        self._lost_in_flight, self._counted = False, 0

    def receive(self, message: Message) -> list[Answer]:
        """Read a message of the server. Returns the answers in it. Raises UnexpectedAnswer."""
        body = parse_message(message)
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
        """Send the waiting frames again."""
        self._held.clear()
        self._sent = 0

    def give_up(self) -> list[Answer]:
        """Give the waiting frames up: their failures become their answers."""
        held, self._held = self._held, []
        answers: list[Answer] = [Failed(self._pop(), problem) for problem in held]
        return answers

    def disconnected(self, code: int | None, reason: str = "", *, opening: bool = False) -> None:
        """Note that the connection closed with `code` (None: without a close frame).

        Returns if a new connection may help, else raises the error of the code. `opening` says that the closure came
        instead of `ready`. Just after a drop the server may hold the dead connection for alive, so "busy" is then worth
        another attempt; so it is if an earlier opening was lost on the way.
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
        self._items.append(Item(json.dumps(body)))

    def _answered(self, body: dict[str, Any], *, may_hold: bool) -> list[Answer]:
        """The answer to the oldest open frame, after the failures held before it; no answer if it is held itself."""
        frames = (item.number for item in self._items if item.number is not None)
        number = next(islice(frames, len(self._held), None), None)
        if number is None:
            raise UnexpectedAnswer(f"an answer to frame {body['seq']}, which was not sent")
        answer = parse_answer(body, number, tuple(self._refused) if body.get("type") == "result" else ())
        self._next_seq += 1
        if may_hold and isinstance(answer, Failed) and isinstance(answer.problem, StoreUnavailable):
            self._held.append(answer.problem)
            return []
        # A later frame was counted. Frames sent again now would be out of order.
        answers = self.give_up()
        if isinstance(answer, Result):
            self._take_refused()
            self._counted = answer.frame_index
            self._move_anchor(answer.targets)
        self._pop()
        return [*answers, answer]

    def _missed(self, messages: Sequence[Any]) -> list[Answer]:
        """The answers that the last connection lost."""
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

    def _move_anchor(self, targets: tuple[Target, ...]) -> None:
        """The oldest frame is answered with `targets`."""
        if self.anchor is not None:
            item = next(item for item in self._items if item.number is not None)
            self.anchor = Anchor(item.message, targets, item.whole) if isinstance(item.message, bytes) else None

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
