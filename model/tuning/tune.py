"""Choosing the tracker's constants on training clips: random candidates first, then steps along each constant.

The objective is the mean overlap (AO), balanced by source. Candidates race: one that trails the leader on the clips
followed so far is not followed through the others. A result counts only if it is better on clips of other
families too; see `model.data.clips`.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.arrays import RgbImage
from model.boxes import iou
from model.checks import FromDict, require
from model.config import TrackerConfig
from model.data.clips import Clips, Excerpt, choose_clips
from model.data.corpus import Corpus
from model.inference.predictor import Predictor
from model.inference.single import SingleTracker

PYRAMID_BOUNDS = {
    "scale_penalty": (0.90, 1.0),
    "window_influence": (0.0, 0.5),
    "scale_damping": (0.1, 1.0),
    "scale_step": (1.01, 1.10),
}
"""Bounds within which each constant of a network with several search regions a frame is searched."""
HEAD_BOUNDS = {
    "window_influence": (0.0, 0.5),
    "scale_damping": (0.1, 1.0),
    "offset_share": (0.0, 1.0),
    "quality_influence": (0.0, 2.0),
}
"""The same for a network with a box head, which has one."""
_FIRST_STEP, _LAST_STEP = 0.2, 0.02
"""Steps as shares of a constant's range."""
_RACE_FROM = 6
"""Clips that every candidate is followed through before it can fall behind."""

OnRound = Callable[[str], None]
"""Called with a line that says how far the search has come."""


@dataclass(frozen=True, slots=True)
class TuningConfig(FromDict):
    """Limits of a search. If `trials` is the limit, the same seed gives the same result on the same machine."""

    minutes: float = 30.0
    """Wall clock, the check included. The present constants are followed through every clip, even beyond it."""
    trials: int = 200
    """Candidates, the present constants included."""
    seed: int = 0
    """Draws the clips and the first candidates."""
    frames: int = 20
    """Successive frames of a clip."""
    clips_per_source: int = 8
    """Greatest number of clips of a source, in the search and in the check."""
    random: int = 8
    """Candidates drawn at random before the steps begin."""

    def __post_init__(self) -> None:
        require(0 < self.minutes <= 10080, f"minutes must lie in (0, 10080], not {self.minutes}")
        require(1 <= self.trials <= 10**6, f"trials must lie in 1..1000000, not {self.trials}")
        require(self.seed >= 0, f"seed must be 0 or more, not {self.seed}")
        require(3 <= self.frames <= 10**6, f"frames must lie in 3..1000000, not {self.frames}")
        require(1 <= self.clips_per_source <= 10**6, f"clips_per_source must be 1 or more, not {self.clips_per_source}")
        require(0 <= self.random <= 10**6, f"random must be 0 or more, not {self.random}")


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate followed through every clip of the search: its constants and its objective, 0..1."""

    constants: TrackerConfig
    ao: float


@dataclass(frozen=True, slots=True)
class Tuning:
    """The outcome of a search.

    constants: the best ones where they are better on the check's clips as well, else the present ones. present and
    best: the trials of the search; check_present and check_best: the same two constants' AO on the check's clips.
    trials: every candidate followed to the end, best first. dropped: how many fell behind.
    """

    constants: TrackerConfig
    present: Trial
    best: Trial
    check_present: float
    check_best: float
    trials: tuple[Trial, ...]
    dropped: int

    @property
    def improved(self) -> bool:
        """Whether the constants are others than the present ones."""
        return self.constants != self.present.constants


class _Clock:
    """The time left for the search, and the cost of one followed clip."""

    def __init__(self, minutes: float, now: Callable[[], float]) -> None:
        self._now, self._began = now, now()
        self._end = self._began + 60 * minutes
        self.followed = 0

    def is_over(self, clips_to_come: int) -> bool:
        """Whether one more clip would leave too little time for `clips_to_come` after it."""
        each = (self._now() - self._began) / max(self.followed, 1)
        return self._now() + each * (clips_to_come + 1) > self._end

    def minutes(self) -> float:
        """Minutes since the beginning."""
        return (self._now() - self._began) / 60


class _Race:
    """Candidates and their overlaps on the clips of the search that they have been followed through."""

    def __init__(self, predictor: Predictor, corpus: Corpus, clips: Clips, clock: _Clock) -> None:
        self._predictor, self._corpus, self._clips, self._clock = predictor, corpus, clips, clock
        self._weights = np.array(clips.search_weights)
        self._overlaps: dict[TrackerConfig, list[float]] = {}

    def run(self, leader: TrackerConfig | None, candidates: Sequence[TrackerConfig]) -> bool:
        """Follow the candidates through clip after clip, except those that fall behind the leader.

        Without a leader all are followed to the end, however long it takes. False if the time was over before.
        """
        self._overlaps.update({each: [] for each in candidates})
        live = list(candidates)
        for excerpt in self._clips.search:
            if leader is not None:
                live = [each for each in live if not self._is_behind(each, leader)]
            frames = _frames(self._corpus, excerpt)
            for each in live:
                if leader is not None and self._clock.is_over(2 * len(self._clips.check)):
                    return False
                self._overlaps[each].append(_overlap(self._predictor, each, excerpt, frames))
                self._clock.followed += 1
        return True

    def _is_behind(self, candidate: TrackerConfig, leader: TrackerConfig) -> bool:
        """Whether it trails by more than a standard error of the clips' differences."""
        own = np.array(self._overlaps[candidate])
        if len(own) < _RACE_FROM:
            return False
        weights = self._weights[: len(own)] / self._weights[: len(own)].mean()
        gain = weights * (own - self._overlaps[leader][: len(own)])
        return bool(gain.mean() + gain.std() / len(own) ** 0.5 < 0)

    def new(self, candidates: Sequence[TrackerConfig], trials: int) -> list[TrackerConfig]:
        """The candidates that have not begun yet, at most as many as `trials` allows."""
        fresh = [each for each in dict.fromkeys(candidates) if each not in self._overlaps]
        return fresh[: trials - len(self._overlaps)]

    def trials(self) -> tuple[Trial, ...]:
        """The candidates that were followed to the end, best first; among equals the one that began first."""
        ended = [(each, own) for each, own in self._overlaps.items() if len(own) == len(self._weights)]
        return tuple(
            sorted((Trial(each, float(self._weights @ own)) for each, own in ended), key=lambda trial: -trial.ao)
        )

    @property
    def begun(self) -> int:
        return len(self._overlaps)


def tune(
    predictor: Predictor,
    corpus: Corpus,
    config: TuningConfig,
    on_round: OnRound = lambda _: None,
    now: Callable[[], float] = time.monotonic,
) -> Tuning:
    """Search from the constants of the predictor's weights. Raises CorpusError where the clips are too few.

    now: the clock that the minutes are measured by, in seconds.
    """
    clips = choose_clips(corpus.tracks, config.seed, config.frames, config.clips_per_source)
    clock = _Clock(config.minutes, now)
    race = _Race(predictor, corpus, clips, clock)
    present = predictor.tracker.constants
    race.run(None, [present])
    best, step, rng = present, _FIRST_STEP, np.random.default_rng([config.seed, 1])
    candidates = race.new([_random(present, rng) for _ in range(config.random)], config.trials)
    in_time = True
    while in_time and (candidates or step >= _LAST_STEP) and race.begun < config.trials:
        in_time = race.run(best, candidates)
        leader = race.trials()[0]
        if leader.constants == best and (race.begun > 1 + config.random or not candidates):
            step /= 2
        best = leader.constants
        on_round(f"{race.begun} candidates, {clock.minutes():.1f} min, best AO {leader.ao:.4f}")
        candidates = race.new(_steps(best, step), config.trials)
    return _checked(predictor, corpus, clips, race, present)


def _checked(predictor: Predictor, corpus: Corpus, clips: Clips, race: _Race, present: TrackerConfig) -> Tuning:
    trials = race.trials()
    best, weights = trials[0], np.array(clips.check_weights)
    found = {
        each: float(weights @ [_overlap(predictor, each, excerpt, _frames(corpus, excerpt)) for excerpt in clips.check])
        for each in dict.fromkeys([present, best.constants])
    }
    return Tuning(
        constants=best.constants if found[best.constants] > found[present] else present,
        present=next(trial for trial in trials if trial.constants == present),
        best=best,
        check_present=found[present],
        check_best=found[best.constants],
        trials=trials,
        dropped=race.begun - len(trials),
    )


def _frames(corpus: Corpus, excerpt: Excerpt) -> list[RgbImage]:
    return [corpus.rgb(member) for member in excerpt.track.frames[excerpt.start : excerpt.stop]]


def _overlap(predictor: Predictor, constants: TrackerConfig, excerpt: Excerpt, frames: Sequence[RgbImage]) -> float:
    """Mean overlap in the excerpt's frames that show the target, except the first."""
    truth = excerpt.track.boxes[excerpt.start : excerpt.stop]
    assert truth[0] is not None
    tracker = SingleTracker(predictor, dataclasses.replace(predictor.tracker, constants=constants))
    tracker.start(frames[0], truth[0])
    found: list[float] = []
    for frame, box in zip(frames[1:], truth[1:], strict=True):
        track = tracker.update(frame)
        if box is not None:
            found.append(float(iou(np.array(track.box.as_list()), np.array(box.as_list()))))
    return float(np.mean(found))


def searched(constants: TrackerConfig) -> Mapping[str, tuple[float, float]]:
    """The constants that matter to such a network, and their bounds."""
    return PYRAMID_BOUNDS if constants.scales > 1 else HEAD_BOUNDS


def _random(present: TrackerConfig, rng: np.random.Generator) -> TrackerConfig:
    drawn = _with(present, {name: rng.uniform(low, high) for name, (low, high) in searched(present).items()})
    return dataclasses.replace(drawn, scale_interpolation=bool(rng.integers(2))) if present.scales > 1 else drawn


def _steps(best: TrackerConfig, step: float) -> list[TrackerConfig]:
    """Each constant moved up and down by that share of its range; and `scale_interpolation` the other way."""
    other = dataclasses.replace(best, scale_interpolation=not best.scale_interpolation)
    return [other] * (best.scales > 1) + [
        _with(best, {name: getattr(best, name) + sign * step * (high - low)})
        for name, (low, high) in searched(best).items()
        for sign in (1, -1)
    ]


def _with(constants: TrackerConfig, values: Mapping[str, float]) -> TrackerConfig:
    """The constants with these values, clipped to their bounds."""
    bounds = searched(constants)
    bounded = {
        name: round(min(max(float(value), bounds[name][0]), bounds[name][1]), 5) for name, value in values.items()
    }
    return TrackerConfig.from_dict({**dataclasses.asdict(constants), **bounded})
