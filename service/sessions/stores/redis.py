"""A store in Redis or Valkey, for any number of replicas. `redis_scripts` describes the data."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from service.errors import SessionBusy, SessionNotFound, StoreUnavailable
from service.operations.metrics import Metrics, StoreCall
from service.sessions.stores.encoding import (
    pack_answer,
    pack_exemplar,
    pack_facts,
    pack_state,
    unpack_answer,
    unpack_exemplar,
    unpack_facts,
    unpack_state,
)
from service.sessions.stores.redis_damage import damage_told, damaged, is_damage
from service.sessions.stores.redis_scripts import ACQUIRE, COMMIT, DELETE, PROBE, READ, RENEW, Script
from service.sessions.stores.redis_tls import TlsFiles
from service.sessions.stores.store import (
    Claim,
    Commit,
    Exemplar,
    Facts,
    FrameAnswer,
    LeaseToken,
    Resume,
    Snapshot,
    Standing,
    State,
)

_log = logging.getLogger(__name__)
T = TypeVar("T")

LEASE_S = 2.5
"""Seconds that a lease holds without renewal: the lease of a killed process lapses within three seconds."""

CALL_S = 1.0
"""The longest wait for one answer of Redis, in seconds."""

PROBE_S = 0.5
_PROBED = "probe"
"""Stands for a session's id in the key that the probe writes; ids are longer."""
CONNECTIONS = 32
_AWAY = "the session store cannot be reached"
_FULL = "the session store is full"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def redacted(url: str) -> str:
    """The store's address without user and password, for log lines."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}{parts.path}"


class RedisStore:
    """A `SessionStore`. While Redis cannot be used, calls fail at once, and a probe watches for its return."""

    shared = True

    def __init__(
        self,
        url: str,
        metrics: Metrics,
        *,
        tls: TlsFiles | None = None,
        lease_s: float = LEASE_S,
        prefix: str = "siamfc:",
    ) -> None:
        """`url`: redis:// or rediss://, connected to at the first call; `prefix`: the beginning of every key.

        `tls`: the files of a rediss:// connection; None trusts the authorities of the system.
        """
        self._metrics, self._lease_ms, self._prefix = metrics, int(lease_s * 1e3), prefix
        self._address = redacted(url)
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=CALL_S,
            socket_timeout=CALL_S,
            socket_connect_timeout=CALL_S,
            protocol=2,
            **(tls.arguments() if tls is not None else {}),
            # One retry, for a connection that Redis has closed meanwhile. A step sent twice is written once.
            retry=Retry(NoBackoff(), 1, (RedisConnectionError,)),
        )
        self._redis: Redis = Redis.from_pool(pool)
        self._failure: str | None = "the session store has not answered yet"
        self._full = False
        self._probing: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    @property
    def failure(self) -> str | None:
        return self._failure or (_FULL if self._full else None)

    async def start(self) -> None:
        await self._probe()
        self._probing = asyncio.create_task(self._probe_on())

    async def stop(self) -> None:
        # An event and no cancellation: a call can swallow a cancellation, and the probe would never end.
        self._stopping.set()
        if self._probing is not None:
            await self._probing
        await self._redis.aclose()

    async def create(self, facts: Facts, state: State, exemplars: Sequence[tuple[str, Exemplar]]) -> None:
        key = self._key(facts.session_id)
        values: list[Any] = ["o", facts.owner, "f", pack_facts(facts), "s", pack_state(state)]
        values += ["v", 0, "d", "", "u", 0, "g", 0, "b", ""]
        for name, exemplar in exemplars:
            values += [f"x{name}", pack_exemplar(exemplar)]

        async def write() -> None:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hset(key, items=values)
                pipe.pexpire(key, _ms(facts.ttl_s))
                await pipe.execute()

        await self._call("create", write)

    async def read(self, session_id: str, owner: str) -> Snapshot:
        found = await self._call("read", lambda: self._eval(READ, session_id, owner))
        if not found:
            raise SessionNotFound("there is no such session")
        with damage_told():
            return Snapshot(unpack_facts(found[0]), unpack_state(found[1]), found[2] / 1e3)

    async def acquire(self, session_id: str, owner: str, token: str, resume: Resume | None = None) -> Claim:
        resumed = resume.token if resume is not None else ""
        found = await self._call(
            "acquire", lambda: self._eval(ACQUIRE, session_id, owner, token, resumed, self._lease_ms)
        )
        if found[0] == b"gone":
            raise SessionNotFound("there is no such session")
        if found[0] == b"busy":
            raise SessionBusy("another connection holds this session")
        _, generation, known, living, remaining_ms, (facts, state, version, *answers) = found
        with damage_told():
            missed = _missed(answers, resume) if resume is not None and known else None
            snapshot = Snapshot(unpack_facts(facts), unpack_state(state), remaining_ms / 1e3)
            return Claim(LeaseToken(session_id, token, generation), snapshot, int(version), missed, bool(living))

    async def commit(self, token: LeaseToken, commit: Commit) -> Standing:
        arguments: list[Any] = [token.value, commit.version, self._lease_ms]
        arguments += [_ms(commit.ttl_s), len(commit.gone), *(f"x{name}" for name in commit.gone)]
        arguments += ["s", pack_state(commit.state)]
        for answer in commit.answers:
            arguments += [f"a{answer.seq % commit.ring}", pack_answer(token.value, answer)]
        for name, exemplar in commit.added:
            arguments += [f"x{name}", pack_exemplar(exemplar)]
        return _standing(await self._call("commit", lambda: self._eval(COMMIT, token.session_id, *arguments)))

    async def renew(self, tokens: Sequence[LeaseToken]) -> list[Standing]:
        async def write() -> list[Any]:
            for _ in range(2):
                async with self._redis.pipeline(transaction=False) as pipe:
                    for token in tokens:
                        key = self._key(token.session_id)
                        pipe.execute_command("EVALSHA", RENEW.digest, 1, key, token.value, self._lease_ms)
                    answers: list[Any] = await pipe.execute(raise_on_error=False)
                answers = [b"gone" if is_damage(each) else each for each in answers]
                faults = [each for each in answers if isinstance(each, Exception)]
                if not faults:
                    return answers
                if not isinstance(faults[0], NoScriptError):
                    raise faults[0]
                await self._redis.script_load(RENEW.text)
            raise faults[0]

        return [_standing(each) for each in await self._call("renew", write)]

    async def release(self, token: LeaseToken) -> None:
        await self._call("release", lambda: self._eval(RENEW, token.session_id, token.value, 0))

    async def delete(self, session_id: str, owner: str) -> None:
        if not await self._call("delete", lambda: self._eval(DELETE, session_id, owner)):
            raise SessionNotFound("there is no such session")

    async def exemplars(self, session_id: str, names: Sequence[str]) -> dict[str, Exemplar]:
        key = self._key(session_id)
        fields = [f"x{name}" for name in names]
        found: list[Any] = await self._call("exemplars", lambda: self._command("HMGET", key, *fields))
        with damage_told():
            return {name: unpack_exemplar(data) for name, data in zip(names, found, strict=True) if data is not None}

    def sweep(self) -> None:
        # Redis expires keys by itself.
        pass

    def _key(self, session_id: str) -> str:
        if not _ID.fullmatch(session_id):
            raise SessionNotFound("there is no such session")
        return f"{self._prefix}{{{session_id}}}"

    async def _eval(self, script: Script, session_id: str, *arguments: Any) -> Any:
        key = self._key(session_id)
        try:
            return await self._command("EVALSHA", script.digest, 1, key, *arguments)
        except NoScriptError:
            await self._redis.script_load(script.text)
            return await self._command("EVALSHA", script.digest, 1, key, *arguments)

    async def _command(self, *words: Any) -> Any:
        return await self._redis.execute_command(*words)  # type: ignore[no-untyped-call]

    async def _call(self, name: StoreCall, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call in bounded time. It runs to its end even if the caller is cancelled, to leave no half step."""
        if self._failure is not None:
            raise StoreUnavailable(self._failure, retry_after_s=1)
        task = asyncio.ensure_future(self._timed(name, call))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()
            raise

    async def _timed(self, name: StoreCall, call: Callable[[], Awaitable[T]]) -> T:
        begun = time.perf_counter()
        try:
            async with asyncio.timeout(2 * CALL_S):
                return await call()
        except OutOfMemoryError as error:
            # What makes room, such as deleting a session, still works.
            self._full = True
            raise StoreUnavailable(_FULL, retry_after_s=1) from error
        except ResponseError as error:
            if is_damage(error):
                raise damaged() from error
            # Redis answers: the probe finds out within `PROBE_S` whether it is of use.
            raise StoreUnavailable(_AWAY, retry_after_s=1) from error
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            raise StoreUnavailable(_AWAY, retry_after_s=1) from error
        finally:
            self._metrics.store(name, time.perf_counter() - begun)

    def _failed(self, error: Exception) -> None:
        if self._failure is None or self._failure != _AWAY:
            _log.warning("the session store at %s cannot be reached: %s", self._address, type(error).__name__)
        self._failure = _AWAY

    async def _probe_on(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), PROBE_S)
                return
            await self._probe()

    async def _probe(self) -> None:
        try:
            async with asyncio.timeout(CALL_S):
                await self._eval(PROBE, _PROBED)
        except OutOfMemoryError:
            self._failure, self._full = None, True
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
        else:
            if self._failure is not None:
                _log.info("the session store at %s answers", self._address)
            self._failure, self._full = None, False


def _standing(answer: bytes) -> Standing:
    for standing in ("held", "late", "fenced", "gone"):
        if answer == standing.encode():
            return standing
    raise AssertionError(f"no standing: {answer!r}")


def _missed(kept: Sequence[bytes | None], resume: Resume) -> tuple[FrameAnswer, ...]:
    answers = (unpack_answer(data) for data in kept if data is not None)
    missed = [answer for token, answer in answers if token == resume.token and answer.seq >= resume.seq]
    return tuple(sorted(missed, key=lambda each: each.seq))


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1e3))
