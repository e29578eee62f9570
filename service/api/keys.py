"""API keys: they identify a caller."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping

from service.errors import Unauthorized
from siamfc.contract import BEARER_SUBPROTOCOL

ANYONE = "anyone"
"""The owner of every session on a server without keys."""


class Keyring:
    """The accepted API keys, of which only SHA-256 digests are kept."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = _digests(keys)

    def replace(self, keys: Iterable[str]) -> frozenset[str]:
        """Accept these keys from now on; returns the owners whose keys are accepted no more."""
        before, self._digests = self._digests, _digests(keys)
        return frozenset(_owner(digest) for digest in set(before) - set(self._digests))

    @property
    def asked(self) -> bool:
        """Whether callers need a key."""
        return bool(self._digests)

    def owner(self, headers: Mapping[str, str], subprotocols: Iterable[str] = ()) -> str:
        """Identify a caller by the `authorization` header or, on a socket, by the bearer subprotocol.

        Returns the first 32 hexadecimal digits of the key's digest, or `anyone`. Raises Unauthorized if a key is needed
        and is missing or wrong.
        """
        if not self.asked:
            return ANYONE
        key = _header_key(headers.get("authorization")) or _subprotocol_key(subprotocols)
        if key is None:
            raise Unauthorized("this server needs an API key: Authorization: Bearer KEY")
        given = hashlib.sha256(key.encode()).digest()
        # All digests are compared, so that the time taken does not tell which one matched.
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        if not any(matches):
            raise Unauthorized("this API key is not accepted")
        return _owner(given)


def _digests(keys: Iterable[str]) -> tuple[bytes, ...]:
    return tuple(hashlib.sha256(key.encode()).digest() for key in keys)


def _owner(digest: bytes) -> str:
    return digest.hex()[:32]


def _header_key(value: str | None) -> str | None:
    scheme, _, key = (value or "").partition(" ")
    return key.strip() or None if scheme.lower() == "bearer" else None


def _subprotocol_key(subprotocols: Iterable[str]) -> str | None:
    for name in subprotocols:
        if name.startswith(BEARER_SUBPROTOCOL):
            encoded = name.removeprefix(BEARER_SUBPROTOCOL)
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, ValueError):
                return None
    return None
