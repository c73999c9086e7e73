"""A network's line back to the founders: what each step changed, and what it gained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_menndl.search.views.reader import RunReader


@dataclass(frozen=True)
class Step:
    """One birth on the line.

    Attributes
    ----------
    id : int
    origin : str
        ``"founder unet"``, ``"random"``, ``"crossover"``, or what the mutation changed: ``"layer 3: filters 16 → 24"``.
    parents : tuple of int
        The line goes on with the first.
    fitness : float or None
        At the highest rung; None where it failed or is not evaluated yet.
    gained : float or None
        Over the first parent, at the highest rung at which both were evaluated.
    """

    id: int
    origin: str
    parents: tuple[int, ...]
    fitness: float | None
    gained: float | None


def lineage(reader: RunReader, network: int) -> list[Step]:
    """Follow a network back to the founder or random network its line began with.

    Parameters
    ----------
    reader : RunReader
        Of the search, having read at least up to the network's birth.
    network : int

    Returns
    -------
    list of Step
        The network first, the founder last.

    Raises
    ------
    InputError
        If the journal knows no such birth.
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
