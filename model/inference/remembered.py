"""Choices of a runtime and precision, kept in the user's cache folder so that the next start need not measure.

A file is one measurement: the circumstances that it was made in, and the result. A file that cannot be read, belongs
to another user, is old, or was made in other circumstances is ignored. One that is taken decides between candidates
that this process has found to run here, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import platform
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from model.files import replacing
from model.inference.choice import Candidate, Choice, Measured, decide

_log = logging.getLogger(__name__)

MAX_AGE_S = 30 * 86_400.0
"""Seconds after which a choice is measured anew: it may have been made in a busy moment."""

_FORMAT = 1
_MAX_BYTES = 64 * 1024
_PACKAGES = ("siamfc-service", "torch", "openvino", "numpy", "opencv-python-headless")


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The facts on which a choice depends: a digest of the weights, candidates, threads, processor and versions."""

    weights_sha256: str
    candidates: tuple[str, ...]
    threads: int
    processor: str
    cores: int
    versions: tuple[tuple[str, str], ...]

    @classmethod
    def here(cls, weights_sha256: str, candidates: Sequence[Candidate], threads: int) -> Circumstances:
        """The facts of this machine and process."""
        names = tuple(map(str, candidates))
        return cls(weights_sha256, names, threads, _processor(), _cores(), tuple(map(_version, _PACKAGES)))

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "weights_sha256": self.weights_sha256,
            "candidates": list(self.candidates),
            "threads": self.threads,
            "processor": self.processor,
            "cores": self.cores,
            "versions": dict(self.versions),
        }

    @property
    def file_name(self) -> str:
        """A file name that other circumstances do not have."""
        text = json.dumps(self.as_json(), sort_keys=True)
        return f"choice-{hashlib.sha256(text.encode()).hexdigest()[:32]}.json"


class RememberedChoices:
    """The choices in one folder. Nothing here raises for a file or folder that cannot be used."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """`clock`: seconds since 1970."""
        self._folder, self._clock = folder, clock

    @classmethod
    def of_user(cls) -> RememberedChoices:
        """The choices in the user's cache folder: `$XDG_CACHE_HOME/siamfc`, else `~/.cache/siamfc`."""
        base = os.environ.get("XDG_CACHE_HOME", "")
        # The specification says that a relative path is to be ignored.
        return cls((Path(base) if os.path.isabs(base) else Path(os.path.expanduser("~/.cache"))) / "siamfc")

    def recall(self, here: Circumstances, candidates: Sequence[Candidate]) -> Choice | None:
        """The choice that was made among the candidates in these circumstances; None where it is to be measured."""
        path = self._folder / here.file_name
        try:
            body = json.loads(_read_own(path))
            age_s = self._clock() - float(body["measured_at"])
            if body["format"] != _FORMAT or body["circumstances"] != here.as_json() or not 0 <= age_s <= MAX_AGE_S:
                _log.info("the choice in %s is old, or was made in other circumstances", path)
                return None
            measured = tuple(_parsed(each, candidates) for each in body["measured"])
            if {each.candidate for each in measured} != set(candidates):
                raise ValueError("it does not measure each candidate")
            choice = Choice(decide(measured).candidate, measured)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            _log.warning("the choice in %s cannot be used: %s", path, error)
            return None
        _log.info("the choice was measured here before: %s", path)
        return choice

    def keep(self, here: Circumstances, choice: Choice) -> None:
        """Remember a choice that was measured in these circumstances."""
        path = self._folder / here.file_name
        body = {
            "format": _FORMAT,
            "measured_at": self._clock(),
            "circumstances": here.as_json(),
            "measured": [_as_json(each) for each in choice.measured],
        }
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(path) as partial:
                partial.write_text(json.dumps(body, indent=2) + "\n", encoding="utf-8")
        except OSError as error:
            _log.info("the choice is not remembered: %s", error)


def _read_own(path: Path) -> str:
    """The text of a small regular file of this user's. Raises OSError and ValueError."""
    # Neither follow a link nor wait for a pipe's writer.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with open(os.open(path, flags), "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise ValueError("it is no regular file")
        if hasattr(os, "getuid") and facts.st_uid != os.getuid():
            raise ValueError("it belongs to another user")
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError("it is too large")
    return data.decode("utf-8")


def _as_json(measured: Measured) -> dict[str, Any]:
    """A candidate that failed has null for numbers."""
    finite = math.isfinite(measured.drift_px)
    numbers = {"ms": measured.ms if finite else None, "drift_px": measured.drift_px if finite else None}
    return {"candidate": str(measured.candidate), **numbers}


def _parsed(body: dict[str, Any], candidates: Sequence[Candidate]) -> Measured:
    """Raises ValueError, TypeError and KeyError for what `_as_json` does not make of these candidates."""
    found = [each for each in candidates if str(each) == body["candidate"]]
    if len(found) != 1:
        raise ValueError(f"{body['candidate']!r} is no candidate here")
    if body["ms"] is None and body["drift_px"] is None:
        return Measured(found[0], math.inf, math.inf)
    ms, drift_px = float(body["ms"]), float(body["drift_px"])
    if not (0 < ms < math.inf and 0 <= drift_px < math.inf):
        raise ValueError(f"{body['candidate']} cannot take {ms} ms and drift {drift_px} px")
    return Measured(found[0], ms, drift_px)


def _version(package: str) -> tuple[str, str]:
    try:
        return package, version(package)
    except PackageNotFoundError:
        return package, ""


def _processor() -> str:
    """The processor's name, and a digest of what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    named = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in reversed(lines))}
    abilities = named.get("flags", named.get("Features", ""))
    name = named.get("model name", platform.machine())
    return f"{name} {hashlib.sha256(abilities.encode()).hexdigest()[:16]}"


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
