"""API keys that change while the server runs: the keys' file is read again when it has changed."""

from __future__ import annotations

import logging

from service.api.keys import Keyring
from service.settings import Settings

_log = logging.getLogger(__name__)
_Stamp = tuple[int, int, int] | None


class KeyFile:
    """Keeps a keyring equal to the keys of the settings, whose file may be replaced at any time."""

    def __init__(self, settings: Settings, keyring: Keyring) -> None:
        self._settings, self._keyring = settings, keyring
        self._seen = self._stamp()

    def refresh(self) -> frozenset[str]:
        """Read the file if it has changed; returns the owners whose keys are accepted no more.

        A file that cannot be read, or holds no key, leaves the keys as they were: a slip must not open the server.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return frozenset()
        self._seen = stamp
        try:
            keys = self._settings.keys()
        except ValueError as error:
            _log.error("the API keys stay as they were: %s", error)
            return frozenset()
        revoked = self._keyring.replace(keys)
        _log.info("the API keys were read again: %d, %d revoked", len(keys), len(revoked))
        return revoked

    def _stamp(self) -> _Stamp:
        path = self._settings.api_keys_file
        if path is None:
            return None
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
