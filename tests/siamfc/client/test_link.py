"""The link's flow without sockets: the operations it asks for, their order, and what it makes of failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError, InvalidMessage
from websockets.frames import Close as CloseFrame

from siamfc import (
    AnswerTimeout,
    ClientError,
    ConnectionLost,
    Reconnect,
    SessionEnded,
    SessionState,
    Target,
    UnexpectedAnswer,
)
from siamfc.client.anchor import Anchor
from siamfc.client.calls import ServerAddress
from siamfc.client.link import Flow, LinkFlow
from siamfc.client.outgoing import Message, Outgoing
from siamfc.client.sockets import Route
from tests.siamfc.client.test_protocol import error, ready, result, state

ROUTE = Route(ServerAddress("http://host"), "s1", ("every", False), 7.0, Reconnect(2, 0.5, 0.5))
BROKEN = ConnectionClosedError(None, None)


def closed(code: int) -> ConnectionClosedError:
    return ConnectionClosedError(CloseFrame(code, ""), None)


@dataclass
class Script:
    """A wire that notes what it is asked for, and gives what `incoming` holds: messages, and failures to raise.

    A failure stands for the operation that would have brought the next message: a connect, a receive or a send.
    """

    incoming: list[Any]
    unreachable: int = 0
    sends_fail: bool = False
    asked: list[str] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)

    def connect(self, url: str) -> None:
        self.asked.append("connect")
        if self.unreachable:
            self.unreachable -= 1
            raise ConnectionRefusedError

    def send(self, outgoing: Callable[[], Sequence[Message]]) -> None:
        messages = outgoing()
        self.asked += ["send"] * bool(messages)
        if self.sends_fail:
            raise BROKEN
        self.sent += messages

    def receive(self, timeout_s: float) -> Message:
        self.asked.append("receive" if timeout_s == ROUTE.timeout_s else f"receive within {timeout_s:g}")
        given = self.incoming.pop(0)
        if isinstance(given, BaseException):
            raise given
        message: Message = given
        return message

    def close(self) -> None:
        self.asked.append("close")

    def sleep(self, seconds: float) -> None:
        assert 0.25 <= seconds <= 0.5
        self.asked.append("sleep")

    def fetch_state(self) -> SessionState:
        self.asked.append("fetch")
        return state(1)

    def begin_anew(self, anchor: Anchor) -> SessionState:
        self.asked.append("begin anew")
        return state(0)

    def run(self, flow: Flow[Any]) -> Any:
        try:
            operation = next(flow)
            while True:
                try:
                    reply = operation.perform(self)
                except BaseException as failure:
                    operation = flow.throw(failure)
                else:
                    operation = flow.send(reply)
        except StopIteration as done:
            return done.value


def opened(*incoming: Any, **options: Any) -> tuple[LinkFlow, Script]:
    """An open link, and its wire, with what comes after `ready`."""
    link, wire = LinkFlow(ROUTE, driven_before=False), Script([ready(), *incoming], **options)
    wire.run(link.open())
    wire.asked.clear()
    return link, wire


def test_a_frame_and_its_answer() -> None:
    link, wire = opened(result(0, 1))
    assert wire.run(link.submit(Outgoing(b"frame"))) == 0
    (answer,) = wire.run(link.receive())
    assert (answer.seq, wire.sent) == (0, [b"frame"])
    assert wire.asked == ["send", "receive"]


@pytest.mark.parametrize(
    ("failure", "asked"),
    [
        pytest.param(TimeoutError(), ["connect", "receive", "close", "sleep"], id="no first message in time"),
        pytest.param(closed(1012), ["connect", "receive", "close", "sleep"], id="restarting"),
        pytest.param(InvalidMessage("torn"), ["connect", "receive", "close", "sleep"], id="a torn handshake"),
    ],
)
def test_a_failed_attempt_closes_its_socket_before_the_wait(failure: Exception, asked: list[str]) -> None:
    link, wire = LinkFlow(ROUTE, driven_before=False), Script([failure, ready()])
    wire.run(link.open())
    assert wire.asked == [*asked, "connect", "receive"]


def test_a_broken_connection_is_closed_before_the_wait() -> None:
    link, wire = opened(BROKEN, ready(), result(0, 1))
    wire.run(link.submit(Outgoing(b"frame")))
    assert wire.run(link.receive()) == []
    assert wire.asked == ["send", "receive", "close", "sleep", "connect", "receive", "send"]
    assert wire.sent == [b"frame", b"frame"]
    assert [answer.seq for answer in wire.run(link.receive())] == [0]


def test_an_answer_that_was_lost_is_read_from_the_session() -> None:
    link, wire = opened(BROKEN, ready(frame_index=1))
    wire.run(link.submit(Outgoing(b"frame")))
    (answer,) = wire.run(link.receive())
    assert (answer.seq, answer.frame_index) == (0, 1)
    assert wire.asked == ["send", "receive", "close", "sleep", "connect", "receive", "fetch"]


@pytest.mark.parametrize(
    ("incoming", "unreachable", "expected"),
    [
        pytest.param([], 9, ConnectionLost, id="nobody there"),
        pytest.param([closed(4410)], 0, SessionEnded, id="ended"),
        pytest.param(["{}"], 0, UnexpectedAnswer, id="another protocol"),
        pytest.param([KeyboardInterrupt()], 0, KeyboardInterrupt, id="interrupted"),
    ],
)
def test_an_open_that_fails_leaves_no_socket(
    incoming: list[Any], unreachable: int, expected: type[BaseException]
) -> None:
    link, wire = LinkFlow(ROUTE, driven_before=False), Script(incoming, unreachable)
    with pytest.raises(expected):
        wire.run(link.open())
    assert wire.asked[-1] == "close"
    assert wire.asked.count("connect") == wire.asked.count("close")


def test_the_policy_bounds_the_attempts() -> None:
    link, wire = LinkFlow(ROUTE, driven_before=False), Script([], unreachable=9)
    with pytest.raises(ConnectionLost):
        wire.run(link.open())
    assert wire.asked == ["connect", "close", "sleep", "connect", "close", "sleep", "connect", "close"]


def test_an_answer_begins_a_new_count_of_attempts() -> None:
    link, wire = opened(BROKEN, ready(), result(0, 1), BROKEN, ready(frame_index=1))
    for frame in (b"0", b"1"):
        wire.run(link.submit(Outgoing(frame)))
    wire.unreachable = 1
    wire.run(link.receive())
    wire.run(link.receive())
    wire.unreachable = 1
    wire.run(link.receive())
    assert wire.asked.count("sleep") == 4


def test_a_timeout_is_an_error_and_a_poll_is_none() -> None:
    link, wire = opened(TimeoutError(), TimeoutError())
    wire.run(link.submit(Outgoing(b"frame")))
    assert wire.run(link.receive(0)) == []
    with pytest.raises(AnswerTimeout, match="within 7 s"):
        wire.run(link.receive())
    assert wire.asked == ["send", "receive within 0", "receive"]


def test_a_send_that_fails_is_left_to_the_next_receive() -> None:
    link, wire = opened(sends_fail=True)
    assert wire.run(link.submit(Outgoing(b"frame"))) == 0
    wire.run(link.set_target("a", (1, 2, 3, 4)))
    wire.run(link.remove_target("a"))
    assert wire.sent == []


def test_nothing_is_sent_between_two_connections() -> None:
    """The asyncio client may submit a frame while another task reconnects."""
    link, wire = opened(ready())
    reconnecting = link.receive()
    next(reconnecting)
    reconnecting.throw(BROKEN)
    wire.run(link.submit(Outgoing(b"frame")))
    assert wire.sent == []
    wire.run(reconnecting)
    assert wire.sent == [b"frame"]


def test_frames_that_could_not_be_kept_are_sent_again_and_given_up() -> None:
    link, wire = opened(*[error(seq, "store-unavailable") for seq in range(3)])
    wire.run(link.submit(Outgoing(b"frame")))
    assert wire.run(link.receive()) == []
    assert wire.run(link.receive()) == []
    (answer,) = wire.run(link.receive())
    assert answer.problem.slug == "store-unavailable"
    assert wire.sent == [b"frame"] * 3
    assert wire.asked.count("sleep") == ROUTE.reconnect.attempts


def test_a_refusal_that_no_attempt_mends() -> None:
    link, wire = opened(closed(4410))
    with pytest.raises(ClientError):
        wire.run(link.receive())
    assert wire.asked == ["receive"]


def test_a_session_that_is_gone_begins_anew_from_its_anchor() -> None:
    anchor = Anchor(b"frame", (Target("0", (1, 2, 3, 4), 1.0, "tracking"),))
    link = LinkFlow(ROUTE, driven_before=False, anchor=anchor)
    wire = Script([ConnectionClosedError(CloseFrame(4404, ""), None), ready()])
    wire.run(link.open())
    assert wire.asked == ["connect", "receive", "close", "sleep", "begin anew", "connect", "receive"]
