"""TLS to Redis: whom to trust, and whom to be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a rediss:// connection: the authority to trust, and this client's certificate and its key."""

    authority: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def arguments(self) -> dict[str, str]:
        """The redis client's arguments."""
        files = {"ssl_ca_certs": self.authority, "ssl_certfile": self.certificate, "ssl_keyfile": self.key}
        return {name: str(path) for name, path in files.items() if path is not None}
