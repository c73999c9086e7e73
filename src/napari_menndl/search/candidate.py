"""A candidate and what it is asked to do; a candidate with the fitness it got."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.genome import Genome

#: Follows the name of the rung that a candidate was evaluated at, where its networks are trained on all labels.
REFIT = "+"


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
    weights_of : str or None
        Key of its own evaluation at the rung below, which it goes on from.
    inherits : str or None
        Of an offspring: key of the parent's evaluation whose layers it begins with.
    """

    id: int
    genome: Genome
    rung: Rung
    parents: tuple[int, ...] = ()
    origin: str = "random"
    weights_of: str | None = None
    inherits: str | None = None

    @property
    def starts_from(self) -> str | None:
        """Key of the evaluation whose weights it is given; None: it starts from nothing."""
        return self.weights_of or self.inherits

    @property
    def key(self) -> str:
        """Names this evaluation in pool, journal and folder."""
        return f"{self.id}/{self.rung.name}"

    def refit(self, pixels: int, networks: int) -> Candidate:
        """The training of this candidate's networks on all labels.

        Parameters
        ----------
        pixels : int
            That each is shown [px].
        networks : int
            Those of the first so many folds.
        """
        rung = Rung(self.refit_key.partition("/")[2], pixels, tuple(range(networks)), self.rung.split, all_labels=True)
        return replace(self, rung=rung, weights_of=self.key, inherits=None)

    @property
    def refit_key(self) -> str:
        """Names the training of its networks on all labels."""
        return self.key + REFIT

    def seed(self, search: int) -> int:
        """Seed of its training, from the search's seed; the same at every rung."""
        return int(np.random.SeedSequence([search, self.id]).generate_state(1)[0])

    def to_json(self) -> dict[str, Any]:
        """Return what the journal keeps; the genome last, so that a reader who needs none can leave it unread."""
        return {
            "id": self.id,
            "rung": self.rung.to_json(),
            "parents": list(self.parents),
            "origin": self.origin,
            "weights_of": self.weights_of,
            "inherits": self.inherits,
            "genome": self.genome.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Candidate:
        return cls(
            int(data["id"]),
            Genome.from_json(data["genome"]),
            Rung.from_json(data["rung"]),
            tuple(data["parents"]),
            data["origin"],
            data["weights_of"],
            data.get("inherits"),
        )


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
    def key(self) -> str:
        return self.candidate.key
