"""Ensembles of trained networks."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError, as_number
from napari_menndl.network.weights import of_fold
from napari_menndl.predict import predictor_file
from napari_menndl.predict.card import Card
from napari_menndl.predict.trained import KIND as NETWORK
from napari_menndl.predict.trained import TrainedNetwork, as_thresholds

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from napari_menndl.genome.evaluation import Evaluation
    from napari_menndl.genome.genome import Genome
    from napari_menndl.metrics.detection import MatchRule
    from napari_menndl.movie.movie import Step
    from napari_menndl.network.tiling import Part
    from napari_menndl.predict.resample import PixelSize
    from napari_menndl.predict.trained import NetworkInput
    from napari_menndl.task.task import TrainingTask

KIND = "ensemble"
#: Probability, by the mean of all members, above which pixels are compared in `Ensemble.reduced`.
_MATTERS = 0.02
#: Cost of making an input channel, as so many FLOP of a network [per pixel]: on one core it took 30 to 130 ns, a FLOP
#: of the founders' convolutions 0.02 ns. What a network sees is made once for all members that see the same.
_CHANNEL = 2_000.0
#: The members disagree about a class where the mean marks less than this share of the pixels that they mark on average
#: by themselves. Of simulated movies and images it was 0.7 and more where answers were good (docs/experiments.md).
_LOST = 0.5
#: Fewest marked pixels that are compared: of fewer the share is chance.
_COMPARED = 50


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Mean of the members' probabilities, with its own thresholds; has the interface of `TrainedNetwork`.

    Attributes
    ----------
    members : tuple of TrainedNetwork
        Networks of the same classes and pixel size.
    thresholds : C float
    weights : tuple of C float
        One row per member: its weight in the mean of each class; the weights of a class add up to 1. Empty: all equal.
    card : Card
        What it was trained on, its scores, its licence. No part of the digest.

    Raises
    ------
    InputError
        If there is no member, or if members have different classes or pixel sizes.
    """

    members: tuple[TrainedNetwork, ...]
    thresholds: tuple[float, ...]
    weights: tuple[tuple[float, ...], ...] = ()
    card: Card = field(default_factory=Card)

    @classmethod
    def from_evaluation(cls, genome: Genome, task: TrainingTask, evaluation: Evaluation, weights: bytes) -> Ensemble:
        """Return the ensemble of the networks of a genome's folds.

        Parameters
        ----------
        genome : Genome
        task : TrainingTask
        evaluation, weights : Evaluation, bytes
            As returned by `training.evaluate` for all folds. The thresholds are those chosen out of fold.
        """
        cutoffs = {score.name: score.cutoff for score in evaluation.scores}
        thresholds = tuple(cutoffs.get(name, 0.5) for name in task.class_names)
        return cls(
            tuple(
                TrainedNetwork.from_evaluation(genome, task, weights, thresholds, fold) for fold in range(task.folds)
            ),
            thresholds,
        )

    def __post_init__(self) -> None:
        kinds = {(m.class_names, m.pixel_size) for m in self.members}
        if len(kinds) != 1:
            raise InputError(
                "members of the same classes and pixel size", str(kinds or "none"), "Choose other members."
            )
        if len(self.thresholds) != len(self.class_names):
            raise InputError(f"{len(self.class_names)} thresholds", str(len(self.thresholds)), "Give one per class.")
        shape = (len(self.members), len(self.class_names))
        known = len(self.weights) == shape[0] and {len(row) for row in self.weights} == {shape[1]}
        if self.weights and not (known and np.allclose(np.sum(self.weights, axis=0), 1)):
            raise InputError(
                f"{shape[0]} rows of {shape[1]} weights, those of each class adding up to 1",
                f"{self.weights}",
                "Correct them, or leave them out.",
            )

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.members[0].class_names

    @property
    def match_rules(self) -> tuple[MatchRule, ...]:
        return self.members[0].match_rules

    @property
    def pixel_size(self) -> PixelSize | None:
        return self.members[0].pixel_size

    @property
    def frame_shape(self) -> tuple[int, int] | None:
        return self.members[0].frame_shape

    @property
    def steps(self) -> tuple[Step, ...]:
        """Preparation steps of the movie trained on, see `TrainedNetwork`."""
        return self.members[0].steps

    @property
    def reach(self) -> int:
        """Neighbouring frames on each side that the members use."""
        return max(member.reach for member in self.members)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that change with anything that changes a prediction."""
        text = " ".join(
            [*(member.digest for member in self.members), *map(str, self.thresholds), *map(str, self.weights)]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def predict_frame(
        self, frame: ArrayLike, pixel_size: PixelSize | None = None, window: int | None = None
    ) -> NDArray[np.float32]:
        """Predict the mean probabilities of a frame; see `TrainedNetwork.predict_frame`.

        Warns
        -----
        UserWarning
            If the members disagree so much that the mean misses most of what they find by themselves.
        """
        return self._predict(frame, pixel_size, window)

    def predict_and_agree(
        self, frame: ArrayLike, pixel_size: PixelSize | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what `predict_frame` and `agreement` return, in the time of one of them."""
        votes = self._zeros(frame)
        mean = self._predict(frame, pixel_size, votes=votes)
        return mean, np.abs(2 * votes - 1)

    def _predict(
        self,
        frame: ArrayLike,
        pixel_size: PixelSize | None,
        window: int | None = None,
        votes: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Return the mean probabilities, (C, Y, X) float32; add the members' votes to `votes`, of the same shape."""
        mean = self._zeros(frame)
        alone = np.zeros(len(self.class_names))
        for number, given in self._prepared(frame, pixel_size):
            member, share = self.members[number], self._shares[number]
            thresholds = np.asarray(member.thresholds, np.float32)[:, None, None]
            for part, values in member.infer(given, window):
                if votes is not None:
                    votes[:, *part] += share * (values >= thresholds)
                mean[:, *part] += share * values
                alone += share[:, 0, 0] * self._marked(values)
        self._warn_of_disagreement(alone, self._marked(mean))
        return mean

    def _marked(self, probabilities: NDArray[np.float32]) -> NDArray[np.intp]:
        """Return the number of pixels in which (C, Y, X) reaches the thresholds, (C,)."""
        thresholds = np.asarray(self.thresholds, np.float32)[:, None, None]
        marked: NDArray[np.intp] = (probabilities >= thresholds).sum(axis=(1, 2))
        return marked

    def _warn_of_disagreement(self, alone: NDArray[Any], together: NDArray[Any]) -> None:
        """Warn of classes of which the mean marks much less than the members do on average, both (C,) pixels."""
        lost = (alone >= _COMPARED) & (together < _LOST * alone)
        if lost.any():
            names = " and ".join(name for name, its in zip(self.class_names, lost, strict=True) if its)
            warnings.warn(
                f"The networks of the ensemble disagree about {names}: together they find less than half of what each "
                "finds by itself, so defects are missed. Label a frame like this one as well and search again, or "
                "lower the threshold.",
                stacklevel=4,
            )

    def _zeros(self, frame: ArrayLike) -> NDArray[np.float32]:
        return np.zeros((len(self.class_names), *np.shape(frame)[-2:]), np.float32)

    def _prepared(self, frame: ArrayLike, pixel_size: PixelSize | None) -> Iterator[tuple[int, NetworkInput]]:
        """Yield each member's number and input, grouped so that members with equal inputs share them."""
        views = [member.view for member in self.members]
        for view in dict.fromkeys(views):
            alike = [number for number, its in enumerate(views) if its == view]
            given = self.members[alike[0]].prepare(frame, pixel_size)
            yield from ((number, given) for number in alike)

    @cached_property
    def _shares(self) -> NDArray[np.float32]:
        """(M, C, 1, 1) float32: the weight of each member in the mean of each class."""
        shape = (len(self.members), len(self.class_names))
        shares = np.array(self.weights) if self.weights else np.full(shape, 1 / len(self.members))
        return shares.astype(np.float32)[:, :, None, None]

    def predict_parts(
        self, frame: ArrayLike, parts: Sequence[Part], pixel_size: PixelSize | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Predict a frame part by part; see `TrainedNetwork.predict_parts`. Warns, at the end, as `predict_frame`."""
        given = dict(self._prepared(frame, pixel_size))
        each = (member.infer_parts(given[number], parts) for number, member in enumerate(self.members))
        alone, together = np.zeros((2, len(self.class_names)))
        for values in zip(*each, strict=True):
            mean = np.zeros_like(values[0])
            for share, one in zip(self._shares, values, strict=True):
                mean += share * one
                alone += share[:, 0, 0] * self._marked(one)
            together += self._marked(mean)
            yield mean
        self._warn_of_disagreement(alone, together)

    def agreement(self, frame: ArrayLike, pixel_size: PixelSize | None = None) -> NDArray[np.float32]:
        """Return the agreement of the members on a frame.

        Returns
        -------
        (C, Y, X) float32
            1: all members find the class in this pixel, each at its own threshold, or none does; 0: half of them do.
        """
        return self.predict_and_agree(frame, pixel_size)[1]

    def votes(self, frame: ArrayLike, pixel_size: PixelSize | None = None) -> NDArray[np.float32]:
        """Return the share of the members, by weight, that find each class in each pixel, at their own thresholds.

        Returns
        -------
        (C, Y, X) float32
        """
        votes = self._zeros(frame)
        self._predict(frame, pixel_size, votes=votes)
        return votes

    def reduced(self, frame: ArrayLike, share: float, pixel_size: PixelSize | None = None) -> Ensemble:
        """Select the few members whose mean is closest to that of all on a frame, by forward selection.

        The frame needs no labels; it should not be a training frame, so that the members differ on it.

        Parameters
        ----------
        frame, pixel_size
            As for `predict_frame`.
        share : float
            Share of the cost of all members, which is estimated: the FLOP of the networks and what their inputs take.
            At least one member is kept for each class.

        Returns
        -------
        Ensemble
            With the same thresholds; the same for the same frame.

        Raises
        ------
        InputError
            If the share is not between 0 and 1.
        """
        if not 0 <= as_number(share) <= 1:
            raise InputError("a share of the cost between 0 and 1", repr(share), "Give for example 0.25.")
        each = {number: self.members[number].infer_whole(given) for number, given in self._prepared(frame, pixel_size)}
        outputs = [each[number] for number in range(len(each))]
        shares = self._shares
        mean = np.sum(shares * outputs, axis=0)
        # Defects cover few pixels: elsewhere all members agree, which would hide their differences on defects.
        matters = mean > _MATTERS
        total, weight = np.zeros_like(mean), np.zeros_like(shares[0])
        chosen: list[int] = []

        def distance(i: int) -> float:
            with np.errstate(invalid="ignore"):
                off = np.abs((total + shares[i] * outputs[i]) / (weight + shares[i]) - mean)
            each = [float(d[m].mean()) if m.any() else 0.0 for d, m in zip(off, matters, strict=True)]
            return sum(1.0 if np.isnan(one) else one for one in each)  # a class that no chosen member predicts yet

        limit = share * self._cost(range(len(outputs)))
        while left := [i for i in range(len(outputs)) if i not in chosen]:
            affordable = [i for i in left if self._cost([*chosen, i]) <= limit]
            if not affordable:
                missing = weight[:, 0, 0] == 0
                affordable = [i for i in left if (shares[i][missing] > 0).any()]
                if not affordable:
                    break
            best = min(affordable, key=distance)
            chosen.append(best)
            total, weight = total + shares[best] * outputs[best], weight + shares[best]
        chosen.sort()
        return self.some(chosen)

    def some(self, chosen: Sequence[int]) -> Ensemble:
        """Return the ensemble of some members, by number, with the same thresholds.

        Raises
        ------
        InputError
            If none of them predicts one of the classes.
        """
        weights = self._shares[list(chosen), :, 0, 0].astype(np.float64)
        total = weights.sum(axis=0)
        if not (total > 0).all():
            alone = ", ".join(name for name, sum_ in zip(self.class_names, total, strict=True) if not sum_ > 0)
            raise InputError("a member for each class", f"none for {alone}", "Choose other members.")
        weights /= total
        return replace(
            self, members=tuple(self.members[i] for i in chosen), weights=tuple(map(tuple, weights.tolist()))
        )

    def with_texts(self, **texts: str | tuple[str, ...]) -> Ensemble:
        """Return the same network with other texts on its card: title, about, licence, authors, cite."""
        return replace(self, card=self.card.with_texts(**texts))

    def _cost(self, numbers: Iterable[int]) -> float:
        """Return the estimated cost of a prediction by some members [FLOP per pixel]."""
        members = [self.members[number] for number in sorted(numbers)]
        inputs = {member.view: member.plan.nodes[0].channels for member in members}
        return sum(member.plan.flops_per_pixel for member in members) + _CHANNEL * sum(inputs.values())

    def with_thresholds(self, thresholds: Sequence[float]) -> Ensemble:
        """Return an ensemble of the same members with other thresholds; see `TrainedNetwork.with_thresholds`."""
        return replace(self, thresholds=as_thresholds(thresholds, self.class_names))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the ensemble to a single safetensors file."""
        weights = {f"{i}/{name}": t for i, member in enumerate(self.members) for name, t in member.weights.items()}
        return predictor_file.save_file(path, KIND, self.to_json(), weights)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the weights, as plain data for JSON."""
        return {
            "thresholds": list(self.thresholds),
            "weights": [list(row) for row in self.weights],
            "members": [member.describe() for member in self.members],
            "card": self.card.to_json(),
        }

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Ensemble:
        """Read the file of `save`.

        Raises
        ------
        InputError
            If the file is missing, damaged, not from napari-menndl, from a newer version, or not an ensemble.
        """
        predictor = open_predictor(path)
        if not isinstance(predictor, Ensemble):
            raise InputError("a file with an ensemble", "one with one network", "Open it with TrainedNetwork.open.")
        return predictor


def members_of(network: TrainedNetwork | Ensemble) -> tuple[TrainedNetwork, ...]:
    """Return the members of an ensemble, or the one network."""
    alone: Any = (network,)
    members: tuple[TrainedNetwork, ...] = getattr(network, "members", alone)
    return members


def without_pixel_size(network: TrainedNetwork | Ensemble) -> TrainedNetwork | Ensemble:
    """Return a network that ignores pixel sizes."""
    if isinstance(network, Ensemble):
        return replace(network, members=tuple(replace(member, pixel_size=None) for member in network.members))
    return replace(network, pixel_size=None)


def open_predictor(path: str | os.PathLike[str]) -> TrainedNetwork | Ensemble:
    """Open a saved network or ensemble, whichever it is.

    Raises
    ------
    InputError
        If the file is missing, damaged, not from napari-menndl, or from a newer version.
    """
    about, tensors = predictor_file.open_file(path)
    if about["kind"] == NETWORK:
        return TrainedNetwork.from_description(about, tensors)
    if about["kind"] != KIND:
        raise InputError("a network or an ensemble", f"a file with {about['kind']!r}", "Update napari-menndl.")
    try:
        members = tuple(
            TrainedNetwork.from_description(member, of_fold(tensors, i)) for i, member in enumerate(about["members"])
        )
        shares = tuple(tuple(map(float, row)) for row in about.get("weights", ()))
        return Ensemble(members, tuple(map(float, about["thresholds"])), shares, Card.from_json(about.get("card", {})))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise InputError("a complete description of an ensemble", repr(problem), predictor_file.REMEDY) from problem
