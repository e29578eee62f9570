"""Leases and fences in a real Redis: random sequences of calls, compared with a model of one paragraph.

The model: one token holds the lease. Another takes it if the lease is free (never taken, released, or lapsed), or if it
resumes from the holding token, or from the token which that one resumed from without a commit since. A step is written
if and only if its token holds the lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from service.errors import SessionBusy
from service.operations.metrics import Metrics
from service.sessions.stores.redis import RedisStore
from service.sessions.stores.store import Claim, LeaseToken, Resume
from tests.service.sessions.stores.test_store import answered, facts, state, step
from tests.support.redis_server import RedisServer

Result = TypeVar("Result")


class Leases(RuleBasedStateMachine):
    """Processes that acquire, commit, renew, release and die, in any order."""

    url = ""
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        # So long that no lease lapses by itself within a run.
        self.store = RedisStore(self.url, Metrics(), lease_s=600)
        self.holder = self.resumed = ""
        self.held = False
        self.index = self.count = 0
        self.told: dict[str, list[int]] = {}

    def wait(self, call: Coroutine[Any, Any, Result]) -> Result:
        return self.loop.run_until_complete(call)

    @initialize()
    def begin(self) -> None:
        self.wait(self.store.start())
        self.wait(self.store.create(facts("life"), state(), []))

    def acquire(self, resume: Resume | None) -> Claim | None:
        self.count += 1
        token = f"T{self.count}"
        known = resume is not None and resume.token in {self.holder, self.resumed} - {""}
        try:
            claim = self.wait(self.store.acquire("life", "me", token, resume))
        except SessionBusy:
            assert self.held
            assert not known
            return None
        assert not self.held or known
        assert claim.snapshot.state.frame_index == self.index
        assert claim.living == self.held
        assert claim.token.generation == sum(1 for _ in self.told) + 1
        missed = None if claim.missed is None else [each.seq for each in claim.missed]
        if known and resume is not None:
            assert missed == [seq for seq in self.told[resume.token] if seq >= resume.seq]
        else:
            assert missed is None
        self.holder, self.held = token, True
        self.resumed = resume.token if known and resume is not None else ""
        self.told[token] = []
        return claim

    @rule(target=claims)
    def come(self) -> Any:
        claim = self.acquire(None)
        return multiple() if claim is None else claim

    @rule(target=claims, old=claims, had=st.integers(0, 5))
    def come_back(self, old: Claim, had: int) -> Any:
        claim = self.acquire(Resume(old.token.value, had))
        return multiple() if claim is None else claim

    @rule(claim=claims)
    def commit(self, claim: Claim) -> None:
        self.index += 1
        told = self.told[claim.token.value]
        answers = answered(len(told))
        standing = self.wait(self.store.commit(claim.token, step(self.index, *answers)))
        if claim.token.value == self.holder:
            assert standing == "held"
            told.append(len(told))
            self.held, self.resumed = True, ""
        else:
            assert standing == "fenced"
            self.index -= 1

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        (standing,) = self.wait(self.store.renew([claim.token]))
        mine = claim.token.value == self.holder
        assert standing == ("held" if mine else "fenced")
        self.held = self.held or mine

    @rule(claim=consumes(claims))
    def let_go(self, claim: Claim) -> None:
        self.wait(self.store.release(claim.token))
        if claim.token.value == self.holder:
            self.held = False

    @rule()
    def lapse(self) -> None:
        """Let the lease lapse, as without a heartbeat."""
        if self.holder:
            lapsed = LeaseToken("life", self.holder, 0)
            self.wait(self.store.release(lapsed))
            self.held = False

    @invariant()
    def the_state_is_the_last_step(self) -> None:
        if self.loop.is_closed() or self.store.failure is not None:
            return
        assert self.wait(self.store.read("life", "me")).state.frame_index == self.index

    def teardown(self) -> None:
        # The next example's session has the same name, and must not find this one's answers.
        self.wait(self.store.delete("life", "me"))
        self.wait(self.store.stop())
        self.loop.close()


@pytest.fixture(autouse=True)
def _on_a_real_redis(redis: RedisServer) -> Iterator[None]:
    Leases.url = redis.url
    yield
    Leases.url = ""


TestLeases = Leases.TestCase
TestLeases.settings = settings(max_examples=40, stateful_step_count=25)
