"""The stream's state machine: no socket, no clock, no thread.

Messages go in and work comes out (`take`); answers go in and texts to send come out, in order. The table `_NEXT` says
which input is legal in which state.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Any, Literal

from service.wire import codec
from service.wire.messages import ClientMessage, End, Frame, Part, RemoveTarget, SetTarget

Mode = Literal["every", "latest"]

_LATEST_BACKLOG = 64
"""Limit of unanswered frames in `latest`. Most are dropped at once, but their answers wait for the one under way."""


_MAILBOX = 256
"""Limit of frames and messages that wait, because messages without an answer must not pile up either."""


class StreamState(Enum):
    """OPEN accepts everything; ENDING answers what it has accepted; CLOSED accepts and sends nothing."""

    OPEN = "open"
    ENDING = "ending"
    CLOSED = "closed"


class Input(Enum):
    """The events of a stream: a binary or a text message, its end, the loss of the connection."""

    BINARY = "binary"
    TEXT = "text"
    END = "end"
    LOST = "lost"


_NEXT: dict[tuple[StreamState, Input], StreamState] = {
    (StreamState.OPEN, Input.BINARY): StreamState.OPEN,
    (StreamState.OPEN, Input.TEXT): StreamState.OPEN,
    (StreamState.OPEN, Input.END): StreamState.ENDING,
    (StreamState.ENDING, Input.END): StreamState.ENDING,
    (StreamState.OPEN, Input.LOST): StreamState.CLOSED,
    (StreamState.ENDING, Input.LOST): StreamState.CLOSED,
    (StreamState.CLOSED, Input.LOST): StreamState.CLOSED,
}
"""An input without a row is ignored: a frame after `end` is not accepted, so it gets no answer."""


class StreamProtocol:
    """One connection's frames, from acceptance to answer.

    Every accepted frame gets one answer, in the order of acceptance. In mode `every` at most `window` frames are under
    way; `wants_input` says when to stop reading. In mode `latest` a newer frame displaces the waiting one, unless boxes
    were drawn on the waiting one.
    """

    def __init__(self, window: int, mode: Mode, max_placements: int) -> None:
        """`window`: unanswered frames that may be under way; `max_placements`: boxes that may be drawn on one frame."""
        self.mode = mode
        self._window, self._max_placements = window, max_placements
        self._state = StreamState.OPEN
        self._placements: dict[str, SetTarget] = {}
        self._part: Part | None = None
        self._mailbox: deque[Frame | RemoveTarget] = deque()
        self._unanswered: deque[int] = deque()
        self._answers: dict[int, str] = {}
        self._count = 0
        self._dropped: list[int] = []

    @property
    def state(self) -> StreamState:
        """The stream's state."""
        return self._state

    @property
    def wants_input(self) -> bool:
        """Whether the shell should read on."""
        open_ = self._state is StreamState.OPEN
        return open_ and len(self._unanswered) < self.most_unanswered and len(self._mailbox) < _MAILBOX

    @property
    def most_unanswered(self) -> int:
        """The largest number of frames that can be accepted and unanswered."""
        return self._window if self.mode == "every" else max(self._window, _LATEST_BACKLOG)

    @property
    def idle(self) -> bool:
        """Whether all accepted messages are done and all accepted frames are answered."""
        return not self._mailbox and not self._unanswered

    @property
    def may_refuse(self) -> bool:
        """Whether the next frame may be dropped for being over the rate: in `latest`, if no boxes were drawn on it."""
        return self.mode == "latest" and not self._placements

    def receive_frame(self, data: bytes, received_at: float = 0.0, *, refused: bool = False) -> bool:
        """Take a binary message; returns whether it was accepted. `refused`: over the rate, so answered as dropped."""
        if not self._move(Input.BINARY):
            return False
        frame = Frame(self._count, data, tuple(self._placements.values()), received_at, self._part)
        self._placements.clear()
        self._part = None
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
        """Take a client's text message; returns a complaint to send, or None."""
        if not self._move(Input.END if isinstance(message, End) else Input.TEXT):
            return None
        if isinstance(message, SetTarget):
            if message.id not in self._placements and len(self._placements) >= self._max_placements:
                return f"at most {self._max_placements} targets may be set on one frame"
            self._placements[message.id] = message
        elif isinstance(message, Part):
            self._part = message
        elif isinstance(message, RemoveTarget):
            self._placements.pop(message.id, None)
            self._mailbox.append(message)
        return None

    def end(self) -> None:
        """Accept nothing more; accepted frames are still answered."""
        self._move(Input.END)

    def lost(self) -> None:
        """Forget everything: the connection is lost, so nothing can be answered."""
        self._move(Input.LOST)
        self._mailbox.clear()
        self._unanswered.clear()
        self._answers.clear()

    def take(self) -> Frame | RemoveTarget | None:
        """The next frame or message to work on; None while there is none."""
        return self._mailbox.popleft() if self._mailbox else None

    def peek_frame(self) -> Frame | None:
        """The frame that `take` will return next, to decode it early; None if that is not certain, as in `latest`."""
        first = self._mailbox[0] if self._mailbox and self.mode == "every" else None
        return first if isinstance(first, Frame) else None

    def answer(self, seq: int, text: str) -> list[str]:
        """Answer a frame; returns the answers to send now, in order. A lost connection has none."""
        if self._state is StreamState.CLOSED:
            return []
        assert seq in self._unanswered, f"frame {seq} is not under way"
        assert seq not in self._answers, f"frame {seq} was answered before"
        self._answers[seq] = text
        return self._sendable()

    def fail_all(self, problem: dict[str, Any]) -> list[str]:
        """Answer every accepted frame that has no answer with `problem`, and accept nothing more."""
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
        """The answers to dropped frames that may be sent now, in order."""
        return self._sendable()

    def take_dropped(self) -> list[int]:
        """The frames that were answered as dropped since the last call."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def _move(self, event: Input) -> bool:
        following = _NEXT.get((self._state, event))
        if following is None:
            return False
        self._state = following
        return True
