"""Lineage of a network back to its founder, with the change and the gain of each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_menndl.search.views.reader import RunReader


@dataclass(frozen=True)
class Step:
    """A birth in a lineage.

    Attributes
    ----------
    id : int
    origin : str
        ``"founder unet"``, ``"random"``, ``"crossover"``, or what the mutation changed: ``"layer 3: filters 16 → 24"``.
    parents : tuple of int
        The lineage continues with the first.
    fitness : float or None
        Fitness at the highest rung; None if it failed or is not evaluated yet.
    gained : float or None
        Gain over the first parent, at the highest rung at which both were evaluated.
    """

    id: int
    origin: str
    parents: tuple[int, ...]
    fitness: float | None
    gained: float | None


def lineage(reader: RunReader, network: int) -> list[Step]:
    """Return the lineage of a network, back to its founder or random ancestor.

    Parameters
    ----------
    reader : RunReader
        Reader of the search that has read at least up to the network's birth.
    network : int

    Returns
    -------
    list of Step
        The network first, the founder last.

    Raises
    ------
    InputError
        If there is no such birth in the journal.
    """
    steps: list[Step] = []
    while True:
        born = reader.birth(network)
        parents = born.parents
        own = reader.fitness(network)
        theirs = reader.fitness(parents[0]) if parents else []
        pairs = [(a, b) for a, b in zip(own, theirs, strict=False) if a is not None and b is not None]
        steps.append(
            Step(
                network,
                born.origin.removeprefix("mutation: "),
                parents,
                next((one for one in reversed(own) if one is not None), None),
                pairs[-1][0] - pairs[-1][1] if pairs else None,
            )
        )
        if not parents:
            return steps
        network = parents[0]
