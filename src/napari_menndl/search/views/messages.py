"""Log messages and other sentences about a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_menndl.metrics.scores import ClassScore, never_predicted
from napari_menndl.search.facts import (
    AnswerChosen,
    Arrived,
    Best,
    Failed,
    Finished,
    Lost,
    Merged,
    Promoted,
    Refit,
    Started,
    Stopped,
    WeightsMissing,
)
from napari_menndl.search.views.totals import ORIGINS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_menndl.search.facts import Fact
    from napari_menndl.search.views.totals import OriginTotals

_FAILURES = {
    "unbuildable": "cannot be built",
    "constant": "predicts the same everywhere",
    "diverged": "diverged",
    "out_of_memory": "ran out of memory",
    "timeout": "took longer than allowed",
    "crashed": "crashed its trainer",
}


def describe_fact(fact: Fact) -> str | None:
    """Format a fact of the journal as one line; None if it is too minor to show."""
    match fact:
        case Started():
            learns = f"; {learning(fact.learns)}" if fact.learns else ""
            return f"Search {fact.kind}: {fact.slots} slots, budget {fact.budget}{learns}"
        case Best():
            return f"New best: network {fact.id}, fitness {fact.fitness:.3f}"
        case Promoted():
            return f"Network {fact.id} promoted to rung {fact.rung}"
        case Failed():
            kind = fact.failure.kind
            words = _FAILURES.get(kind, kind.replace("_", " "))
            return f"Network {fact.key.network} {words}: {_first_line(fact.failure.message)}"
        case Refit() if fact.evaluation.failure is None:
            return f"Network {fact.key.network} trained on all labels"
        case Lost():
            kind = fact.failure.kind.replace("_", " ")
            return f"Network {fact.key.network} is tried again after {kind}: {_first_line(fact.failure.message)}"
        case Arrived():
            return f"Network {fact.id} comes from island {fact.island}, fitness there {fact.fitness:.3f}"
        case Merged():
            return f"Merged: {fact.run}, {fact.networks} networks"
        case WeightsMissing():
            how = "damaged" if fact.damaged else "gone"
            return f"Network {fact.key.network} begins from nothing: the weights of {fact.weights_of} are {how}"
        case Finished() if not fact.members:
            return f"Finished ({fact.reason}): no network could be chosen"
        case Finished():
            return f"Finished ({fact.reason}): {_members(fact)}, fitness {fact.fitness:.3f} ± {fact.error:.3f}"
        case AnswerChosen():
            return f"Answer: {_members(fact)}, out of fold {fact.fitness:.3f} ± {fact.error:.3f}"
        case Stopped():
            return f"Stopped: {fact.reason}"
        case _:
            return None


def learning(learns: Mapping[str, Any]) -> str:
    """Format `Totals.learns`, what a search learns from: ``"learns from 1 frame: S vacancy 24, hole 2"``."""
    frames = learns["frames"]
    defects = ", ".join(f"{name} {count}" for name, count in learns["defects"].items())
    return f"learns from {frames} frame{'' if frames == 1 else 's'}: {defects}"


def origins_line(origins: Mapping[str, OriginTotals]) -> str:
    """Say what networks of each origin have reached: ``"Best by origin: founders 0.71 (6 networks, 80 s), …"``.

    Times are summed over slots. Empty before anything has a fitness.
    """
    reached = [
        f"{name} {one.best:.3f} ({one.networks} network{'' if one.networks == 1 else 's'}, {one.seconds:.0f} s)"
        for name in ORIGINS
        if (one := origins.get(name)) and one.best is not None
    ]
    return f"Best by origin: {', '.join(reached)}" if reached else ""


def came_to_nothing(status: Mapping[str, Any]) -> str:
    """Explain why a finished search has found no network, and what to do; empty for any other search.

    Parameters
    ----------
    status : mapping
        `RunFolder.status`, or the attributes of a `RunSnapshot`.
    """
    if status["state"] != "finished" or status["answer"] or status["best"]:
        return ""
    failures, why = dict(status["failures"]), f"it ended because {status['reason']}" if status["reason"] else ""
    if not failures:
        lost = f"; {_by_kind(status['lost'])} were lost" if status["lost"] else ""
        return f"The search came to nothing: no network was evaluated ({why}{lost}). Resume it with a longer budget."
    return (
        f"The search came to nothing: none of {status['networks']} networks could be trained "
        f"({_by_kind(failures)}). See its log for the reasons, and the labels, the timeout and the memory."
    )


def never_predicted_by(answer: Mapping[str, Any] | None) -> str:
    """Explain which classes the answer of a search never predicts; see `metrics.scores.never_predicted`."""
    if not answer or not answer["thresholds"]:
        return ""
    thresholds = answer["thresholds"]
    scores = [ClassScore(**score) for score in answer["scores"]]
    return never_predicted(list(thresholds), list(thresholds.values()), scores)


def _by_kind(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {_FAILURES.get(kind, kind.replace('_', ' '))}" for kind, count in sorted(counts.items()))


def _members(answer: AnswerChosen) -> str:
    numbers = [str(one.id) for one in answer.members]
    return f"network {numbers[0]}" if len(numbers) == 1 else f"mean of networks {', '.join(numbers)}"


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0][:160]
