"""Replay of a journal, from which a search resumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.search.facts import Born, Evaluated, Promoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from napari_menndl.genome.evaluation import Evaluation
    from napari_menndl.search.candidate import Candidate
    from napari_menndl.search.evolution import Evolution
    from napari_menndl.search.facts import Fact


def replay(facts: Iterable[Fact], evolution: Evolution) -> Iterator[tuple[Candidate, Evaluation]]:
    """Tell a new evolution the facts of an earlier process, without breeding or evaluating anything.

    Raises
    ------
    InputError
        If an earlier version promoted by other rules.

    Yields
    ------
    candidate, evaluation
        Each evaluation of a candidate in flight, after it was told.
    """
    for fact in facts:
        match fact:
            case Born():
                evolution.register(fact.candidate)
            case Promoted():
                try:
                    evolution.register(evolution.promoted(fact.id, fact.rung))
                except KeyError as error:
                    raise InputError(
                        "a journal whose promotions this version would have made",
                        f"network {fact.id} promoted to rung {fact.rung}",
                        "An earlier version wrote it: what it found can still be used; start a new search to go on.",
                    ) from error
            case Evaluated():
                candidate = evolution.in_flight.get(fact.key)
                evolution.tell(fact.key, fact.evaluation)
                if candidate is not None:
                    yield candidate, fact.evaluation
