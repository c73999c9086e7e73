"""Log messages and other sentences about a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_menndl.metrics.scores import ClassScore, never_predicted
from napari_menndl.progress import duration, size
from napari_menndl.search.facts import (
    AnswerChosen,
    Arrived,
    Best,
    Evaluated,
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

#: A gain below this fraction of the fitness's standard error counts as negligible.
HARDLY = 0.25
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
        case Evaluated() if fact.evaluation.share < 1:
            share = f"{100 * fact.evaluation.share:.0f} %"
            return f"Network {fact.key.network} was trained on {share} of its pixels: there was no time for all"
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


def headline(status: dict[str, Any]) -> str:
    """Return one line: state, networks, evaluations, best fitness and elapsed time."""
    state = status["state"]
    if state == "running":
        state = "stopping" if status["stopping"] else status["phase"]
    best = status["best_fitness"]
    parts = [
        f"{status['networks']} networks",
        f"{status['evaluations']} evaluations",
        f"best fitness {best:.3f}" if best is not None else "no fitness yet",
        f"{duration(status['elapsed'])} of {status['budget']}",
    ]
    return f"{state:<10} {' · '.join(parts)}"


def rates(status: dict[str, Any]) -> str:
    """Return one line: networks per hour, slot utilisation, arithmetic rate and failures."""
    failures = {**status["failures"], **status["lost"]}
    named = ", ".join(f"{n} {kind}" for kind, n in sorted(failures.items())) or "no failures"
    return (
        f"{status['networks_per_hour']:.0f} networks/h · "
        f"{status['slots']} slot{'s' * (status['slots'] != 1)} {status['slots_busy']:.0%} busy · "
        f"{status['flops_per_second'] / 1e9:.2f} GFLOP/s · {named}"
    )


def diminishing(elapsed: float, gain: float | None, error: float | None) -> str:
    """Return a hint that more time hardly pays, if the answer's gain is far below its uncertainty; else "".

    Parameters
    ----------
    elapsed : float
        Time searched [s].
    gain : float or None
        Gain of the answer's fitness in the second half of this time (`Totals.gain`).
    error : float or None
        Standard error of the answer's fitness.
    """
    if gain is None or error is None or gain >= HARDLY * error:
        return ""
    return (
        f"More time hardly pays: the last {duration(elapsed / 2)} raised the best score by {gain:.3f}; it is known to "
        f"± {error:.3f}."
    )


def pool_details(pool: dict[str, Any]) -> list[str]:
    """Return lines on the pool: workers, throughput, waiting and traffic; none if the journal has no telemetry.

    Parameters
    ----------
    pool : dict
        `Totals.pool_summary`.
    """
    if not pool:
        return []
    machines = f"{pool['workers']} worker{'s' * (pool['workers'] != 1)}"
    if pool["gpus"]:
        machines += f", {pool['gpus']} GPU{'s' * (pool['gpus'] != 1)}"
    lines = [machines]
    if pool["networks_per_gpu_hour"] is not None:
        lines.append(f"{pool['networks_per_gpu_hour']:.1f} networks per GPU-hour")
    lines.append(f"{pool['waited']:.1%} of slot time waiting for a job to arrive")
    if pool["bytes_per_network"]:
        lines.append(f"{size(pool['bytes_per_network'])} sent and received per network")
    if pool["staged_bytes"]:
        lines.append(f"{size(pool['staged_bytes'])} staged in {pool['staged_seconds']:.0f} s")
    return lines


def excluded_workers(pool: dict[str, Any]) -> str:
    """Return a line with the workers in quarantine, where every job fails; "" if there are none."""
    names = pool.get("quarantined", [])
    return f"Excluded workers (every job failed): {', '.join(names)}" if names else ""


def explain_no_network(status: Mapping[str, Any]) -> str:
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
