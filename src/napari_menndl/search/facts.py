"""The facts of a journal, typed: the schema of ``journal.jsonl``.

A line of the journal is a JSON object with ``kind``, ``time`` [unix s] and the fields of the fact of that kind. Fields
with a default are missing in journals of earlier versions; fields and kinds that are not known here are passed over.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from napari_menndl.errors import Failure
from napari_menndl.genome.evaluation import Evaluation, Rung
from napari_menndl.genome.genome import Genome
from napari_menndl.metrics.scores import ClassScore
from napari_menndl.search.candidate import Candidate, EvaluationKey
from napari_menndl.search.journal import iterate_journal, understood

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Self

#: By kind; filled as the classes below are made.
_KINDS: dict[str, type[Fact]] = {}


def _now() -> float:
    return round(time.time(), 3)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One line of a journal.

    Attributes
    ----------
    time : float [unix s]
        When it was recorded.
    """

    kind: ClassVar[str] = ""
    time: float = field(default_factory=_now)

    def __init_subclass__(cls, kind: str = "", **more: Any) -> None:
        super().__init_subclass__(**more)
        if kind:
            cls.kind = kind
            _KINDS[kind] = cls

    def to_json(self) -> dict[str, Any]:
        """Return the line as plain data."""
        return {"kind": self.kind, **{name: _plain(value) for name, value in vars(self).items()}}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Undo `to_json`; what is not known is left out.

        Raises
        ------
        TypeError, KeyError
            For data that no search wrote.
        """
        known = {one.name for one in fields(cls)}
        values = {name: value for name, value in data.items() if name in known}
        for name, read in _READERS.items():
            if name in values:
                values[name] = read(values[name])
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class Started(Fact, kind="started"):
    """The beginning of a search.

    Attributes
    ----------
    slots : int
        Of the pool.
    budget : str
    learns : dict
        ``"frames"``, how many are learned from, and ``"defects"``, how many are labelled of each class.
    """

    slots: int
    budget: str
    learns: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Resumed(Started, kind="resumed"):
    """The search goes on, in another process."""


@dataclass(frozen=True, kw_only=True)
class Born(Fact, kind="born"):
    """A new candidate, to be evaluated at the first rung.

    Attributes
    ----------
    id : int
        Births are counted from 0.
    rung : Rung
    parents : tuple of int
    origin : str
        See `Candidate`.
    inherits : EvaluationKey or None
        The parent's evaluation whose layers it begins with.
    genome : dict or None
        As `Genome.to_json` gives it; None where the journal is read without genomes. It is the last of the line, so
        that such a reader need not parse it.
    """

    id: int
    rung: Rung
    parents: tuple[int, ...]
    origin: str
    inherits: EvaluationKey | None = None
    genome: dict[str, Any] | None = None

    @classmethod
    def of(cls, candidate: Candidate) -> Born:
        """Return the birth of a candidate."""
        return cls(
            id=candidate.id,
            rung=candidate.rung,
            parents=candidate.parents,
            origin=candidate.origin,
            inherits=candidate.inherits,
            genome=candidate.genome.to_json(),
        )

    @property
    def candidate(self) -> Candidate:
        """Who was born; of a journal read with genomes."""
        return Candidate(
            int(self.id),
            Genome.from_json(self.genome or {}),
            self.rung,
            self.parents,
            self.origin,
            inherits=self.inherits,
        )


@dataclass(frozen=True, kw_only=True)
class Promoted(Fact, kind="promoted"):
    """A candidate is to be trained further.

    Attributes
    ----------
    id : int
    rung : str
        The rung it is promoted to.
    weights_of : EvaluationKey
        Its evaluation at the rung below, which it goes on from.
    """

    id: int
    rung: str
    weights_of: EvaluationKey


@dataclass(frozen=True, kw_only=True)
class Arrived(Fact, kind="arrived"):
    """The next birth came from another island.

    Attributes
    ----------
    id : int
        Of the birth.
    island : str
    theirs : int
        The network's number there.
    rung : str
        The highest that it was evaluated at there.
    fitness : float
        There.
    """

    id: int
    island: str
    theirs: int
    rung: str
    fitness: float


@dataclass(frozen=True, kw_only=True)
class _Ended(Fact):
    """Something that a slot of the pool was given has ended.

    Attributes
    ----------
    key : EvaluationKey
    slot : str
        Which ran it.
    started, finished : float [unix s]
    """

    key: EvaluationKey
    slot: str
    started: float
    finished: float


@dataclass(frozen=True, kw_only=True)
class Evaluated(_Ended, kind="evaluated"):
    """An evaluation that ended with a fitness."""

    evaluation: Evaluation


@dataclass(frozen=True, kw_only=True)
class Failed(Evaluated, kind="failed"):
    """An evaluation that ended with a failure of the network's own."""

    @property
    def failure(self) -> Failure:
        if self.evaluation.failure is None:
            raise TypeError("a failed evaluation without a failure")
        return self.evaluation.failure


@dataclass(frozen=True, kw_only=True)
class Refit(_Ended, kind="refit"):
    """Networks of a member of the answer were trained on with all labels, or that failed.

    Attributes
    ----------
    folds : tuple of int
        The folds whose networks were.
    """

    folds: tuple[int, ...]
    evaluation: Evaluation


@dataclass(frozen=True, kw_only=True)
class Lost(_Ended, kind="lost"):
    """An evaluation that the pool lost; it is tried again."""

    failure: Failure


@dataclass(frozen=True, kw_only=True)
class WeightsMissing(Fact, kind="weights_missing"):
    """A candidate begins from nothing, because the weights it should start from are gone or damaged."""

    key: EvaluationKey
    weights_of: EvaluationKey
    damaged: bool = False


@dataclass(frozen=True, kw_only=True)
class Retired(Fact, kind="retired"):
    """Candidates that left the population."""

    ids: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Best(Fact, kind="best"):
    """Another candidate has the highest fitness now, or the same at another rung."""

    id: int
    key: EvaluationKey
    fitness: float


@dataclass(frozen=True)
class AnswerMember:
    """A member of an answer.

    Attributes
    ----------
    id : int
    key : EvaluationKey
        The evaluation that it was chosen by.
    networks : tuple of (EvaluationKey, int)
        Those that predict: whose weights they are in, and which fold.
    genome : dict
    fitness : float
        By itself.
    thresholds : dict of str to float or None
        By class, for this network alone; None, in journals of earlier versions: the class is never predicted.
    classes : tuple of str or None
        Those that it predicts; None, in journals of earlier versions: all.
    """

    id: int
    key: EvaluationKey
    networks: tuple[tuple[EvaluationKey, int], ...]
    genome: dict[str, Any]
    fitness: float
    thresholds: dict[str, float | None]
    classes: tuple[str, ...] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AnswerMember:
        classes = data.get("classes")
        return cls(
            data["id"],
            EvaluationKey(data["key"]),
            tuple((EvaluationKey(key), fold) for key, fold in data["networks"]),
            data["genome"],
            data.get("fitness", 0.0),
            data["thresholds"],
            None if classes is None else tuple(classes),
        )


@dataclass(frozen=True, kw_only=True)
class AnswerChosen(Fact, kind="answer"):
    """Another ensemble is the answer now.

    Attributes
    ----------
    members : tuple of AnswerMember
    thresholds : dict of str to float or None
        By class, for their mean.
    fitness, error : float or None
        Of the mean, out of fold, with its standard error; None without members.
    scores : tuple of ClassScore
    """

    members: tuple[AnswerMember, ...] = ()
    thresholds: dict[str, float | None] = field(default_factory=dict)
    fitness: float | None = None
    error: float | None = None
    scores: tuple[ClassScore, ...] = ()

    def values(self) -> dict[str, Any]:
        """Return the fields of an answer, whichever fact tells it."""
        return {one.name: getattr(self, one.name) for one in fields(AnswerChosen)}


@dataclass(frozen=True, kw_only=True)
class Finished(AnswerChosen, kind="finished"):
    """The end of a search that reached its goal, with its answer.

    Attributes
    ----------
    reason : str
    elapsed : float [s]
        Time searched, over all resumes.
    """

    reason: str
    elapsed: float


@dataclass(frozen=True, kw_only=True)
class Stopped(Fact, kind="stopped"):
    """The end of a search that was asked to stop; it can be resumed.

    Attributes
    ----------
    reason : str
    elapsed : float or None [s]
        Time searched, over all resumes.
    """

    reason: str
    elapsed: float | None = None


@dataclass(frozen=True, kw_only=True)
class Telemetry(Fact, kind="telemetry"):
    """Sums over all resumes, recorded every few seconds.

    Attributes
    ----------
    elapsed : float [s]
        Time searched.
    slots : int
    slot_seconds, gpu_seconds : float [s]
        Slot time and GPU time there was.
    median : float or None
        Fitness of the population.
    pool : dict
        The pool's own account (`pool.protocol.PoolTelemetry`); empty in journals of versions that kept none.
    """

    elapsed: float
    slots: int
    slot_seconds: float = 0.0
    gpu_seconds: float = 0.0
    median: float | None = None
    pool: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Merged(Fact, kind="merged"):
    """One of the runs that a merged run folder was made from.

    Attributes
    ----------
    run : str
        Its folder.
    island : str
    networks : int
    finished : bool
    fitness : float or None
        Of its answer.
    """

    run: str
    island: str
    networks: int
    finished: bool
    fitness: float | None


_READERS: dict[str, Any] = {
    "key": EvaluationKey,
    "weights_of": lambda key: EvaluationKey(key) if key else None,
    "inherits": lambda key: EvaluationKey(key) if key else None,
    "evaluation": Evaluation.from_json,
    "failure": lambda failure: Failure(**failure),
    "parents": tuple,
    "ids": tuple,
    "folds": tuple,
    "rung": lambda rung: Rung.from_json(rung) if isinstance(rung, dict) else rung,
    "members": lambda members: tuple(map(AnswerMember.from_json, members)),
    "scores": lambda scores: tuple(ClassScore(**score) for score in scores),
}


def _plain(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if is_dataclass(value):
        return {name: _plain(one) for name, one in vars(value).items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def iterate_facts(path: Path, offset: int = 0, *, genomes: bool = True) -> Iterator[tuple[Fact, int]]:
    """Yield each fact of a journal that is known here, and the offset [byte] at which its line ends.

    The parameters are those of `journal.iterate_journal`.

    Raises
    ------
    InputError
        For a line that no search wrote.
    FileNotFoundError
        Where there is no journal yet.
    """
    for data, end in iterate_journal(path, offset, genomes=genomes):
        with understood(path):
            kind = _KINDS.get(data["kind"])
            fact = kind.from_json(data) if kind else None
        if fact is not None:
            yield fact, end
