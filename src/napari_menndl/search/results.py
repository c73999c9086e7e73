"""Results of a search, read from its journal and its weights."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from safetensors.numpy import load

from napari_menndl.errors import InputError
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.genome.genome import Genome
from napari_menndl.network.checksum import is_intact
from napari_menndl.search.facts import Born, Evaluated
from napari_menndl.search.journal import understood

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from napari_menndl.metrics.scores import ClassScore
    from napari_menndl.search.candidate import EvaluationKey
    from napari_menndl.search.facts import AnswerChosen, AnswerMember, Fact
    from napari_menndl.search.folder import RunFolder
    from napari_menndl.search.views.reader import Leader

#: Threshold of a class that was never judged; threshold above any probability, for a class that is never predicted.
UNKNOWN, NEVER = 0.5, 2.0


@dataclass(frozen=True)
class ChosenNetwork:
    """Trained network of a search.

    Attributes
    ----------
    id : int
    genome : Genome
    weights : bytes
        safetensors; tensors named "<fold>/…".
    fold : int or str
        The fold whose network predicts.
    thresholds : C float
        For the probability of each class of the task, for this network alone.
    """

    id: int
    genome: Genome
    weights: bytes
    fold: int | str
    thresholds: tuple[float, ...]


@dataclass(frozen=True)
class Chosen:
    """Networks of a search that predict together, as a mean.

    Attributes
    ----------
    members : tuple of ChosenNetwork
    thresholds : C float
        Thresholds for their mean.
    weights : tuple of C float
        One row per member: its weight in the mean of each class; empty if all are equal.
    fitness, error : float or None
        Out-of-fold fitness and its standard error.
    scores : tuple of ClassScore
        Out-of-fold scores of each class.
    """

    members: tuple[ChosenNetwork, ...]
    thresholds: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...] = ()
    fitness: float | None = None
    error: float | None = None
    scores: tuple[ClassScore, ...] = ()


def evaluations(folder: RunFolder) -> list[tuple[int, Evaluation]]:
    """Return every recorded evaluation with its candidate's id, in the order of the journal."""
    with understood(folder.journal_path):
        facts = folder.facts(genomes=False)
        return [(fact.key.network, fact.evaluation) for fact in facts if isinstance(fact, Evaluated)]


#: Fields of an evaluation that are not columns of the history under their own name or order.
_LEFT_OUT = {"scores", "loss", "failure", "rung"}
_MEASURED = [one.name for one in fields(Evaluation) if one.name not in _LEFT_OUT]
_PLACE = ("slot", "started", "finished")


def history(folder: RunFolder) -> pd.DataFrame:
    """Return one row per evaluation: candidate, rung, origin, parents, scores, costs, slot and times [unix s]."""
    with understood(folder.journal_path):
        return _table(folder.facts(genomes=False))


def _table(facts: Iterable[Fact]) -> pd.DataFrame:
    import pandas as pd

    born: dict[int, tuple[str, tuple[int, ...]]] = {}
    # Column by column: a search may have a million rows.
    columns: dict[str, list[Any]] = {
        name: [] for name in ("id", "rung", "origin", "parents", *_MEASURED, "failure", *_PLACE)
    }
    add = {name: column.append for name, column in columns.items()}
    known: dict[str, str] = {}
    for fact in facts:
        if isinstance(fact, Born):
            born[fact.id] = fact.origin, fact.parents
        elif isinstance(fact, Evaluated):
            identity, rung = fact.key.network, fact.key.rung
            origin, parents = born.get(identity, (None, None))
            add["id"](identity)
            add["rung"](known.setdefault(rung, rung))
            add["origin"](origin)
            add["parents"](parents)
            add["failure"](fact.evaluation.failure and fact.evaluation.failure.kind)
            for source, names in ((fact.evaluation, _MEASURED), (fact, _PLACE)):
                for name in names:
                    value = getattr(source, name)
                    # Equal devices, slots and rungs share one string.
                    add[name](known.setdefault(value, value) if type(value) is str else value)
    return pd.DataFrame(columns) if columns["id"] else pd.DataFrame()


def chosen(folder: RunFolder) -> Chosen:
    """Return the answer so far, or the best network if there is none.

    Raises
    ------
    InputError
        If no network has a fitness yet, or its weights are gone.
    """
    with understood(folder.journal_path):
        return _chosen(folder)


def _chosen(folder: RunFolder) -> Chosen:
    answer, whole = _answer(folder)
    members = answer.members if answer else ()
    left = [one for one in members if all(key in whole for key, _ in one.networks)]
    if lost := ", ".join(str(one.id) for one in members if one not in left):
        instead = "the answer is what the others predict" if left else "the best of the other networks is taken instead"
        warnings.warn(f"The weights of network {lost} are gone or damaged; {instead}.", stacklevel=3)
    if answer and left:
        networks = tuple(
            ChosenNetwork(one.id, Genome.from_json(one.genome), whole[key], fold, _in_order(folder, one.thresholds))
            for one in left
            for key, fold in one.networks
        )
        # The thresholds of the mean suit most of its members together, but not a single one.
        ordered = left[0].thresholds if len(left) == 1 else answer.thresholds
        shares = _shares(left, folder.task.class_names)
        # Scores of an answer that has lost members are no longer its own.
        told = (answer.fitness, answer.error, answer.scores) if len(left) == len(members) else (None, None, ())
        return Chosen(networks, _in_order(folder, ordered), shares, *told)
    reader = folder.reader
    leaders = reader.leaders()
    if not leaders:
        raise InputError("a search with a result", f"no network evaluated in {folder.path}", "Let it run longer.")
    best, weights = _first_with_weights(folder, leaders)
    genome = Genome.from_json(reader.birth(best.id).genome or {})
    judged = reader.evaluation(best.id)
    thresholds = {one.name: one.cutoff for one in judged.scores}
    in_order = _in_order(folder, thresholds)
    folds = sorted({name.partition("/")[0] for name in load(weights) if "/" in name})
    networks = tuple(ChosenNetwork(best.id, genome, weights, int(fold), in_order) for fold in folds)
    return Chosen(networks, in_order, (), judged.fitness, judged.error, judged.scores)


def _shares(members: Sequence[AnswerMember], class_names: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """Return the weight of each network in the mean of each class; equal weights for a class without a member."""
    votes = [[one.classes is None or name in one.classes for name in class_names] for one in members]
    rows = [row for one, row in zip(members, votes, strict=True) for _ in one.networks]
    counts = [sum(column) for column in zip(*rows, strict=True)]
    return tuple(
        tuple(vote / count if count else 1 / len(rows) for vote, count in zip(row, counts, strict=True)) for row in rows
    )


def _answer(folder: RunFolder) -> tuple[AnswerChosen | None, dict[EvaluationKey, bytes]]:
    """Return the latest answer, and the weights of its members that are intact."""
    folder.reader.read()
    while answer := folder.reader.status.answer:
        keys = {key for one in answer.members for key, _ in one.networks}
        weights = {key: data for key in keys if is_intact(data := folder.read_weights(key))}
        folder.reader.read()
        # A running search may have chosen another answer and deleted weights of this one.
        if len(weights) == len(keys) or folder.reader.status.answer is answer:
            return answer, weights
    return None, {}


def _first_with_weights(folder: RunFolder, leaders: Sequence[Leader]) -> tuple[Leader, bytes]:
    """Return the best network with intact weights; those of the very best may be missing in a merged run."""
    for one in leaders:
        weights = folder.read_weights(one.key)
        if is_intact(weights):
            if one is not leaders[0]:
                warnings.warn(
                    f"The weights of network {leaders[0].id} (fitness {leaders[0].fitness:.3f}) are gone or damaged; "
                    f"network {one.id} ({one.fitness:.3f}) is taken instead.",
                    stacklevel=4,
                )
            return one, weights
    return leaders[0], _weights(folder, leaders[0].key)


def _in_order(folder: RunFolder, thresholds: Mapping[str, float | None]) -> tuple[float, ...]:
    """Order thresholds as the task's classes: `UNKNOWN` for an absent class, `NEVER` for None."""
    found = (thresholds.get(name, UNKNOWN) for name in folder.task.class_names)
    return tuple(NEVER if one is None else one for one in found)


def _weights(folder: RunFolder, key: str) -> bytes:
    data, path = folder.read_weights(key), folder.weights_path(key)
    if not data:
        raise InputError(f"the weights of network {key}", f"no {path}", "Resume the search, or restore the file.")
    if not is_intact(data):
        remedy = "Restore the file from a copy, or search again."
        raise InputError(f"whole weights of network {key}, in the safetensors format", f"{path} damaged", remedy)
    return data
