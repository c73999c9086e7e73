"""A candidate with what it is asked to do, the key of that evaluation, and a candidate with the fitness it got."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.genome.evaluation import Rung

if TYPE_CHECKING:
    from napari_menndl.genome.genome import Genome

#: Origin of a candidate that another search found.
IMMIGRANT = "immigrant"
#: Follows the name of the rung that a candidate was evaluated at, where its networks are trained on all labels.
_REFIT = "+"


class EvaluationKey(str):
    """The name of an evaluation in pool, journal and run folder: network and rung, ``"17/2"``.

    Where a network was trained on with all labels after that evaluation, the key of this ends with a plus: ``"17/2+"``.
    """

    __slots__ = ()

    @classmethod
    def of(cls, network: int, rung: str | int) -> EvaluationKey:
        """Return the key of a network's evaluation at a rung."""
        return cls(f"{network}/{rung}")

    @property
    def network(self) -> int:
        """The candidate's id.

        Raises
        ------
        ValueError
            For a text that is no key.
        """
        return int(self.partition("/")[0])

    @property
    def rung(self) -> str:
        """Name of the rung."""
        return self.partition("/")[2]

    @property
    def level(self) -> int | None:
        """The rung's number, counted from 0; None for what is not judged: a training with all labels."""
        return int(self.rung) if self.rung.isdigit() else None

    @property
    def refit(self) -> EvaluationKey:
        """Of the training with all labels that follows this evaluation."""
        return EvaluationKey(self + _REFIT)


@dataclass(frozen=True)
class Candidate:
    """One network of the search, at one rung.

    Attributes
    ----------
    id : int
        Its birth, counted from 0.
    genome : Genome
    rung : Rung
        What it is to be evaluated at.
    parents : tuple of int
        Ids; none for founders and random ones.
    origin : str
        ``"founder unet"``, ``"random"``, ``"crossover"``, ``"mutation: layer 3: filters 16 → 24"``.
    weights_of : EvaluationKey or None
        Its own evaluation at the rung below, which it goes on from.
    inherits : EvaluationKey or None
        Of an offspring: the parent's evaluation whose layers it begins with.
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
        """Key of the evaluation whose weights it is given; None: it starts from nothing."""
        return self.weights_of or self.inherits

    @property
    def key(self) -> EvaluationKey:
        """Names this evaluation."""
        return EvaluationKey.of(self.id, self.rung.name)

    def refit(self, pixels: int, networks: int) -> Candidate:
        """The training of this candidate's networks on all labels.

        Parameters
        ----------
        pixels : int
            That each is shown [px].
        networks : int
            Those of the first so many folds.
        """
        rung = Rung(self.key.refit.rung, pixels, tuple(range(networks)), self.rung.split, all_labels=True)
        return replace(self, rung=rung, weights_of=self.key, inherits=None)

    def seed(self, search: int) -> int:
        """Seed of its training, from the search's seed; the same at every rung."""
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
        Its evaluation's time over the labelled pixels that each fold was shown.
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
