"""Curves of fitness over births and over time, of bounded size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

from napari_menndl.search.facts import AnswerChosen, Best, Born, Evaluated, Finished, Started, Stopped, Telemetry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.search.facts import Fact


class HasFitness(Protocol):
    """Object with a fitness, for `best_of`."""

    @property
    def fitness(self) -> float | None: ...


#: Columns of a curve.
BIRTHS, ELAPSED, FITNESS, RUNG = 0, 1, 2, 3
#: The curves of a search, by name.
CURVES = ("best", "median", "evaluations", "failures", "answers")


class Curve:
    """Curve of bounded size: beyond the limit every other point is dropped, and of later points likewise.

    Parameters
    ----------
    most : int
        Maximum number of points.
    """

    def __init__(self, most: int = 2000) -> None:
        self._most = most
        self._every = 1
        self._seen = 0
        self._points: list[tuple[float, float, float, float]] = []

    def add(self, births: float, elapsed: float, fitness: float, rung: float = math.nan) -> None:
        """Append a point."""
        if self._seen % self._every == 0:
            self._points.append((births, elapsed, fitness, rung))
            if len(self._points) > self._most:
                del self._points[1::2]
                self._every *= 2
        self._seen += 1

    def array(self) -> NDArray[np.float64]:
        """Return the points, (n, 4) float64: births, time searched [s], fitness, rung (NaN where there is none)."""
        return np.array(self._points, np.float64).reshape(-1, 4)


@dataclass
class Curves:
    """The curves of one search.

    Attributes
    ----------
    best : Curve
        `best_of` network and answer, wherever it changed.
    median : Curve
        Median fitness of the population.
    evaluations, failures : Curve
        Every evaluation with a fitness, at its network's birth; every failure, with NaN as its fitness.
    answers : Curve
        Fitness of every answer chosen.
    births : int
    elapsed : float [s]
        Time searched up to the last fact, without pauses between resumes.
    """

    best: Curve = field(default_factory=Curve)
    median: Curve = field(default_factory=Curve)
    evaluations: Curve = field(default_factory=Curve)
    failures: Curve = field(default_factory=Curve)
    answers: Curve = field(default_factory=Curve)
    births: int = 0
    elapsed: float = 0.0
    _network: Best | None = None
    _answer: AnswerChosen | None = None
    _now: float | None = None
    _anchor: tuple[float, float] = (0.0, 0.0)

    def take(self, fact: Fact) -> None:
        """Add one fact of the journal."""
        match fact:
            case Started():
                self._anchor = fact.time, self.elapsed
            case Telemetry() | Finished() | Stopped():
                self._anchor = fact.time, fact.elapsed
        since, elapsed = self._anchor
        self.elapsed = elapsed + max(0.0, fact.time - since)
        match fact:
            case Born():
                self.births += 1
            case Best():
                self._network = fact
                self._rise()
            case AnswerChosen() if fact.members:
                self._answer = fact
                self.answers.add(self.births, self.elapsed, math.nan if fact.fitness is None else fact.fitness)
                self._rise()
            case Telemetry() if fact.median is not None:
                self.median.add(self.births, self.elapsed, fact.median)
            case Evaluated() if fact.key.level is not None:
                fitness = fact.evaluation.fitness
                curve = self.failures if fitness is None else self.evaluations
                curve.add(fact.key.network + 1, self.elapsed, math.nan if fitness is None else fitness, fact.key.level)

    def _rise(self) -> None:
        now = best_of(self._network, self._answer)
        if now is not None and now != self._now:
            self._now = now
            self.best.add(self.births, self.elapsed, now)


def best_of(network: HasFitness | None, answer: HasFitness | None) -> float | None:
    """Return the fitness of a search that all views and the command line show: the highest out of fold.

    Parameters
    ----------
    network, answer : with a ``fitness``, or None
        The best network, and the answer, whose mean is at least as good.
    """
    known = [one.fitness for one in (network, answer) if one is not None and one.fitness is not None]
    return max(known, default=None)
