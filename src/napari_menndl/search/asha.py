"""Asynchronous successive halving: selection of the candidates that are promoted to the next rung.

Li et al. 2020, "A system for massively parallel hyperparameter tuning", arXiv:1810.05934: a candidate is promoted as
soon as it is among the best 1/eta of its rung, without waiting for a rung to be full.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_menndl.search.candidate import Scored


class Bracket:
    """The evaluations of one rung.

    The published algorithm ranks against all evaluations so far, which suits candidates drawn at random. In an
    evolution candidates improve: soon almost every new one would be among the best 1/eta of all and be promoted.
    Ranking against the last `window` evaluations keeps the criterion strict, and memory and time constant. Because the
    criterion moves, more than 1/eta meet it sooner or later; promotions are limited to 1/eta of all evaluations.

    Parameters
    ----------
    eta : int
    window : int
        Number of latest evaluations that a candidate is compared with.
    """

    def __init__(self, eta: int, window: int) -> None:
        self.eta = eta
        self.window = window
        self._recent: deque[Scored] = deque()
        self._ranked: list[tuple[float, int]] = []
        self._waiting: dict[int, Scored] = {}
        self._entered = self._promoted = 0

    def add(self, scored: Scored) -> None:
        """Add an evaluation."""
        self._entered += 1
        self._recent.append(scored)
        insort(self._ranked, _rank(scored))
        self._waiting[scored.id] = scored
        if len(self._recent) > self.window:
            oldest = self._recent.popleft()
            del self._ranked[bisect_left(self._ranked, _rank(oldest))]
            self._waiting.pop(oldest.id, None)

    def next(self) -> Scored | None:
        """Return the best candidate among the best 1/eta that is not promoted yet; None if no promotion is due."""
        ready = self.close() if self._promoted < self._entered // self.eta else []
        return ready[0] if ready else None

    @property
    def best(self) -> Scored | None:
        """The best candidate that is not promoted yet, whatever its rank; None if none waits."""
        ids = (-negative for _, negative in reversed(self._ranked))
        return next((self._waiting[one] for one in ids if one in self._waiting), None)

    def close(self, besides: int = 0) -> list[Scored]:
        """Return the candidates among the best 1/eta, and `besides` more, that are not promoted yet; best first."""
        top = min(len(self._ranked), len(self._ranked) // self.eta + besides)
        best = reversed(self._ranked[len(self._ranked) - top :])
        return [self._waiting[-negative] for _, negative in best if -negative in self._waiting]

    def waiting(self, identity: int) -> Scored:
        """Return a candidate that is not promoted yet, by its id."""
        return self._waiting[identity]

    def promote(self, identity: int) -> None:
        """Remove a candidate from those waiting, because it is promoted."""
        del self._waiting[identity]
        self._promoted += 1


def _rank(scored: Scored) -> tuple[float, int]:
    """Return the sort key; ties go to the earlier birth."""
    return scored.fitness, -scored.id
