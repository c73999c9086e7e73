"""What training one network for one rung yields: plain data, JSON in and out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from napari_menndl.errors import Failure
from napari_menndl.metrics.scores import ClassScore


@dataclass(frozen=True)
class Rung:
    """A training budget.

    Attributes
    ----------
    name : str
        ``"0"``, ``"1"``, … in a search.
    pixels : int
        Labelled pixels a network is shown, counted from its first step on [px].
        A promoted network has seen those of the rung below and trains on the difference.
    folds : tuple of int or None
        The folds validated on, one training each; None: all of the task's.
    split : int
        Which way the frame is cut into folds.
    all_labels : bool
        The networks of the folds are trained on with all labels, and nothing is validated.
    """

    name: str
    pixels: int
    folds: tuple[int, ...] | None = None
    split: int = 0
    all_labels: bool = False

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Rung:
        folds = data["folds"]
        whole = bool(data.get("all_labels", False))
        return cls(
            data["name"], int(data["pixels"]), None if folds is None else tuple(folds), int(data["split"]), whole
        )


@dataclass(frozen=True)
class Evaluation:
    """The outcome of training and validating one network for one rung.

    Attributes
    ----------
    rung : str
        Name of the rung.
    fitness, error : float or None
        Mean over the present classes of (defect F1 + average precision) / 2, and its standard error (bootstrap);
        None on failure and where nothing was validated.
    scores : tuple of ClassScore
        One per class that occurs in the validation folds, counts pooled over folds.
    absent : tuple of str
        Classes without a single defect in the validation folds: not in the fitness.
    loss : tuple of float
        Training loss, averaged over equal stretches of the training.
    parameters : int
    flops : float
        Forward pass [FLOP per input pixel], from the plan (one multiply-add counts 2).
    train_flops : float
        Spent on this evaluation: forward + backward taken as 3 forward passes (Kaplan et al. 2020, arXiv:2001.08361).
    seconds : float
        Wall time of this evaluation [s].
    latency : float
        Prediction time [ms per megapixel] on `device`.
    peak_memory : int
        Of the trainer process or its GPU [byte].
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
    seconds: float = 0.0
    latency: float = 0.0
    peak_memory: int = 0
    device: str = ""
    failure: Failure | None = field(default=None)

    def to_json(self) -> dict[str, Any]:
        return {
            **vars(self),
            "scores": [dict(vars(score)) for score in self.scores],
            "absent": list(self.absent),
            "loss": list(self.loss),
            "failure": dict(vars(self.failure)) if self.failure else None,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Evaluation:
        data = dict(data)
        data["scores"] = tuple(ClassScore(**s) for s in data.get("scores", ()))
        data["absent"] = tuple(data.get("absent", ()))
        data["loss"] = tuple(data.get("loss", ()))
        failure = data.get("failure")
        data["failure"] = Failure(**failure) if failure else None
        return cls(**data)
