"""Fitness over births and over time, as curves that stay small however long a search runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        `best_of` what there was by then, where it changed.
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
    _best: Fact | None = None
    _answer: Fact | None = None
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
        elif kind in ("best", "answer", "finished"):
            self._take_best(kind, fact)
        elif kind == "telemetry" and fact["median"] is not None:
            self.median.add(self.births, self.elapsed, fact["median"])
        elif kind == "evaluated" and fact["key"].rpartition("/")[2].isdigit():
            fitness = fact["evaluation"]["fitness"]
            if fitness is not None:
                self.evaluations.add(self.births, self.elapsed, fitness)

    def _take_best(self, kind: str, fact: Fact) -> None:
        before = best_of(self._best, self._answer)
        if kind == "best":
            self._best = fact
        elif fact["fitness"] is not None:
            self._answer = fact
        now = best_of(self._best, self._answer)
        if now is not None and now != before:
            self.best.add(self.births, self.elapsed, now)


def best_of(best: Mapping[str, Any] | None, answer: Mapping[str, Any] | None) -> float | None:
    """The one fitness of a search, in table, curve, figures and on the command line: the highest out of fold.

    Parameters
    ----------
    best, answer : mapping or None
        Of the best network, and of the answer, whose mean is as good or better; each with its ``fitness``.
    """
    known = [one["fitness"] for one in (best, answer) if one is not None and one["fitness"] is not None]
    return max(known, default=None)
