"""Incremental reader of a journal that keeps everything a view shows of a search."""

from __future__ import annotations

import math
import time
from array import array
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.search.candidate import EvaluationKey
from napari_menndl.search.facts import Born, Evaluated, Telemetry, iterate_facts
from napari_menndl.search.journal import understood
from napari_menndl.search.views.curves import Curves, best_of
from napari_menndl.search.views.messages import describe_fact
from napari_menndl.search.views.totals import Rates, Totals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_menndl.genome.evaluation import Evaluation
    from napari_menndl.search.facts import Fact

_LOG_LINES = 500
#: Largest number of rungs that the settings allow; more are damage.
MOST_RUNGS = 16


@dataclass(frozen=True)
class Leader:
    """A row of the leaderboard.

    Attributes
    ----------
    id : int
    rung : int
        The highest rung at which it was evaluated.
    fitness, error : float
        Fitness at that rung, and its standard error.
    f1 : float
        Defect F1, mean over the classes that occur.
    parameters : int
    latency : float [ms per megapixel]
    device : str
        Device on which it was trained and timed.
    share : float
        Share of the rung's pixels that it was trained on; below 1 where there was no time for all.
    """

    id: int
    rung: int
    fitness: float
    error: float
    f1: float
    parameters: int
    latency: float
    device: str
    share: float

    @property
    def key(self) -> EvaluationKey:
        """Key of that evaluation."""
        return EvaluationKey.of(self.id, self.rung)

    @classmethod
    def of(cls, key: EvaluationKey, evaluation: Evaluation) -> Leader:
        """Return the row of an evaluation that has a fitness."""
        scores = [score.f1 for score in evaluation.scores]
        return cls(
            key.network,
            int(key.rung),
            math.nan if evaluation.fitness is None else evaluation.fitness,
            evaluation.error or 0.0,
            sum(scores) / len(scores) if scores else math.nan,
            evaluation.parameters,
            evaluation.latency,
            evaluation.device,
            evaluation.share,
        )


class RunReader:
    """Totals, leaderboard, curves, rates and log of a search, read from its journal.

    Each line is read once, and births without their genomes. For each network 8 bytes hold the offset of its birth in
    the journal, and 8 bytes per rung its fitness, so that a search of a million networks needs little memory.

    Parameters
    ----------
    path : Path
        Path of the journal.
    places : int
        Rows of the leaderboard.

    Attributes
    ----------
    status : Totals
    curves : Curves
    rates : Rates
    log : deque of (time [unix s], str)
        The latest lines of the log.
    last : float [unix s]
        When the latest fact was recorded; 0 before the first.
    """

    def __init__(self, path: Path, places: int = 50) -> None:
        self.status = Totals()
        self.curves = Curves()
        self.rates = Rates()
        self.log: deque[tuple[float, str]] = deque(maxlen=_LOG_LINES)
        self.last = 0.0
        self._path = path
        self._places = places
        # More rows than are shown: a network that scores lower at a higher rung moves down, and others move up.
        self._hall_of_fame: dict[int, Leader] = {}
        self._judged_at: dict[int, int] = {}
        self._bar = -math.inf
        self._births = array("q")
        self._fitness: list[array[float]] = []
        self._offset = 0

    def read(self, seconds: float = math.inf) -> bool:
        """Read the new facts of the journal.

        Parameters
        ----------
        seconds : float [s]
            Longest time to read.

        Returns
        -------
        bool
            Whether the end of the journal was reached; otherwise call again.
        """
        deadline = time.monotonic() + seconds
        try:
            with closing(iterate_facts(self._path, self._offset, genomes=False)) as lines:  # type: ignore[type-var]
                for fact, end in lines:
                    with understood(self._path):
                        self._take(fact)
                    self._offset = end
                    if time.monotonic() > deadline:
                        return False
        except FileNotFoundError:
            pass
        return True

    def leaders(self) -> Sequence[Leader]:
        """Return the best networks, best first."""
        return sorted(self._hall_of_fame.values(), key=_order)[: self._places]

    @property
    def best(self) -> Leader | None:
        """First row of the leaderboard; None if it is empty."""
        return min(self._hall_of_fame.values(), key=_order, default=None)

    @property
    def best_fitness(self) -> float | None:
        """Fitness of the search that all views show; see `best_of`."""
        return best_of(self.best, self.status.answer)

    def birth(self, network: int) -> Born:
        """Return the birth of a network: genome, parents, origin.

        Raises
        ------
        InputError
            If it was not born yet, or the journal has changed.
        """
        fact = self._fact(self._births[network]) if 0 <= network < len(self._births) else None
        if isinstance(fact, Born) and fact.id == network:
            return fact
        raise InputError(f"the birth of network {network}", f"none in {self._path}", "Restore the journal from a copy.")

    def evaluation(self, network: int) -> Evaluation:
        """Return the evaluation of a leading network at its highest rung.

        Raises
        ------
        InputError
            If it is not among the leaders kept, or the journal has changed.
        """
        fact = self._fact(self._judged_at[network]) if network in self._judged_at else None
        if isinstance(fact, Evaluated) and fact.key.network == network:
            return fact.evaluation
        raise InputError(
            f"an evaluation of network {network}", f"none in {self._path}", "Restore the journal from a copy."
        )

    def _fact(self, offset: int) -> Fact | None:
        with closing(iterate_facts(self._path, offset)) as lines:  # type: ignore[type-var]
            return next((fact for fact, _ in lines), None)

    def fitness(self, network: int) -> list[float | None]:
        """Return a network's fitness at each rung; None if it was not evaluated there, or failed."""
        values = (rung[network] if network < len(rung) else math.nan for rung in self._fitness)
        return [None if math.isnan(value) else value for value in values]

    def _take(self, fact: Fact) -> None:
        self.last = fact.time
        self.status.take(fact)
        self.curves.take(fact)
        match fact:
            case Born():
                # Ids are births, counted from 0.
                self._check(fact.id)
                self._births.extend([0] * (fact.id + 1 - len(self._births)))
                self._births[fact.id] = self._offset
            case Evaluated() if fact.key.level is not None and fact.evaluation.fitness is not None:
                self._rank(fact.key, fact.key.level, fact.evaluation)
            case Telemetry():
                self.rates.take(self.status)
        if line := describe_fact(fact):
            self.log.append((fact.time, line))

    def _check(self, network: int, level: int = 0) -> None:
        """Refuse numbers that no search reaches, because arrays are extended to them."""
        if not 0 <= network <= self._offset or level > MOST_RUNGS:  # a birth takes more than one byte
            raise ValueError(f"network {network} at rung {level}, at byte {self._offset}")

    def _rank(self, key: EvaluationKey, level: int, evaluation: Evaluation) -> None:
        leader = Leader.of(key, evaluation)
        network, fitness = leader.id, leader.fitness
        self._check(network, level)
        while len(self._fitness) <= level:
            self._fitness.append(array("d"))
        rung = self._fitness[level]
        rung.extend([math.nan] * (network + 1 - len(rung)))
        rung[network] = fitness
        if fitness <= self._bar and network not in self._hall_of_fame:
            return
        self._hall_of_fame[network], self._judged_at[network] = leader, self._offset
        if len(self._hall_of_fame) > 6 * self._places:
            kept = sorted(self._hall_of_fame.values(), key=_order)[: 3 * self._places]
            self._hall_of_fame = {one.id: one for one in kept}
            self._judged_at = {one.id: self._judged_at[one.id] for one in kept}
            self._bar = kept[-1].fitness


def _order(leader: Leader) -> tuple[float, int]:
    """Return the sort key; ties go to the earlier birth."""
    return -leader.fitness, leader.id
