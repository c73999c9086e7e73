"""Result of training one network for one rung, as plain data convertible to JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from napari_menndl.errors import Failure
from napari_menndl.metrics.scores import ClassScore
from napari_menndl.serialization import decode, encode


@dataclass(frozen=True)
class Rung:
    """A training budget.

    Attributes
    ----------
    name : str
        ``"0"``, ``"1"``, … in a search.
    pixels : int
        Labelled pixels that a network is trained on, counted from its first step [px].
        A promoted network has been trained on those of the rung below, and is trained on the difference.
    folds : tuple of int or None
        The folds to validate on, with one training each; None: all folds of the task.
    split : int
        Number of the way in which the frame is cut into folds.
    all_labels : bool
        Whether the networks of the folds are trained further on all labels, without validation (refit).
    """

    name: str
    pixels: int
    folds: tuple[int, ...] | None = None
    split: int = 0
    all_labels: bool = False

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = encode(self)
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Rung:
        rung: Rung = decode(cls, data, "rung", lenient=True)
        return rung


@dataclass(frozen=True)
class Evaluation:
    """Result of training and validating one network for one rung.

    Attributes
    ----------
    rung : str
        Name of the rung.
    fitness, error : float or None
        Mean over the present classes of (defect F1 + average precision) / 2, and its standard error (bootstrap);
        None after a failure or without validation.
    scores : tuple of ClassScore
        One per class that occurs in the validation folds, with counts pooled over the folds.
    absent : tuple of str
        Classes without a defect in the validation folds, which do not count in the fitness.
    loss : tuple of float
        Training loss, averaged over equal intervals of the training.
    parameters : int
    flops : float
        Forward pass [FLOP per input pixel], from the plan (one multiply-add counts 2).
    train_flops : float
        Training cost of this evaluation [FLOP]: forward and backward pass counted as 3 forward passes (Kaplan et al.
        2020, arXiv:2001.08361).
    share : float
        Share of the rung's pixels that its networks were trained on; below 1 where there was no time for all.
    seconds : float
        Wall time of this evaluation [s].
    latency : float
        Prediction time [ms per megapixel] on `device`.
    peak_memory : int
        Peak memory of the trainer process or its GPU [byte].
    device : str
    failure : Failure or None
    """

    rung: str
    fitness: float | None = None
    error: float | None = None
    scores: tuple[ClassScore, ...] = ()
    absent: tuple[str, ...] = ()
    loss: tuple[float, ...] = ()
    parameters: int = 0
    flops: float = 0.0
    train_flops: float = 0.0
    share: float = 1.0
    seconds: float = 0.0
    latency: float = 0.0
    peak_memory: int = 0
    device: str = ""
    failure: Failure | None = field(default=None)

    def to_json(self) -> dict[str, Any]:
        plain: dict[str, Any] = encode(self)
        return plain

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Evaluation:
        evaluation: Evaluation = decode(cls, data, "evaluation", lenient=True)
        return evaluation
