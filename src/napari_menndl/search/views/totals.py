"""Totals and rates of a search, summed up from the facts of its journal."""

from __future__ import annotations

import math
from array import array
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_menndl.search.candidate import IMMIGRANT
from napari_menndl.search.facts import (
    AnswerChosen,
    Born,
    Evaluated,
    Failed,
    Finished,
    Lost,
    Promoted,
    Refit,
    Started,
    Stopped,
    Telemetry,
)
from napari_menndl.search.goals import parse_budget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.search.candidate import EvaluationKey
    from napari_menndl.search.facts import Fact


class Rate(NamedTuple):
    """Speed of a search.

    Attributes
    ----------
    networks_per_hour, births_per_second : float
    slots_busy : float
        Share of slot time spent on evaluations, 0 to 1.
    flops_per_second : float [FLOP/s]
        Sustained rate of training arithmetic.
    """

    networks_per_hour: float = 0.0
    births_per_second: float = 0.0
    slots_busy: float = 0.0
    flops_per_second: float = 0.0


#: Origins of networks: designed by hand, drawn at random, bred in this search, bred on another island.
ORIGINS = ("founders", "random", "offspring", "immigrants")


@dataclass
class OriginTotals:
    """Totals of the networks of one origin.

    Attributes
    ----------
    networks : int
        Evaluated at least once.
    seconds : float [s]
        Time of all their evaluations, summed over slots.
    best : float or None
        Their highest fitness.
    """

    networks: int = 0
    seconds: float = 0.0
    best: float | None = None


class Totals:
    """Running totals of a journal's facts, the same for the search and its views.

    Attributes
    ----------
    phase, reason : str
        ``""`` before the start, ``"searching"``, ``"stopped"``, ``"finished"``; why it ended.
    learns : dict
        ``"frames"``, the number of frames learned from, and ``"defects"``, the number of labelled defects by class;
        empty in journals of versions that did not record it.
    slots, births, evaluations, promotions : int
    networks : int
        Candidates evaluated at least once.
    failures, lost : Counter of str
        Counts by kind: failures charged to networks; evaluations that were tried again.
    origins : dict of str to OriginTotals
        Evaluated networks by origin, of `ORIGINS`: what evolution adds to founders and random networks.
    elapsed : float [s]
        Time the search has run, over all resumes.
    slot_seconds, busy_seconds, gpu_seconds : float [s]
        Available slot time; slot time spent on evaluations; available GPU time.
    pool : dict
        The pool's own figures at the latest telemetry, summed over all resumes (`pool.protocol.PoolTelemetry`); empty
        before.
    median : float or None
        Median fitness of the population.
    answer : AnswerChosen or None
        The networks that predict best together.
    refits : dict of EvaluationKey to sequence of int
        The folds whose networks were refit on all labels, by the key of the refit; empty if that failed.
    finished : Finished or None
        The fact that ends the search; it repeats the latest answer.
    """

    def __init__(self) -> None:
        self.phase = self.reason = ""
        self.slots = self.births = self.networks = self.evaluations = self.promotions = 0
        self.failures: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.origins: dict[str, OriginTotals] = {}
        self._origin_of = array("b")
        self.refits: dict[EvaluationKey, Sequence[int]] = {}
        self.elapsed = self.slot_seconds = self.busy_seconds = self.gpu_seconds = self.train_flops = 0.0
        self.learns: dict[str, Any] = {}
        self.pool: dict[str, Any] = {}
        self.median: float | None = None
        self.answer: AnswerChosen | None = None
        self.finished: Finished | None = None
        self._settled = 0
        self._answers: list[tuple[float, float]] = []

    @property
    def in_flight(self) -> int:
        """Number of evaluations in flight, without refits."""
        return max(0, self.births + self.promotions - self._settled)

    @property
    def gain(self) -> float | None:
        """Gain of the answer's fitness in the second half of the time searched; None if there was no answer before."""
        before = [fitness for elapsed, fitness in self._answers if elapsed <= self.elapsed / 2]
        return self._answers[-1][1] - before[-1] if before else None

    def take(self, fact: Fact) -> None:
        """Add one fact; kinds that do not affect the totals are ignored."""
        match fact:
            case Born():
                self.births += 1
                self._note_origin(fact)
            case Promoted():
                self.promotions += 1
            case Evaluated():
                self._settle(fact)
            case Refit():
                self._add_effort(fact)
                self.refits[fact.key] = () if fact.evaluation.failure else fact.folds
            case Lost():
                self.lost[fact.failure.kind] += 1
            case Telemetry():
                self._take_telemetry(fact)
            case Started():
                self.phase, self.reason, self.finished, self.slots = "searching", "", None, fact.slots
                self.learns = fact.learns or self.learns
            case Finished():
                self.phase, self.reason, self.elapsed = fact.kind, fact.reason, fact.elapsed
                self.finished = fact
                self.answer = fact if fact.members else self.answer
            case AnswerChosen():
                self.answer = fact
                if fact.fitness is not None:
                    self._answers.append((self.elapsed, fact.fitness))
            case Stopped():
                self.phase, self.reason, self.elapsed = fact.kind, fact.reason, fact.elapsed

    def _settle(self, fact: Evaluated) -> None:
        level = fact.key.level
        self.evaluations += 1
        self.networks += level == 0
        self._settled += level is not None
        self._add_effort(fact)
        if level is not None and 0 <= fact.key.network < len(self._origin_of):
            self._add_to_origin(fact, level)
        if isinstance(fact, Failed):
            self.failures[fact.failure.kind] += 1

    def _note_origin(self, fact: Born) -> None:
        first = fact.origin.partition(" ")[0]
        number = {"founder": 0, "random": 1, IMMIGRANT: 3}.get(first, 2)
        if fact.id == len(self._origin_of):  # ids are births, counted from 0
            self._origin_of.append(number)

    def _add_to_origin(self, fact: Evaluated, level: int) -> None:
        one = self.origins.setdefault(ORIGINS[self._origin_of[fact.key.network]], OriginTotals())
        one.networks += level == 0
        one.seconds += fact.evaluation.seconds
        if fact.evaluation.fitness is not None:
            one.best = max(fact.evaluation.fitness, one.best or 0.0)

    def _add_effort(self, fact: Evaluated | Refit) -> None:
        self.train_flops += fact.evaluation.train_flops
        if not self.pool:
            self.busy_seconds += fact.finished - fact.started

    def _take_telemetry(self, fact: Telemetry) -> None:
        self.elapsed, self.slots, self.median = fact.elapsed, fact.slots, fact.median
        self.slot_seconds, self.gpu_seconds, self.pool = fact.slot_seconds, fact.gpu_seconds, fact.pool
        # From the clock of the slots, which counts running jobs as well as those that have ended.
        self.busy_seconds = fact.pool["busy_seconds"]

    @property
    def mean(self) -> Rate:
        """Rates over the whole search."""
        if not self.elapsed:
            return Rate()
        return Rate(
            3600 * self.networks / self.elapsed,
            self.births / self.elapsed,
            min(1.0, self.busy_seconds / self.slot_seconds) if self.slot_seconds else 0.0,
            self.train_flops / self.elapsed,
        )

    def pool_summary(self) -> dict[str, Any]:
        """Return figures of the pool over the whole search; empty if the journal does not say.

        ``waited`` is the share of slot time in which a job was present but not running yet; ``networks_per_gpu_hour``
        is None without GPUs; ``bytes_per_network`` counts transfers to the slots and back, without staged bytes.
        """
        if not self.pool:
            return {}
        moved = self.pool["sent_bytes"] + self.pool["received_bytes"]
        return {
            "workers": self.pool["workers"],
            "gpus": self.pool["gpus"],
            "quarantined": list(self.pool["quarantined"]),
            "waited": min(1.0, self.pool["waited_seconds"] / self.slot_seconds) if self.slot_seconds else 0.0,
            "networks_per_gpu_hour": 3600 * self.networks / self.gpu_seconds if self.gpu_seconds else None,
            "bytes_per_network": moved / self.networks if self.networks else 0.0,
            "staged_bytes": self.pool["staged_bytes"],
            "staged_seconds": self.pool["staged_seconds"],
        }


class _Reading(NamedTuple):
    elapsed: float
    networks: int
    births: int
    flops: float
    busy: float
    slot_seconds: float


class Rates:
    """Rates over the latest part of a search, from the totals at each telemetry.

    Parameters
    ----------
    window : float [s]
        Length of that part in time searched; longer if evaluations are rare.
    """

    def __init__(self, window: float = 120.0) -> None:
        self._window = window
        self._readings: deque[_Reading] = deque([_Reading(0.0, 0, 0, 0.0, 0.0, 0.0)])

    def take(self, totals: Totals) -> None:
        """Record the totals after a telemetry fact."""
        now = _Reading(
            totals.elapsed,
            totals.networks,
            totals.births,
            totals.train_flops,
            totals.busy_seconds,
            totals.slot_seconds,
        )
        self._readings.append(now)
        # An evaluation counts when it ends: over a time in which few end, the rate would swing widely.
        while (
            len(self._readings) > 2
            and now.elapsed - self._readings[1].elapsed >= self._window
            and now.networks - self._readings[1].networks >= 20
        ):
            self._readings.popleft()

    def now(self) -> Rate:
        """Return the rates between the first and the last reading of the window."""
        first, last = self._readings[0], self._readings[-1]
        seconds, slots = last.elapsed - first.elapsed, last.slot_seconds - first.slot_seconds
        if seconds <= 0:
            return Rate()
        return Rate(
            3600 * (last.networks - first.networks) / seconds,
            (last.births - first.births) / seconds,
            min(1.0, (last.busy - first.busy) / slots) if slots > 0 else 0.0,
            (last.flops - first.flops) / seconds,
        )


def seconds_left(budget: str, elapsed: float, births: int, rate: Rate) -> float | None:
    """Estimate the time until the budget's time or number of networks is used up [s].

    None if unknown: fitness and plateau limits have no predictable end.
    """
    goal = parse_budget(budget)
    left = goal.seconds - elapsed
    if rate.births_per_second > 0:
        left = min(left, goal.births_left(births) / rate.births_per_second)
    return max(0.0, left) if math.isfinite(left) else None
