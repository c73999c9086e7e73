"""What a search found, read from its journal and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.genome.genome import Genome

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from napari_menndl.search.folder import RunFolder
    from napari_menndl.search.journal import Fact

#: Threshold of a class that was never judged; one above any probability, for a class that is never to be predicted.
UNKNOWN, NEVER = 0.5, 2.0
_EVALUATED = ("evaluated", "failed")


@dataclass(frozen=True)
class Member:
    """A network as the search left it.

    Attributes
    ----------
    id : int
    genome : Genome
    weights : bytes
        safetensors; tensors named "<fold>/…".
    fold : int or str
        Which of them to predict with; before the last step it is the first fold.
    thresholds : C float
        On the probability of each class of the task, for this network alone.
    """

    id: int
    genome: Genome
    weights: bytes
    fold: int | str
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class Chosen:
    """What a search has to show: one network, or several to be averaged.

    Attributes
    ----------
    members : tuple of Member
    thresholds : C float
        For their average.
    final : bool
        Whether the last step chose and trained them; otherwise it is the best so far.
    """

    members: tuple[Member, ...]
    thresholds: tuple[float, ...]
    final: bool


def evaluations(facts: Iterable[Fact]) -> list[tuple[int, Evaluation]]:
    """Every evaluation with its candidate's id."""
    return [
        (int(fact["key"].partition("/")[0]), Evaluation.from_json(fact["evaluation"]))
        for fact in facts
        if fact["kind"] in _EVALUATED
    ]


def history(facts: Iterable[Fact]) -> pd.DataFrame:
    """One row per evaluation: candidate, rung, origin, parents, scores, costs, slot and times [unix s]."""
    import pandas as pd

    born, rows = {}, []
    for fact in facts:
        if fact["kind"] == "born":
            born[fact["id"]] = {"origin": fact["origin"], "parents": tuple(fact["parents"])}
        elif fact["kind"] in _EVALUATED:
            identity, _, rung = fact["key"].partition("/")
            measured = {k: v for k, v in fact["evaluation"].items() if k not in ("scores", "loss", "failure", "rung")}
            rows.append(
                {"id": int(identity), "rung": rung, **born.get(int(identity), {}), **measured}
                | {"failure": (fact["evaluation"]["failure"] or {}).get("kind")}
                | {name: fact[name] for name in ("slot", "started", "finished")}
            )
    return pd.DataFrame(rows)


def chosen(folder: RunFolder) -> Chosen:
    """Return what the last step chose, or the best so far; see `RunFolder.chosen`."""
    status = folder.status()
    if status["finished"] and status["finished"]["members"]:
        fact = status["finished"]
        members = tuple(
            Member(
                one["id"],
                Genome.from_json(one["genome"]),
                _weights(folder, key),
                fold,
                _in_order(folder, one["thresholds"]),
            )
            for one in fact["members"]
            for key, fold in one["networks"]
        )
        return Chosen(members, _in_order(folder, fact["thresholds"]), final=True)
    if status["best"] is None:
        raise InputError("a search with a result", f"no network evaluated in {folder.path}", "Let it run longer.")
    best = status["best"]
    genome = None
    thresholds: dict[str, float | None] = {}
    for fact in folder.facts():
        if fact["kind"] == "born" and fact["id"] == best["id"]:
            genome = Genome.from_json(fact["genome"])
        elif fact["kind"] == "evaluated" and fact["key"] == best["key"]:
            thresholds = {one.name: one.cutoff for one in Evaluation.from_json(fact["evaluation"]).scores}
    if genome is None:
        raise InputError(
            "a whole journal", f"no birth of network {best['id']} in {folder.path}", "Restore the journal."
        )
    ordered = _in_order(folder, thresholds)
    fold = next(rung.folds[0] for rung in folder.settings.rungs if best["key"].endswith(f"/{rung.name}"))
    member = Member(best["id"], genome, _weights(folder, best["key"]), fold, ordered)
    return Chosen((member,), ordered, final=False)


def _in_order(folder: RunFolder, thresholds: dict[str, float | None]) -> tuple[float, ...]:
    """In the order of the task's classes: absent ones at a half; those that no threshold served (None) never found."""
    found = (thresholds.get(name, UNKNOWN) for name in folder.task.class_names)
    return tuple(NEVER if one is None else one for one in found)


def _weights(folder: RunFolder, key: str) -> bytes:
    if data := folder.read_weights(key):
        return data
    raise InputError(
        f"the weights of network {key}", f"no {folder.weights_path(key)}", "Resume the search, or restore the file."
    )
