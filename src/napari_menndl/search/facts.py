"""Typed facts of a journal: the schema of ``journal.jsonl``.

A line of the journal is a JSON object with ``kind``, ``time`` [unix s] and the fields of the fact of that kind. Fields
with a default are missing in journals of earlier versions; unknown fields and kinds are ignored.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from napari_menndl.errors import Failure, InputError
from napari_menndl.genome.evaluation import Evaluation, Rung
from napari_menndl.genome.genome import Genome
from napari_menndl.metrics.scores import ClassScore
from napari_menndl.search.candidate import Candidate, EvaluationKey
from napari_menndl.search.journal import iterate_journal, not_written
from napari_menndl.serialization import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Self

#: Fact classes by kind; filled as the classes below are defined.
_KINDS: dict[str, type[Fact]] = {}


def _now() -> float:
    return round(time.time(), 3)


@dataclass(frozen=True, kw_only=True)
class Fact:
    """Line of a journal.

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
        plain: dict[str, Any] = encode(self)
        return plain

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a fact from plain data; unknown fields are ignored.

        Raises
        ------
        InputError
            If no search wrote the data.
        """
        fact: Self = decode(cls, data, f"the fact {cls.kind!r}", lenient=True)
        return fact


@dataclass(frozen=True, kw_only=True)
class Started(Fact, kind="started"):
    """The beginning of a search.

    Attributes
    ----------
    slots : int
        Slots of the pool.
    budget : str
    learns : dict
        ``"frames"``, the number of frames learned from, and ``"defects"``, the number of labelled defects by class.
    """

    slots: int
    budget: str
    learns: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Resumed(Started, kind="resumed"):
    """Continuation of a search in another process."""


@dataclass(frozen=True, kw_only=True)
class Born(Fact, kind="born"):
    """Birth of a candidate, to be evaluated at the first rung.

    Attributes
    ----------
    id : int
        Number of the birth, counted from 0.
    rung : Rung
    parents : tuple of int
    origin : str
        See `Candidate`.
    inherits : EvaluationKey or None
        The parent's evaluation whose layers it inherits.
    genome : dict or None
        As `Genome.to_json` returns it; None if the journal was read without genomes. It is the last field of the line,
        so that such a reader need not parse it.
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
        """The candidate that was born; the journal must have been read with genomes."""
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
    """Promotion of a candidate to a higher rung.

    Attributes
    ----------
    id : int
    rung : str
        The rung it is promoted to.
    weights_of : EvaluationKey
        Its evaluation at the rung below, from which its training continues.
    """

    id: int
    rung: str
    weights_of: EvaluationKey


@dataclass(frozen=True, kw_only=True)
class Arrived(Fact, kind="arrived"):
    """Arrival of an immigrant, which is the next birth.

    Attributes
    ----------
    id : int
        Id of the birth.
    island : str
    theirs : int
        Id of the network on that island.
    rung : str
        The highest rung at which it was evaluated there.
    fitness : float
        Its fitness there.
    """

    id: int
    island: str
    theirs: int
    rung: str
    fitness: float


@dataclass(frozen=True, kw_only=True)
class _Ended(Fact):
    """End of a job that the pool ran.

    Attributes
    ----------
    key : EvaluationKey
    slot : str
        The slot that ran it.
    started, finished : float [unix s]
    """

    key: EvaluationKey
    slot: str
    started: float
    finished: float


@dataclass(frozen=True, kw_only=True)
class Evaluated(_Ended, kind="evaluated"):
    """Evaluation that ended with a fitness."""

    evaluation: Evaluation


@dataclass(frozen=True, kw_only=True)
class Failed(Evaluated, kind="failed"):
    """Evaluation that ended with a failure of the network itself."""

    @property
    def failure(self) -> Failure:
        if self.evaluation.failure is None:
            raise TypeError("a failed evaluation without a failure")
        return self.evaluation.failure


@dataclass(frozen=True, kw_only=True)
class Refit(_Ended, kind="refit"):
    """Refit of networks of a member of the answer on all labels, whether it succeeded or failed.

    Attributes
    ----------
    folds : tuple of int
        The folds whose networks were to be refit.
    """

    folds: tuple[int, ...]
    evaluation: Evaluation


@dataclass(frozen=True, kw_only=True)
class Lost(_Ended, kind="lost"):
    """Evaluation that the pool lost; it is tried again."""

    failure: Failure


@dataclass(frozen=True, kw_only=True)
class WeightsMissing(Fact, kind="weights_missing"):
    """Start of a candidate from scratch, because the weights to start from are missing or damaged."""

    key: EvaluationKey
    weights_of: EvaluationKey
    damaged: bool


@dataclass(frozen=True, kw_only=True)
class Retired(Fact, kind="retired"):
    """Candidates that left the population."""

    ids: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Best(Fact, kind="best"):
    """Change of the candidate with the highest fitness, or of the rung of that fitness."""

    id: int
    key: EvaluationKey
    fitness: float


@dataclass(frozen=True, kw_only=True)
class AnswerMember:
    """A member of an answer.

    Attributes
    ----------
    id : int
    key : EvaluationKey
        The evaluation on which it was chosen.
    networks : tuple of (EvaluationKey, int)
        The networks that predict: the key of their weights, and the fold.
    genome : dict
    fitness : float
        Fitness of this member alone; 0 in journals of earlier versions.
    thresholds : dict of str to float or None
        By class, for this member alone; None in journals of earlier versions: the class is never predicted.
    classes : tuple of str or None
        The classes that it predicts; None in journals of earlier versions: all.
    """

    id: int
    key: EvaluationKey
    networks: tuple[tuple[EvaluationKey, int], ...]
    genome: dict[str, Any]
    fitness: float = 0.0
    thresholds: dict[str, float | None]
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class AnswerChosen(Fact, kind="answer"):
    """Choice of a new answer.

    Attributes
    ----------
    members : tuple of AnswerMember
    thresholds : dict of str to float or None
        Thresholds by class, for the mean of the members.
    fitness, error : float or None
        Out-of-fold fitness of the mean and its standard error; None without members.
    scores : tuple of ClassScore
    """

    members: tuple[AnswerMember, ...] = ()
    thresholds: dict[str, float | None] = field(default_factory=dict)
    fitness: float | None = None
    error: float | None = None
    scores: tuple[ClassScore, ...] = ()

    def values(self) -> dict[str, Any]:
        """Return the fields of the answer alone, without those that a subclass adds."""
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
    elapsed : float [s]
        Time searched, over all resumes.
    """

    reason: str
    elapsed: float


@dataclass(frozen=True, kw_only=True)
class Telemetry(Fact, kind="telemetry"):
    """Sums over all resumes, recorded every few seconds.

    Attributes
    ----------
    elapsed : float [s]
        Time searched.
    slots : int
    slot_seconds, gpu_seconds : float [s]
        Available slot time and GPU time.
    median : float or None
        Median fitness of the population.
    pool : dict
        The pool's own figures (`pool.protocol.PoolTelemetry`).
    """

    elapsed: float
    slots: int
    slot_seconds: float
    gpu_seconds: float
    median: float | None
    pool: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Merged(Fact, kind="merged"):
    """Summary of one of the runs that a merged run folder was made from.

    Attributes
    ----------
    run : str
        Its run folder.
    island : str
    networks : int
    finished : bool
    fitness : float or None
        Fitness of its answer.
    """

    run: str
    island: str
    networks: int
    finished: bool
    fitness: float | None


def iterate_facts(path: Path, offset: int = 0, *, genomes: bool = True) -> Iterator[tuple[Fact, int]]:
    """Yield each known fact of a journal and the offset [byte] at which its line ends.

    See `journal.iterate_journal` for the parameters.

    Raises
    ------
    InputError
        If no search wrote a line.
    FileNotFoundError
        If there is no journal yet.
    """
    for data, end in iterate_journal(path, offset, genomes=genomes):
        try:
            kind = _KINDS.get(data["kind"])
            fact = kind.from_json(data) if kind else None
        except (InputError, KeyError, TypeError) as error:
            raise not_written(path, str(error)) from error
        if fact is not None:
            yield fact, end
