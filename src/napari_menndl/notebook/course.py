"""The course of a search: what its journal says of fitness over births and over time."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from napari_menndl.genome.describe import describe
from napari_menndl.genome.genome import Genome
from napari_menndl.search.curves import best_of
from napari_menndl.search.journal import iterate_journal

if TYPE_CHECKING:
    from napari_menndl.search.folder import RunFolder
    from napari_menndl.search.journal import Fact


class Judged(NamedTuple):
    """One evaluation of a network: its number, when [s of searching], at which rung, its fitness."""

    id: int
    elapsed: float
    rung: int
    fitness: float | None


class Point(NamedTuple):
    """Of a curve: networks born and time searched [s] so far, fitness."""

    births: int
    elapsed: float
    fitness: float


@dataclass(frozen=True)
class Choice:
    """The latest answer: its out-of-fold fitness with its standard error, when [s of searching]."""

    members: tuple[int, ...]
    elapsed: float
    fitness: float
    error: float


class Course:
    """Reads a journal as it grows.

    Parameters
    ----------
    folder : RunFolder

    Attributes
    ----------
    judged : list of Judged
        Without those of the last step.
    best, median : list of Point
        Best so far; of the population.
    choice : Choice or None
    births : int
    elapsed : float [s]
        Time searched up to the last fact; pauses between resumes do not count.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.judged: list[Judged] = []
        self.best: list[Point] = []
        self.median: list[Point] = []
        self.choice: Choice | None = None
        self.births = 0
        self.elapsed = 0.0
        self._folder = folder
        self._offset = 0
        self._began = 0.0
        self._known: dict[str, Fact] = {}

    def read(self) -> bool:
        """Take in what is new in the journal; returns whether a curve changed."""
        before = len(self.judged), len(self.best), self.choice
        with suppress(FileNotFoundError):  # nothing is recorded yet
            for fact, end in iterate_journal(self._folder.journal_path, self._offset, genomes=False):
                self._take(fact)
                self._offset = end
        return before != (len(self.judged), len(self.best), self.choice)

    def layers(self, network: int) -> str:
        """Return a network's layers in words."""
        standings = self._folder.standings
        standings.read()
        return " → ".join(describe(Genome.from_json(standings.birth(network)["genome"]))[:-1])

    def _take(self, fact: Fact) -> None:
        kind = fact["kind"]
        if kind in ("best", "answer", "finished"):
            self._known["best" if kind == "best" else "answer"] = fact
        if kind in ("started", "resumed"):
            self._began = fact["time"] - self.elapsed
        elif "elapsed" in fact:  # while a search waits for workers, no time of it passes
            self._began = fact["time"] - fact["elapsed"]
        self.elapsed = fact["time"] - self._began
        if kind == "born":
            self.births += 1
        elif kind in ("evaluated", "failed"):
            network, _, rung = fact["key"].partition("/")
            if rung.isdigit():
                self.judged.append(Judged(int(network), self.elapsed, int(rung), fact["evaluation"]["fitness"]))
        elif kind == "telemetry" and fact["median"] is not None:
            self.median.append(Point(self.births, self.elapsed, fact["median"]))
        elif kind in ("answer", "finished") and fact["members"]:
            members = tuple(one["id"] for one in fact["members"])
            self.choice = Choice(members, self.elapsed, fact["fitness"], fact["error"])
        now = best_of(self._known.get("best"), self._known.get("answer"))
        if now is not None and (not self.best or now != self.best[-1].fitness):
            self.best.append(Point(self.births, self.elapsed, now))
