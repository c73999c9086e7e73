"""Candidates, the keys of their evaluations, and candidates with a fitness."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.genome.evaluation import Rung

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_menndl.genome.genome import Genome

#: Origin of a candidate from another island.
IMMIGRANT = "immigrant"
#: Suffix of the rung in the key of a refit, in which a candidate's networks are trained on all labels.
_REFIT = "+"
#: First part of the key of weights from another search.
_GIVEN = "start"


class EvaluationKey(str):
    """Key of an evaluation in pool, journal and run folder: network and rung, as in ``"17/2"``.

    The key of the refit that follows an evaluation ends with a plus: ``"17/2+"``.
    """

    __slots__ = ()

    @classmethod
    def of(cls, network: int, rung: str | int) -> EvaluationKey:
        """Return the key of a network's evaluation at a rung."""
        return cls(f"{network}/{rung}")

    @classmethod
    def given(cls, number: int) -> EvaluationKey:
        """Return the key of weights from another search, which belong to no network of this one."""
        return cls(f"{_GIVEN}/{number}")

    @property
    def is_given(self) -> bool:
        return self.startswith(f"{_GIVEN}/")

    @property
    def network(self) -> int:
        """The candidate's id.

        Raises
        ------
        ValueError
            If the text is not a key.
        """
        return int(self.partition("/")[0])

    @property
    def rung(self) -> str:
        """Name of the rung."""
        return self.partition("/")[2]

    @property
    def level(self) -> int | None:
        """Number of the rung, counted from 0; None for a refit, which is not judged."""
        return int(self.rung) if self.rung.isdigit() else None

    @property
    def refit(self) -> EvaluationKey:
        """Key of the refit on all labels that follows this evaluation."""
        return EvaluationKey(self + _REFIT)


@dataclass(frozen=True)
class Founder:
    """A genome that is born first.

    Attributes
    ----------
    origin : str
        ``"founder unet"``; of one from another search ``"founder NAME 1"``.
    genome : Genome
    weights : EvaluationKey or None
        Key of the weights that it inherits, which lie in the run folder; None: it starts from scratch.
    """

    origin: str
    genome: Genome
    weights: EvaluationKey | None = None


@dataclass(frozen=True)
class GivenFounders:
    """Founders from another search, with what they have learned.

    Attributes
    ----------
    founders : tuple of Founder
    weights : dict of EvaluationKey to bytes
        Weights that they inherit, by `Founder.weights`; one network per fold, as `training.evaluate` returns them.
    seen : tuple of (int, str)
        Number and digest of the recorded frames that these weights were trained on.
    """

    founders: tuple[Founder, ...] = ()
    weights: Mapping[EvaluationKey, bytes] = field(default_factory=dict)
    seen: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Candidate:
    """One network of the search, at one rung.

    Attributes
    ----------
    id : int
        Number of its birth, counted from 0.
    genome : Genome
    rung : Rung
        The rung at which it is to be evaluated.
    parents : tuple of int
        Ids; empty for founders and random candidates.
    origin : str
        ``"founder unet"``, ``"random"``, ``"crossover"``, ``"mutation: layer 3: filters 16 → 24"``.
    weights_of : EvaluationKey or None
        Its own evaluation at the rung below, from which its training continues.
    inherits : EvaluationKey or None
        For offspring: the parent's evaluation whose layers it inherits; for a founder from another search: the key of
        the weights that were copied from there.
    """

    id: int
    genome: Genome
    rung: Rung
    parents: tuple[int, ...] = ()
    origin: str = "random"
    weights_of: EvaluationKey | None = None
    inherits: EvaluationKey | None = None

    @property
    def starts_from(self) -> EvaluationKey | None:
        """Key of the evaluation whose weights it starts from; None if it starts from scratch."""
        return self.weights_of or self.inherits

    @property
    def key(self) -> EvaluationKey:
        """Key of this evaluation."""
        return EvaluationKey.of(self.id, self.rung.name)

    def refit(self, pixels: int, networks: int) -> Candidate:
        """Return the candidate for a refit of this one's networks on all labels.

        Parameters
        ----------
        pixels : int
            Pixels that each network is shown [px].
        networks : int
            Number of networks, those of the first folds.
        """
        rung = Rung(self.key.refit.rung, pixels, tuple(range(networks)), self.rung.split, all_labels=True)
        return replace(self, rung=rung, weights_of=self.key, inherits=None)

    def seed(self, search: int) -> int:
        """Return the seed of its training, from the search's seed; the same at every rung."""
        return int(np.random.SeedSequence([search, self.id]).generate_state(1)[0])


@dataclass(frozen=True)
class Scored:
    """A candidate with the fitness of its highest rung so far.

    Attributes
    ----------
    candidate : Candidate
        At that rung.
    fitness : float
    seconds_per_pixel : float [s/px]
        Time of its evaluation over the labelled pixels that each fold was shown.
    """

    candidate: Candidate
    fitness: float
    seconds_per_pixel: float = 0.0

    @property
    def id(self) -> int:
        return self.candidate.id

    @property
    def key(self) -> EvaluationKey:
        return self.candidate.key
