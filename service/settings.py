"""The server's settings: environment variables `SIAMFC_*`, or arguments of the command line."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "SIAMFC_"

# The command line reads this one; it is no setting of the server.
_NOT_SETTINGS = frozenset({"SIAMFC_DEBUG"})


class SettingsError(ValueError):
    """A setting is unknown, malformed or out of bounds."""


class Settings(BaseSettings):
    """Every setting of the server. Frozen; every value has a bound."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="Address to listen on; 0.0.0.0 for all.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N.")
    runtime: Literal["auto", "torch", "openvino"] = Field(
        "auto", description="What runs the network: torch, openvino, or auto for the faster one, measured at start."
    )
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = Field(
        "auto", description="Arithmetic of the embedding."
    )
    remember: bool = Field(
        True, description="Whether the next start takes over what was measured, from the user's cache folder."
    )
    weights: Path | None = Field(
        None, description="A weights file, or bundled weights by name: swift, paper, light, baseline."
    )
    threads: int = Field(0, ge=0, le=1024, description="CPU threads of the network; 0: one for each core.")
    workers: int = Field(1, ge=1, le=64, description="Server processes on the port; more than 1 need a redis:// store.")
    store: str = Field(
        "memory://",
        repr=False,
        description="Where sessions live: memory://, or redis://[:PASSWORD@]HOST[:PORT][/DB] for several replicas.",
    )
    store_ca: Path | None = Field(None, description="PEM file of the authority that a rediss:// store is trusted by.")
    store_cert: Path | None = Field(None, description="PEM file of the certificate to show to a rediss:// store.")
    store_key: Path | None = Field(None, description="PEM file of that certificate's key.")
    max_sessions: int = Field(512, ge=1, le=1_000_000, description="Sessions at once; one more is refused.")
    max_targets: int = Field(16, ge=1, le=256, description="Targets in a session.")
    session_ttl_s: float = Field(600.0, gt=0, le=604_800, description="Seconds without a frame until a session ends.")
    max_frame_bytes: int = Field(8 * 2**20, ge=1024, le=2**30, description="Bytes of an encoded frame.")
    max_frame_pixels: int = Field(4096 * 4096, ge=1024, le=2**30, description="Pixels of a frame, by its header.")
    max_connections: int = Field(
        4096, ge=1, le=1_000_000, description="Connections open at once; fewer where the system allows fewer files."
    )
    head_s: float = Field(10.0, gt=0, le=600, description="Seconds in which a request's head must arrive.")
    body_s: float = Field(60.0, gt=0, le=3600, description="Seconds in which a request's body must arrive.")
    body_budget_bytes: int = Field(
        256 * 2**20, ge=2**20, le=2**40, description="Bytes of request bodies held at once; at least one body's."
    )
    batch_max: int = Field(32, ge=1, le=1024, description="Targets in one pass of the network.")
    batch_max_ms: float = Field(100.0, ge=0, le=60_000, description="Longest time of one pass; 0: no limit.")
    pass_limit_s: float = Field(
        30.0, gt=0, le=3600, description="Time after which a pass is given up, and the server ends with status 1."
    )
    batch_wait_ms: float = Field(0.0, ge=0, le=1000, description="Time to wait for a batch to fill.")
    max_queue_ms: float = Field(
        2000.0, ge=0, le=600_000, description="Wait for each target above which new sessions are refused; 0: never."
    )
    window: int = Field(4, ge=1, le=64, description="Unanswered frames that a stream may have under way.")
    small_frames_per_s: float = Field(
        500.0, gt=0, le=1e6, description="Texts, pings and small pieces a second that a stream may send; more wait."
    )
    drain_s: float = Field(6.0, gt=0, le=600, description="Time to answer accepted frames when told to stop.")
    api_keys: SecretStr | None = Field(None, description="Comma-separated keys; none: callers need no key.")
    api_keys_file: Path | None = Field(None, description="A file with one key on each line.")
    keys_for: str = Field("", description="What beside /v1 asks for a key, comma-separated: metrics, docs.")
    max_sessions_per_key: int = Field(0, ge=0, le=1_000_000, description="Sessions at once of each key; 0: no limit.")
    rate_limit_fps: float = Field(0.0, ge=0, le=1e6, description="Frames a second for each key; 0: no limit.")
    cors_origins: str = Field("", description="Comma-separated origins whose pages may call; * for any.")
    allowed_hosts: str = Field(
        "", description="Comma-separated hosts to answer to, *.example.org for all below; empty: docs/operations.md."
    )
    trusted_proxies: str = Field(
        "", description="Comma-separated addresses or networks whose X-Forwarded-For is believed; empty: none."
    )
    otlp_endpoint: str = Field("", description="Base address of an OTLP/HTTP collector for traces; empty: none.")
    log_format: Literal["console", "json"] = Field("console", description="Format of log lines.")

    @field_validator("otlp_endpoint")
    @classmethod
    def _address(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("an OTLP endpoint starts with http:// or https://, as in http://localhost:4318")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _addresses(cls, value: str) -> str:
        for each in _listed(value):
            try:
                ip_network(each)
            except ValueError:
                raise ValueError(f"a proxy is an address or a network, as 10.0.0.0/8, not {each!r}") from None
        return value

    @field_validator("keys_for")
    @classmethod
    def _guardable(cls, value: str) -> str:
        if unknown := set(_listed(value)) - {"metrics", "docs"}:
            raise ValueError(f"keys may be asked for metrics and docs, not for {', '.join(sorted(unknown))}")
        return value

    @field_validator("store")
    @classmethod
    def _known_store(cls, value: str) -> str:
        if value == "memory://":
            return value
        # The messages leave the value out: it may hold a password.
        if not value.startswith(("redis://", "rediss://")):
            raise ValueError("a store is memory://, or redis://HOST (rediss://HOST with TLS)")
        try:
            parts = urlsplit(value)
            valid = bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            valid = False
        if not valid or not re.fullmatch(r"/?\d*", parts.path) or parts.query or parts.fragment:
            raise ValueError("the store's address must be redis://[:PASSWORD@]HOST[:PORT][/DB]")
        if find_spec("redis") is None:
            raise ValueError("a redis:// store needs the extra redis: pip install 'siamfc-service[redis]'")
        return value

    @model_validator(mode="after")
    def _workers_share_sessions(self) -> Settings:
        if self.workers > 1 and self.store == "memory://":
            raise ValueError(
                f"{self.workers} workers need a store that all of them reach: a connection comes to any of them, and "
                f"sessions in memory:// are known to one. Set {PREFIX}STORE=redis://HOST, or one worker"
            )
        if self.workers > 1 and os.name != "posix":
            raise ValueError("several workers need Linux or another POSIX system")
        return self

    @model_validator(mode="after")
    def _tls_usable(self) -> Settings:
        files = {"STORE_CA": self.store_ca, "STORE_CERT": self.store_cert, "STORE_KEY": self.store_key}
        given = {name: path for name, path in files.items() if path is not None}
        if given and not self.store.startswith("rediss://"):
            raise ValueError(f"{PREFIX}{next(iter(given))} is for a rediss:// store")
        if (self.store_cert is None) != (self.store_key is None):
            raise ValueError(f"{PREFIX}STORE_CERT and {PREFIX}STORE_KEY go together")
        for name, path in given.items():
            if not path.is_file():
                raise ValueError(f"the file of {PREFIX}{name} cannot be read: {path}")
        return self

    @model_validator(mode="after")
    def _keys_readable(self) -> Settings:
        self.keys()
        return self

    def keys(self) -> tuple[str, ...]:
        """The API keys; empty if callers need none. Raises ValueError."""
        found: list[str] = []
        if self.api_keys is not None:
            found += [key.strip() for key in self.api_keys.get_secret_value().split(",")]
        if self.api_keys_file is not None:
            try:
                found += [line.strip() for line in self.api_keys_file.read_text(encoding="utf-8").splitlines()]
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"the file of {PREFIX}API_KEYS_FILE cannot be read: {error}") from error
        keys = tuple(dict.fromkeys(key for key in found if key))
        if not keys and (self.api_keys is not None or self.api_keys_file is not None):
            raise ValueError(f"{PREFIX}API_KEYS or {PREFIX}API_KEYS_FILE is set, but holds no key")
        return keys

    def environment(self) -> dict[str, str]:
        """This process's environment with these settings in place of its own, for a process that is to have them."""
        others = {name: value for name, value in os.environ.items() if not _is_setting(name)}
        named = {name: getattr(self, name) for name in type(self).model_fields}
        return others | {PREFIX + name.upper(): _as_text(value) for name, value in named.items()}

    def origins(self) -> tuple[str, ...]:
        """The CORS origins."""
        return _listed(self.cors_origins)

    def hosts(self) -> tuple[str, ...]:
        """The hosts that are listed as this server's."""
        return _listed(self.allowed_hosts)

    def proxies(self) -> tuple[str, ...]:
        """The addresses and networks of trusted proxies."""
        return _listed(self.trusted_proxies)

    def guarded(self) -> tuple[str, ...]:
        """What beside `/v1` asks for a key."""
        return _listed(self.keys_for)


def _listed(value: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in value.split(",") if each.strip())


def _is_setting(variable: str) -> bool:
    """Whether an environment variable is meant for the server."""
    return variable.upper().startswith(PREFIX) and variable.upper() not in _NOT_SETTINGS


def _as_text(value: Any) -> str:
    """A setting as its variable has it; what is not set is empty."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return "" if value is None else str(value)


def load_settings(**overrides: Any) -> Settings:
    """Load the settings from the environment; `overrides`, by field name, win. Raises SettingsError.

    A variable with the prefix that is no setting is refused, so that a misspelt name does not pass silently.
    """
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    unknown = sorted(name for name in os.environ if _is_setting(name) and name.upper() not in known)
    if unknown:
        raise SettingsError(f"no such setting: {', '.join(unknown)}")
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{PREFIX}{first['loc'][0]}: ".upper() if first["loc"] else ""
        raise SettingsError(name + first["msg"].removeprefix("Value error, ")) from None
