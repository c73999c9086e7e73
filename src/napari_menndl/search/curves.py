"""Fitness over births and over time, as curves that stay small however long a search runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.search.journal import Fact

#: Columns of a curve.
BIRTHS, ELAPSED, FITNESS = 0, 1, 2


class Curve:
    """Points that come one by one; when there are too many, every other one is dropped, and of those to come too.

    Parameters
    ----------
    most : int
        Points that are kept, at most.
    """

    def __init__(self, most: int = 2000) -> None:
        self._most = most
        self._every = 1
        self._seen = 0
        self._points: list[tuple[float, float, float]] = []

    def add(self, births: float, elapsed: float, fitness: float) -> None:
        """Append a point."""
        if self._seen % self._every == 0:
            self._points.append((births, elapsed, fitness))
            if len(self._points) > self._most:
                del self._points[1::2]
                self._every *= 2
        self._seen += 1

    def array(self) -> NDArray[np.float64]:
        """Return the points, (n, 3) float64: births, time searched [s], fitness."""
        return np.array(self._points, np.float64).reshape(-1, 3)


@dataclass
class Curves:
    """The curves of one search.

    Attributes
    ----------
    best : Curve
        Fitness of the answer, before the first one of the best network, where it changed.
    median : Curve
        Of the population.
    evaluations : Curve
        Every evaluation of the evolution that has a fitness.
    births : int
    elapsed : float [s]
        Time searched up to the last fact; pauses between resumes do not count.
    """

    best: Curve = field(default_factory=Curve)
    median: Curve = field(default_factory=Curve)
    evaluations: Curve = field(default_factory=Curve)
    births: int = 0
    elapsed: float = 0.0
    _answered: bool = False
    _anchor: tuple[float, float] = (0.0, 0.0)

    def take(self, fact: Fact) -> None:
        """Add one fact of the journal."""
        kind = fact["kind"]
        if kind in ("started", "resumed"):
            self._anchor = fact["time"], self.elapsed
        elif "elapsed" in fact:
            self._anchor = fact["time"], fact["elapsed"]
        since, elapsed = self._anchor
        self.elapsed = elapsed + max(0.0, fact["time"] - since)
        if kind == "born":
            self.births += 1
        elif kind == "answer" or (kind == "best" and not self._answered):
            self._answered = kind == "answer"
            self.best.add(self.births, self.elapsed, fact["fitness"])
        elif kind == "telemetry" and fact["median"] is not None:
            self.median.add(self.births, self.elapsed, fact["median"])
        elif kind == "evaluated" and fact["key"].rpartition("/")[2].isdigit():
            fitness = fact["evaluation"]["fitness"]
            if fitness is not None:
                self.evaluations.add(self.births, self.elapsed, fitness)
