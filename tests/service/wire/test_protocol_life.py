"""Random sequences of events: every accepted frame is answered once, in order, and the limits hold."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.wire.messages import End, Frame, RemoveTarget, SetTarget
from service.wire.protocol import Mode, StreamProtocol, StreamState

BOX = (0.0, 0.0, 1.0, 1.0)
PROBLEM = {"status": 410}


class Streams(RuleBasedStateMachine):
    """Random sequences of what clients, the worker and the server's end may do."""

    @initialize(mode=st.sampled_from(["every", "latest"]), window=st.integers(1, 4))
    def open(self, mode: Mode, window: int) -> None:
        self.stream = StreamProtocol(window, mode, 2)
        self.mode, self.window = mode, window
        self.accepted: list[int] = []
        self.drawn: set[int] = set()
        self.pending = False
        self.under_way: int | None = None
        self.answers: list[dict[str, Any]] = []
        self.lost_at: int | None = None

    def send(self, texts: list[str]) -> None:
        self.answers += [json.loads(text) for text in texts]

    @precondition(lambda self: self.stream.wants_input or self.stream.state is not StreamState.OPEN)
    @rule(refused=st.booleans())
    def frame(self, refused: bool) -> None:
        refused = refused and self.stream.may_refuse
        if self.stream.receive_frame(b"", refused=refused):
            if self.pending:
                self.drawn.add(len(self.accepted))
            self.accepted.append(len(self.accepted))
            self.pending = False
        self.send(self.stream.displaced())

    @rule(name=st.sampled_from("abc"))
    def set_target(self, name: str) -> None:
        if self.stream.receive(SetTarget(name, BOX)) is None and self.stream.state is StreamState.OPEN:
            self.pending = True

    @rule(name=st.sampled_from("abc"))
    def remove_target(self, name: str) -> None:
        self.stream.receive(RemoveTarget(name))
        self.pending = bool(self.stream._placements)

    @precondition(lambda self: self.under_way is None)
    @rule()
    def take(self) -> None:
        shown = self.stream.peek_frame()
        item = self.stream.take()
        assert shown is None or item is shown
        if isinstance(item, Frame):
            assert bool(item.placements) == (item.seq in self.drawn)
            self.under_way = item.seq

    @precondition(lambda self: self.under_way is not None)
    @rule()
    def answer(self) -> None:
        assert self.under_way is not None
        self.send(self.stream.answer(self.under_way, json.dumps({"type": "result", "seq": self.under_way})))
        self.under_way = None

    @rule()
    def end(self) -> None:
        self.stream.receive(End())

    @precondition(lambda self: self.under_way is None)
    @rule()
    def fail_all(self) -> None:
        self.send(self.stream.fail_all(PROBLEM))

    @rule()
    def lost(self) -> None:
        self.stream.lost()

    @invariant()
    def answers_are_in_order_and_single(self) -> None:
        assert [answer["seq"] for answer in self.answers] == list(range(len(self.answers)))
        assert len(self.answers) <= len(self.accepted)

    @invariant()
    def only_latest_drops_and_never_a_frame_with_boxes(self) -> None:
        dropped = {answer["seq"] for answer in self.answers if answer["type"] == "dropped"}
        assert not dropped or self.mode == "latest"
        assert not dropped & self.drawn

    @invariant()
    def the_window_holds(self) -> None:
        if self.mode == "every" and self.stream.state is not StreamState.CLOSED:
            assert len(self.accepted) - len(self.answers) <= self.window

    def teardown(self) -> None:
        """At the end every accepted frame has its answer, unless the connection was lost."""
        if not hasattr(self, "stream"):
            return
        gone = self.stream.state is StreamState.CLOSED
        while self.under_way is not None or not self.stream.idle:
            if self.under_way is None:
                self.take()
            else:
                self.answer()
        if not gone:
            assert len(self.answers) == len(self.accepted)
            assert len(self.stream.take_dropped()) == sum(answer["type"] == "dropped" for answer in self.answers)


TestStreams = Streams.TestCase
TestStreams.settings = settings(max_examples=100, stateful_step_count=40)
