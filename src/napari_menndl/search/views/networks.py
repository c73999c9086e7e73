"""Networks of a search as a table with their genes and costs, and the population through time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_menndl.genome.gene_table import gene_row
from napari_menndl.genome.genes import GenomeError
from napari_menndl.search.candidate import IMMIGRANT
from napari_menndl.search.facts import Born, Evaluated, Retired

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from napari_menndl.genome.space import SearchSpace
    from napari_menndl.search.facts import Fact

#: How a network was made, as `origin_kind` says it.
ORIGIN_KINDS = ("founder", "random", "mutation", "crossover", IMMIGRANT)


def origin_kind(origin: str) -> str:
    """Return how a network was made, one of `ORIGIN_KINDS`, of an origin in the journal or in a `lineage`."""
    word = origin.partition(":")[0].partition(" ")[0]
    return word if word in ORIGIN_KINDS else "mutation"


def network_table(facts: Iterable[Fact], classes: int = 1) -> pd.DataFrame:
    """Return one row per network that was evaluated, in the order of their births.

    Parameters
    ----------
    facts : iterable of Fact
        Of a journal read with genomes.
    classes : int
        Number of defect classes.

    Returns
    -------
    DataFrame
        ``id``; ``origin``, as in the journal; ``rung``, the highest at which it has a fitness, and ``fitness``,
        ``error``, ``parameters``, ``latency`` [ms per megapixel] and ``device`` there; ``newborn``, its fitness at the
        first rung, where all networks are trained equally long; ``failure``, the kind of the last one; and its genes,
        see `gene_row`. What is not known is NaN or None.
    """
    import pandas as pd

    rows: dict[int, dict[str, object]] = {}
    born: dict[int, Born] = {}
    for fact in facts:
        if isinstance(fact, Born):
            born[fact.id] = fact
        elif isinstance(fact, Evaluated) and (level := fact.key.level) is not None and fact.key.network in born:
            network, evaluation = fact.key.network, fact.evaluation
            row = rows.setdefault(network, _row(born[network], classes))
            if evaluation.fitness is None:
                row["failure"] = evaluation.failure.kind if evaluation.failure else None
                continue
            row.update(
                rung=level,
                fitness=evaluation.fitness,
                error=math.nan if evaluation.error is None else evaluation.error,
                parameters=evaluation.parameters,
                latency=evaluation.latency,
                device=evaluation.device,
            )
            if level == 0:
                row["newborn"] = evaluation.fitness
    return pd.DataFrame([rows[network] for network in sorted(rows)])


def _row(born: Born, classes: int) -> dict[str, object]:
    unknown = dict.fromkeys(("rung", "fitness", "error", "parameters", "latency", "newborn"), math.nan)
    row: dict[str, object] = {"id": born.id, "origin": born.origin, **unknown, "device": None, "failure": None}
    try:
        return row | gene_row(born.candidate.genome, classes)
    except GenomeError:  # it failed as unbuildable
        return row


@dataclass(frozen=True)
class Membership:
    """Time of a network in the population, as long as its fitness was the same.

    Attributes
    ----------
    id : int
    origin : str
        One of `ORIGIN_KINDS`.
    since, until : int
        Number of networks born when it joined or was judged again, and when it left or the journal ends.
    fitness : float
    rung : int
    """

    id: int
    origin: str
    since: int
    until: int
    fitness: float
    rung: int


def population_through_time(facts: Iterable[Fact], space: SearchSpace) -> list[Membership]:
    """Return who was in the population when.

    Parameters
    ----------
    facts : iterable of Fact
        Of a journal read with genomes.
    space : SearchSpace
        Founders outside it are judged but have no offspring: they are in no population.
    """
    births = 0
    outside: set[int] = set()
    origins: dict[int, str] = {}
    now: dict[int, Membership] = {}
    past: list[Membership] = []

    def leave(network: int) -> None:
        if (one := now.pop(network, None)) is not None:
            past.append(Membership(one.id, one.origin, one.since, births, one.fitness, one.rung))

    for fact in facts:
        match fact:
            case Born():
                births += 1
                origins[fact.id] = origin_kind(fact.origin)
                try:
                    space.check(fact.candidate.genome)
                except GenomeError:
                    outside.add(fact.id)
            case Retired():
                for network in fact.ids:
                    leave(network)
            case Evaluated():
                network, level, fitness = fact.key.network, fact.key.level, fact.evaluation.fitness
                if level is None or fitness is None or network in outside or network not in origins:
                    continue
                if level == 0 or network in now:
                    leave(network)
                    now[network] = Membership(network, origins[network], births, births, fitness, level)
    for network in list(now):
        leave(network)
    return past


def pareto_front(cost: Iterable[float], fitness: Iterable[float]) -> list[int]:
    """Return the positions of those that no other beats in one and equals in the other, cheapest first."""
    pairs = sorted(enumerate(zip(cost, fitness, strict=True)), key=lambda one: (one[1][0], -one[1][1]))
    front: list[int] = []
    best = -math.inf
    for place, (_, value) in pairs:
        if value > best:
            front.append(place)
            best = value
    return front
