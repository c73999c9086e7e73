"""Living a journal again: how a search takes up where it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.search.candidate import Candidate
from napari_menndl.search.recorder import is_last_step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_menndl.search.evolution import Evolution
    from napari_menndl.search.journal import Fact


@dataclass
class LastStep:
    """What a journal says of the last step.

    Attributes
    ----------
    entrants : list of Candidate
        Who had entered it when the journal ended; none where the evolution has gone on since.
    results : dict of str to Evaluation
        Theirs, by key.
    conclusion : dict or None
        The fact that ends the search, where nothing follows it.
    """

    entrants: list[Candidate] = field(default_factory=list)
    results: dict[str, Evaluation] = field(default_factory=dict)
    conclusion: Fact | None = None


def replay(facts: Iterable[Fact], evolution: Evolution) -> LastStep:
    """Tell a fresh evolution what it was told before, without breeding or evaluating anything."""
    last = LastStep()
    for fact in facts:
        match fact["kind"]:
            case "born" | "promoted":
                born = fact["kind"] == "born"
                again = Candidate.from_json(fact) if born else evolution.promoted(fact["id"], fact["rung"])
                evolution.adopt(again)
                last.entrants, last.conclusion = [], None
            case "evaluated" | "failed":
                evaluation = Evaluation.from_json(fact["evaluation"])
                if is_last_step(fact["key"]):
                    last.results[fact["key"]] = evaluation
                else:
                    evolution.tell(fact["key"], evaluation)
            case "finalists":
                last.entrants = [Candidate.from_json(entrant) for entrant in fact["entrants"]]
            case "finished":
                last.conclusion = fact
    return last
