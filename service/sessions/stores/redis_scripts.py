"""The scripts that Redis (or Valkey) runs for the store. A script is atomic and uses one key.

A session is one hash, which expires by itself:

    o   owner            f   facts          s   state            v   version of the state
    d   the holder's token                  u   end of its lease, in ms of the Redis server's clock
    g   generation: the number of leases so far
    b   the token that the holder resumed from, until its first commit
    a0… the last answers with their connection's token, by seq modulo the ring
    x…  exemplars by name

Time is the Redis server's, so that the replicas' clocks do not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1

from service.sessions.stores.store import RING

_NOW = "local t = redis.call('TIME') local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"


@dataclass(frozen=True)
class Script:
    """A script and the digest that Redis knows it by."""

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", sha1(self.text.encode(), usedforsecurity=False).hexdigest())


ACQUIRE = Script(
    _NOW
    + f"""
-- owner, token, resumed token or '', lease in ms
local r = redis.call('HMGET', KEYS[1], 'o', 'd', 'u', 'b')
if not r[1] or r[1] ~= ARGV[1] then return {{'gone'}} end
local known = ARGV[3] ~= '' and (ARGV[3] == r[2] or ARGV[3] == r[4])
-- A lease further in the future than any is made was dated before the server's clock went back.
local living = tonumber(r[3]) > now and tonumber(r[3]) <= now + 2 * ARGV[4]
if living and not known then return {{'busy'}} end
redis.call('HSET', KEYS[1], 'd', ARGV[2], 'u', now + ARGV[4], 'b', known and ARGV[3] or '')
local g = redis.call('HINCRBY', KEYS[1], 'g', 1)
local names = {{'f', 's', 'v'}}
for i = 0, {RING - 1} do names[#names + 1] = 'a' .. i end
local values = redis.call('HMGET', KEYS[1], unpack(names))
return {{'ok', g, known and 1 or 0, living and 1 or 0, redis.call('PTTL', KEYS[1]), values}}
"""
)
"""Take the lease."""

COMMIT = Script(
    _NOW
    + """
-- token, version, lease in ms, life in ms, number of fields to delete, their names, then field and value by turns
local r = redis.call('HMGET', KEYS[1], 'd', 'v')
if not r[1] then return 'gone' end
if r[1] ~= ARGV[1] then return 'fenced' end
local before, version = tonumber(r[2]), tonumber(ARGV[2])
if before > version then return 'late' end
-- The same step again: its answer was lost, so it was sent a second time.
if before == version then return 'held' end
local gone = tonumber(ARGV[5])
if gone > 0 then redis.call('HDEL', KEYS[1], unpack(ARGV, 6, 5 + gone)) end
redis.call('HSET', KEYS[1], 'v', ARGV[2], 'u', now + ARGV[3], 'b', '', unpack(ARGV, 6 + gone))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 'held'
"""
)
"""Write a step."""

RENEW = Script(
    _NOW
    + """
-- token, lease in ms; 0 releases it
local d = redis.call('HGET', KEYS[1], 'd')
if not d then return 'gone' end
if d ~= ARGV[1] then return 'fenced' end
redis.call('HSET', KEYS[1], 'u', now + ARGV[2])
return 'held'
"""
)
"""Renew a lease, or release it."""

PROBE = Script(
    _NOW
    + """
redis.call('HSET', KEYS[1], 'v', now)
redis.call('PEXPIRE', KEYS[1], 10000)
return 'held'
"""
)
"""Write something, with the commands that sessions need: a store that cannot is no store, though it answers PING."""

READ = Script(
    """
-- owner
local r = redis.call('HMGET', KEYS[1], 'o', 'f', 's')
if not r[1] or r[1] ~= ARGV[1] then return {} end
return {r[2], r[3], redis.call('PTTL', KEYS[1])}
"""
)
"""Read a session's facts, state and remaining life."""

DELETE = Script(
    """
-- owner
if redis.call('HGET', KEYS[1], 'o') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
)
"""End a session."""
