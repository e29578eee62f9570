"""A lease is lost once, and its holder is woken."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from model.boxes import Box
from model.tracker import Track
from service.engine.slots import Slot
from service.errors import SessionBusy, SessionEnded
from service.sessions.lease import Lease
from service.sessions.session import Progress, Session, Target
from service.sessions.stores.store import Claim, Facts, LeaseToken, Snapshot

MADE = datetime(2026, 11, 23, 12, tzinfo=UTC)


def session() -> Session:
    target = Target("0", Track(Box(1, 2, 3, 4), (3, 4), (0, 0, 0)), "e0", Slot(0, 1))
    facts = Facts("s1", "me", (160, 120), 60.0, MADE)
    return Session(facts, Progress(0, (target,)), MADE + timedelta(seconds=60), 1060.0)


def held(made: Session) -> Lease:
    snapshot = Snapshot(made.facts, made.state, 60.0)
    made.lease = Lease(made, Claim(LeaseToken(made.id, "token", 1), snapshot, 0, None, False))
    return made.lease


def test_the_holder_is_woken_by_the_sessions_end() -> None:
    made, event = session(), asyncio.Event()
    lease = held(made)
    lease.check()
    with lease.watched(event):
        made.end("deleted")
        assert event.is_set()
    assert isinstance(lease.lost, SessionEnded)
    with pytest.raises(SessionEnded, match="deleted"):
        lease.check()


def test_a_lease_is_lost_once_and_the_first_reason_counts() -> None:
    lease, event = held(session()), asyncio.Event()
    lease.revoke(SessionBusy("taken"))
    lease.revoke(SessionEnded("ended"))
    assert isinstance(lease.lost, SessionBusy)
    with lease.watched(event):
        assert event.is_set(), "a holder that begins to watch after the loss would wait for ever"


def test_a_holder_that_no_longer_watches_is_not_woken() -> None:
    lease, event = held(session()), asyncio.Event()
    with lease.watched(event):
        pass
    lease.revoke(SessionBusy("taken"))
    assert not event.is_set()
