"""Asynchronous successive halving: who may go on to the next rung.

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

    The published algorithm ranks against all evaluations ever made, which suits candidates drawn at random. Those of an
    evolution get better: soon almost every newborn would be among the best third of history and be promoted. Ranking
    against the last `window` evaluations keeps the bar high, and memory and time constant. As the bar moves, more than
    1/eta pass under it sooner or later; no more than that are let through in all.

    Parameters
    ----------
    eta : int
    window : int
        Evaluations a candidate is compared with.
    """

    def __init__(self, eta: int, window: int) -> None:
        self.eta = eta
        self.window = window
        self._recent: deque[Scored] = deque()
        self._ranked: list[tuple[float, int]] = []
        self._waiting: dict[int, Scored] = {}
        self._entered = self._promoted = 0

    def add(self, scored: Scored) -> None:
        """Enter an evaluation."""
        self._entered += 1
        self._recent.append(scored)
        insort(self._ranked, _rank(scored))
        self._waiting[scored.id] = scored
        if len(self._recent) > self.window:
            oldest = self._recent.popleft()
            del self._ranked[bisect_left(self._ranked, _rank(oldest))]
            self._waiting.pop(oldest.id, None)

    def next(self) -> Scored | None:
        """The best among the best 1/eta that was not promoted yet; None when it is nobody's turn."""
        ready = self.close() if self._promoted < self._entered // self.eta else []
        return ready[0] if ready else None

    @property
    def best(self) -> Scored | None:
        """The best that was not promoted yet, whoever else is at the rung; None where nobody waits."""
        ids = (-negative for _, negative in reversed(self._ranked))
        return next((self._waiting[one] for one in ids if one in self._waiting), None)

    def close(self, besides: int = 0) -> list[Scored]:
        """Those among the best 1/eta, and `besides` more, that were not promoted yet; best first."""
        top = min(len(self._ranked), len(self._ranked) // self.eta + besides)
        best = reversed(self._ranked[len(self._ranked) - top :])
        return [self._waiting[-negative] for _, negative in best if -negative in self._waiting]

    def waiting(self, identity: int) -> Scored:
        """One that was not promoted yet."""
        return self._waiting[identity]

    def promote(self, identity: int) -> None:
        """Take one out of those waiting: it goes on."""
        del self._waiting[identity]
        self._promoted += 1


def _rank(scored: Scored) -> tuple[float, int]:
    """Ties go to the earlier birth."""
    return scored.fitness, -scored.id
