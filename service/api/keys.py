"""API keys: who a caller is."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping

from service.errors import Unauthorized
from siamfc.contract import BEARER_SUBPROTOCOL

ANYONE = "anyone"
"""The owner of every session where no key is asked for."""


class Keyring:
    """The keys that are let in. Keeps digests only."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = tuple(hashlib.sha256(key.encode()).digest() for key in keys)

    @property
    def asked(self) -> bool:
        """Whether a key is asked for."""
        return bool(self._digests)

    def owner(self, headers: Mapping[str, str], subprotocols: Iterable[str] = ()) -> str:
        """Who a request is from, by its `authorization` header or, on a socket, by the bearer subprotocol.

        Raises Unauthorized where a key is asked for and none that is let in is given.
        """
        if not self.asked:
            return ANYONE
        key = _header_key(headers.get("authorization")) or _subprotocol_key(subprotocols)
        if key is None:
            raise Unauthorized("this server asks for an API key: Authorization: Bearer KEY")
        given = hashlib.sha256(key.encode()).digest()
        # Every digest is compared, so that the time says nothing.
        matches = [hmac.compare_digest(given, digest) for digest in self._digests]
        if not any(matches):
            raise Unauthorized("this API key is not known here")
        return given.hex()[:32]


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
