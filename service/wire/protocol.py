"""The stream's state machine: no socket, no clock, no thread.

Messages go in, work comes out by `take`, answers go in, and what may be sent now comes out, in order. Which input is
legal in which state is the table `_NEXT`.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any, Literal

from service.wire import codec
from service.wire.messages import ClientMessage, End, Frame, RemoveTarget, SetTarget

Mode = Literal["every", "latest"]

_LATEST_BACKLOG = 64
"""Unanswered frames in `latest`: most are dropped at once, but their answers wait for the one under way."""


_MAILBOX = 256
"""Things to do that may wait, whatever they are: messages that ask for no answer must not pile up either."""


class State(Enum):
    """Where a stream is. OPEN takes everything; ENDING answers what it has; CLOSED takes and gives nothing."""

    OPEN = "open"
    ENDING = "ending"
    CLOSED = "closed"


class Input(Enum):
    """What can happen to a stream."""

    BINARY = "binary"
    TEXT = "text"
    END = "end"
    LOST = "lost"


_NEXT: dict[tuple[State, Input], State] = {
    (State.OPEN, Input.BINARY): State.OPEN,
    (State.OPEN, Input.TEXT): State.OPEN,
    (State.OPEN, Input.END): State.ENDING,
    (State.ENDING, Input.END): State.ENDING,
    (State.OPEN, Input.LOST): State.CLOSED,
    (State.ENDING, Input.LOST): State.CLOSED,
    (State.CLOSED, Input.LOST): State.CLOSED,
}
"""An input that has no row is ignored: what comes after `end` is not accepted, so it gets no answer."""


class StreamProtocol:
    """One connection's frames, from acceptance to answer.

    Every accepted frame is answered once; answers leave in the order of acceptance. In `every` at most `window` frames
    are under way (`wants_input` says when to stop reading). In `latest` a newer frame displaces the one that waits,
    unless boxes were drawn on that one.
    """

    def __init__(self, window: int, mode: Mode, max_placements: int) -> None:
        """`max_placements`: boxes that may be drawn on one frame."""
        self.mode = mode
        self._window, self._max_placements = window, max_placements
        self._state = State.OPEN
        self._placements: dict[str, SetTarget] = {}
        self._mailbox: deque[Frame | RemoveTarget] = deque()
        self._unanswered: deque[int] = deque()
        self._answers: dict[int, str] = {}
        self._count = 0
        self._dropped: list[int] = []

    @property
    def state(self) -> State:
        """Where the stream is."""
        return self._state

    @property
    def wants_input(self) -> bool:
        """Whether the shell should read on."""
        open_ = self._state is State.OPEN
        return open_ and len(self._unanswered) < self.most_unanswered and len(self._mailbox) < _MAILBOX

    @property
    def most_unanswered(self) -> int:
        """Frames that can have been accepted and not answered."""
        return self._window if self.mode == "every" else max(self._window, _LATEST_BACKLOG)

    @property
    def idle(self) -> bool:
        """Whether nothing accepted is left to do or to answer."""
        return not self._mailbox and not self._unanswered

    @property
    def may_refuse(self) -> bool:
        """Whether the next frame may be `refused`: in `latest`, unless boxes were drawn on it."""
        return self.mode == "latest" and not self._placements

    def receive_frame(self, data: bytes, received_at: float = 0.0, *, refused: bool = False) -> bool:
        """A binary message; returns whether it was accepted. One `refused` (over the rate) is answered as dropped."""
        if not self._move(Input.BINARY):
            return False
        frame = Frame(self._count, data, tuple(self._placements.values()), received_at)
        self._placements.clear()
        self._count += 1
        self._unanswered.append(frame.seq)
        if refused:
            self._drop(frame)
            return True
        if self.mode == "latest":
            self._displace()
        self._mailbox.append(frame)
        return True

    def receive(self, message: ClientMessage) -> str | None:
        """A client's text message; returns a complaint to send, if there is one."""
        if not self._move(Input.END if isinstance(message, End) else Input.TEXT):
            return None
        if isinstance(message, SetTarget):
            if message.id not in self._placements and len(self._placements) >= self._max_placements:
                return f"at most {self._max_placements} targets may be set on one frame"
            self._placements[message.id] = message
        elif isinstance(message, RemoveTarget):
            self._placements.pop(message.id, None)
            self._mailbox.append(message)
        return None

    def end(self) -> None:
        """Accept nothing more; what was accepted is still answered."""
        self._move(Input.END)

    def lost(self) -> None:
        """The connection is gone: nothing can be answered any more."""
        self._move(Input.LOST)
        self._mailbox.clear()
        self._unanswered.clear()
        self._answers.clear()

    def take(self) -> Frame | RemoveTarget | None:
        """The next thing to do; None while there is none."""
        return self._mailbox.popleft() if self._mailbox else None

    def peek_frame(self) -> Frame | None:
        """The frame that `take` gives next in `every`, to decode it early; None where that is not certain."""
        first = self._mailbox[0] if self._mailbox and self.mode == "every" else None
        return first if isinstance(first, Frame) else None

    def answer(self, seq: int, text: str) -> list[str]:
        """Answer a frame; returns the answers that may be sent now, in order: none where the connection is gone."""
        if self._state is State.CLOSED:
            return []
        assert seq in self._unanswered, f"frame {seq} is not under way"
        assert seq not in self._answers, f"frame {seq} was answered before"
        self._answers[seq] = text
        return self._sendable()

    def fail_all(self, problem: dict[str, Any]) -> list[str]:
        """Answer every accepted frame that has no answer with that problem, and accept nothing more."""
        self.end()
        self._mailbox.clear()
        for seq in self._unanswered:
            self._answers.setdefault(seq, codec.error(problem, seq))
        return self._sendable()

    def _sendable(self) -> list[str]:
        texts = []
        while self._unanswered and self._unanswered[0] in self._answers:
            texts.append(self._answers.pop(self._unanswered.popleft()))
        return texts

    def _displace(self) -> None:
        kept: deque[Frame | RemoveTarget] = deque()
        for waiting in self._mailbox:
            if isinstance(waiting, Frame) and not waiting.placements:
                self._drop(waiting)
            else:
                kept.append(waiting)
        self._mailbox = kept

    def _drop(self, frame: Frame) -> None:
        self._answers[frame.seq] = codec.dropped(frame.seq)
        self._dropped.append(frame.seq)

    def displaced(self) -> list[str]:
        """Answers to displaced frames that may be sent now, in order."""
        return self._sendable()

    def take_dropped(self) -> list[int]:
        """Which frames were answered as dropped since this was asked last."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def _move(self, event: Input) -> bool:
        following = _NEXT.get((self._state, event))
        if following is None:
            return False
        self._state = following
        return True
