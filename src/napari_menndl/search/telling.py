"""What happened in a search, in words: the readable log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_menndl.metrics.scores import ClassScore, never_predicted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_menndl.search.journal import Fact

_FAILURES = {
    "unbuildable": "cannot be built",
    "constant": "predicts the same everywhere",
    "diverged": "diverged",
    "out_of_memory": "ran out of memory",
    "timeout": "took longer than allowed",
    "crashed": "crashed its trainer",
}


def tell(fact: Fact) -> str | None:
    """Say a fact of the journal in one line; None for what a person need not read one by one."""
    match fact["kind"]:
        case "started" | "resumed" as kind:
            learns = f"; {learning(fact['learns'])}" if fact.get("learns") else ""
            return f"Search {kind}: {fact['slots']} slots, budget {fact['budget']}{learns}"
        case "best":
            return f"New best: network {fact['id']}, fitness {fact['fitness']:.3f}"
        case "promoted":
            return f"Network {fact['id']} promoted to rung {fact['rung']}"
        case "failed":
            failure = fact["evaluation"]["failure"]
            words = _FAILURES.get(failure["kind"], failure["kind"].replace("_", " "))
            return f"{_network(fact)} {words}: {_first_line(failure['message'])}"
        case "refit" if fact["evaluation"]["failure"] is None:
            return f"{_network(fact)} trained on all labels"
        case "lost":
            failure = fact["failure"]
            kind = failure["kind"].replace("_", " ")
            return f"{_network(fact)} is tried again after {kind}: {_first_line(failure['message'])}"
        case "arrived":
            return f"Network {fact['id']} comes from island {fact['island']}, fitness there {fact['fitness']:.3f}"
        case "merged":
            return f"Merged: {fact['run']}, {fact['networks']} networks"
        case "weights_missing":
            how = "damaged" if fact.get("damaged") else "gone"
            return f"{_network(fact)} begins from nothing: the weights of {fact['weights_of']} are {how}"
        case "answer":
            return f"Answer: {_members(fact)}, out of fold {fact['fitness']:.3f} ± {fact['error']:.3f}"
        case "stopped":
            return f"Stopped: {fact['reason']}"
        case "finished" if fact["members"]:
            return f"Finished ({fact['reason']}): {_members(fact)}, fitness {fact['fitness']:.3f} ± {fact['error']:.3f}"
        case "finished":
            return f"Finished ({fact['reason']}): no network could be chosen"
        case _:
            return None


def learning(learns: Mapping[str, Any]) -> str:
    """Say what a search learns from: ``"learns from 1 frame: S vacancy 24, hole 2"``; `Status.learns`."""
    frames = learns["frames"]
    defects = ", ".join(f"{name} {count}" for name, count in learns["defects"].items())
    return f"learns from {frames} frame{'' if frames == 1 else 's'}: {defects}"


def came_to_nothing(status: Mapping[str, Any]) -> str:
    """Say why a search that is over has found no network at all, and what to do; empty for every other.

    Parameters
    ----------
    status : mapping
        `RunFolder.status`, or the attributes of a `Sight`.
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
    """Say which classes the answer of a search never predicts, and why; see `metrics.scores.never_predicted`."""
    if not answer or not answer["thresholds"]:
        return ""
    thresholds = answer["thresholds"]
    scores = [ClassScore(**score) for score in answer["scores"]]
    return never_predicted(list(thresholds), list(thresholds.values()), scores)


def _by_kind(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {_FAILURES.get(kind, kind.replace('_', ' '))}" for kind, count in sorted(counts.items()))


def _members(fact: Fact) -> str:
    numbers = [str(one["id"]) for one in fact["members"]]
    return f"network {numbers[0]}" if len(numbers) == 1 else f"mean of networks {', '.join(numbers)}"


def _network(fact: Fact) -> str:
    return f"Network {fact['key'].partition('/')[0]}"


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0][:160]
