"""Everything that a view shows of a search, kept up with its journal as that grows."""

from __future__ import annotations

import math
import time
from array import array
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.search.curves import Curves, best_of
from napari_menndl.search.journal import Fact, iterate_journal, understood
from napari_menndl.search.rates import Rates
from napari_menndl.search.status import Status
from napari_menndl.search.telling import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.search.folder import RunFolder

_LOG_LINES = 500
#: More than a search's settings allow are of no search.
MOST_RUNGS = 16
#: Candidates that the summary lists as the best.
_LEADERS = 10


@dataclass(frozen=True)
class Leader:
    """A row of the leaderboard.

    Attributes
    ----------
    id : int
    rung : int
        The highest it was evaluated at.
    fitness, error : float
        With its standard error.
    f1 : float
        Defect F1, mean over the classes that occur.
    parameters : int
    latency : float [ms per megapixel]
    device : str
        What it was trained and timed on.
    """

    id: int
    rung: int
    fitness: float
    error: float
    f1: float
    parameters: int
    latency: float
    device: str

    @property
    def key(self) -> str:
        """Of that evaluation."""
        return f"{self.id}/{self.rung}"

    @classmethod
    def of(cls, key: str, evaluation: dict[str, Any]) -> Leader:
        """Read an evaluation of the journal that has a fitness."""
        identity, _, rung = key.partition("/")
        scores = [score["f1"] for score in evaluation["scores"]]
        return cls(
            int(identity),
            int(rung),
            evaluation["fitness"],
            evaluation["error"] or 0.0,
            sum(scores) / len(scores) if scores else math.nan,
            evaluation["parameters"],
            evaluation["latency"],
            evaluation["device"],
        )


class Standings:
    """Sums, leaderboard, curves, rates and log of a search: whatever a view shows is read from the journal here.

    Each line is read once, and a birth without its genome. Of a network 8 bytes say where its birth stands in the
    journal, and 8 bytes per rung how fit it was, so that a search of a million networks is followed in little memory.

    Parameters
    ----------
    folder : RunFolder
    places : int
        Rows of the leaderboard.

    Attributes
    ----------
    status : Status
    curves : Curves
    rates : Rates
    log : deque of (time [unix s], str)
        The latest lines.
    last : float [unix s]
        When the latest fact was recorded; 0 before the first.
    """

    def __init__(self, folder: RunFolder, places: int = 50) -> None:
        self.status = Status()
        self.curves = Curves()
        self.rates = Rates()
        self.log: deque[tuple[float, str]] = deque(maxlen=_LOG_LINES)
        self.last = 0.0
        self._path = folder.journal_path
        self._places = places
        # More than are shown: one that does worse at a higher rung sinks, and others move up.
        self._hall: dict[int, Leader] = {}
        self._judged_at: dict[int, int] = {}
        self._bar = -math.inf
        self._births = array("q")
        self._fitness: list[array[float]] = []
        self._offset = 0

    def read(self, seconds: float = math.inf) -> bool:
        """Take in what is new in the journal.

        Parameters
        ----------
        seconds : float [s]
            How long to read at most.

        Returns
        -------
        bool
            Whether the end was reached; otherwise call again.
        """
        deadline = time.monotonic() + seconds
        try:
            with closing(iterate_journal(self._path, self._offset, genomes=False)) as lines:  # type: ignore[type-var]
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
        return sorted(self._hall.values(), key=_order)[: self._places]

    @property
    def best(self) -> dict[str, Any] | None:
        """The first of the leaderboard: ``id``, ``key`` of the evaluation, ``fitness``."""
        first = min(self._hall.values(), key=_order, default=None)
        return {"id": first.id, "key": first.key, "fitness": first.fitness} if first else None

    @property
    def best_fitness(self) -> float | None:
        """The fitness of the search, wherever one number is shown: see `best_of`."""
        return best_of(self.best, self.status.answer)

    def summary(self) -> dict[str, Any]:
        """Return `Status.summary` with the best networks: plain numbers for views, JSON-able.

        Each network's own fitness stands in ``leaders``.
        """
        plain = ("id", "key", "fitness", "error", "parameters", "latency")
        leaders = [{name: getattr(one, name) for name in plain} for one in self.leaders()[:_LEADERS]]
        best = self.best
        return {
            **self.status.summary(),
            "best": best,
            "best_fitness": self.best_fitness,
            "leaders": leaders,
        }

    def birth(self, network: int) -> Fact:
        """Return what the journal says of a network's birth: genome, parents, origin.

        Raises
        ------
        InputError
            If it was not born yet, or the journal has changed.
        """
        if 0 <= network < len(self._births):
            fact = self._line(self._births[network])
            if fact.get("kind") == "born" and fact["id"] == network:
                return fact
        raise InputError(f"the birth of network {network}", f"none in {self._path}", "Restore the journal from a copy.")

    def evaluation(self, network: int) -> Fact:
        """Return what the journal says of the evaluation at its highest rung of a network among the best.

        Raises
        ------
        InputError
            If it is none of them, or the journal has changed.
        """
        if network in self._judged_at:
            fact = self._line(self._judged_at[network])
            if fact.get("kind") == "evaluated" and fact["key"].startswith(f"{network}/"):
                return fact
        raise InputError(
            f"an evaluation of network {network}", f"none in {self._path}", "Restore the journal from a copy."
        )

    def _line(self, offset: int) -> Fact:
        with closing(iterate_journal(self._path, offset)) as lines:  # type: ignore[type-var]
            return next(lines, ({}, 0))[0]

    def fitness(self, network: int) -> list[float | None]:
        """Return a network's fitness at each rung; None where it was not evaluated, or failed."""
        values = (rung[network] if network < len(rung) else math.nan for rung in self._fitness)
        return [None if math.isnan(value) else value for value in values]

    def _take(self, fact: Fact) -> None:
        self.last = fact["time"]
        self.status.take(fact)
        self.curves.take(fact)
        match fact["kind"]:
            case "born":
                # Ids are births, counted from 0.
                self._check(fact["id"])
                self._births.extend([0] * (fact["id"] + 1 - len(self._births)))
                self._births[fact["id"]] = self._offset
            case "evaluated":
                network, _, rung = fact["key"].partition("/")
                if rung.isdigit() and fact["evaluation"]["fitness"] is not None:
                    self._rank(int(network), int(rung), fact)
            case "telemetry":
                self.rates.take(self.status)
        if line := tell(fact):
            self.log.append((fact["time"], line))

    def _check(self, network: int, level: int = 0) -> None:
        """Refuse numbers that no search comes to: room is made for as many."""
        if not 0 <= network <= self._offset or level > MOST_RUNGS:  # a birth has more than one byte
            raise ValueError(f"network {network} at rung {level}, at byte {self._offset}")

    def _rank(self, network: int, level: int, fact: Fact) -> None:
        self._check(network, level)
        while len(self._fitness) <= level:
            self._fitness.append(array("d"))
        rung, fitness = self._fitness[level], fact["evaluation"]["fitness"]
        rung.extend([math.nan] * (network + 1 - len(rung)))
        rung[network] = fitness
        if fitness <= self._bar and network not in self._hall:
            return
        self._hall[network], self._judged_at[network] = Leader.of(fact["key"], fact["evaluation"]), self._offset
        if len(self._hall) > 6 * self._places:
            kept = sorted(self._hall.values(), key=_order)[: 3 * self._places]
            self._hall = {one.id: one for one in kept}
            self._judged_at = {one.id: self._judged_at[one.id] for one in kept}
            self._bar = kept[-1].fitness


def _order(leader: Leader) -> tuple[float, int]:
    """Ties go to the earlier birth."""
    return -leader.fitness, leader.id
