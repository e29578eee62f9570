"""The results of tracking a frame, as values."""

from __future__ import annotations

from dataclasses import dataclass

from model.response import Response
from model.score_map import Peak
from model.search import Search
from model.tracker import Track


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a target was put where it is: its search, the network's response, and the peak chosen."""

    search: Search
    response: Response
    peak: Peak


@dataclass(frozen=True, slots=True)
class Tracked:
    """Targets tracked into a new frame, in order: evidence and tracks; seconds of waiting for the device and on it."""

    evidence: tuple[Evidence, ...] = ()
    tracks: tuple[Track, ...] = ()
    queue_s: float = 0.0
    infer_s: float = 0.0
