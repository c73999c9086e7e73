"""Counts of found, false and missed defects, and the scores computed from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scipy.special import betainc

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: A prediction with a lower precision, of which more than three of four finds are false, is no help in a review.
LEAST_PRECISION = 0.25
#: A class is not predicted if its precision is below that with a higher probability than this.
_SURE = 0.95


@dataclass(frozen=True)
class Counts:
    """Numbers of true positives, false positives and false negatives; additive over frames and folds."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """tp / (tp + fp); 0 if nothing was predicted."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else 0.0

    @property
    def recall(self) -> float:
        """tp / (tp + fn); 0 if there is no defect."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else 0.0

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn); 0 if there is neither a defect nor a prediction."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else 0.0


@dataclass(frozen=True)
class ClassScore:
    """Scores of one class at the threshold chosen for it.

    Attributes
    ----------
    name : str
        Defect class.
    f1, average_precision, pixel_f1 : float
        Defect F1 at `threshold`; area under precision over recall across thresholds; F1 of the pixels at `threshold`.
    threshold : float
        Threshold of the probability.
    tp, fp, fn : int
        Counts of defects at `threshold`.
    """

    name: str
    f1: float
    average_precision: float
    pixel_f1: float
    threshold: float
    tp: int
    fp: int
    fn: int

    @property
    def worth(self) -> float:
        """(defect F1 + average precision) / 2: quality at the threshold and of the ranking."""
        return (self.f1 + self.average_precision) / 2

    @property
    def cutoff(self) -> float:
        """Threshold to predict with; infinite if the precision is almost certainly too low.

        That is, below `LEAST_PRECISION` with a probability above 0.95, by Jeffreys' interval (Brown, Cai & DasGupta
        2001, 10.1214/ss/1009213286). A few false finds do not suppress a class. A single defect counts as found: the
        network that it was judged by has been trained without an example.
        """
        found = max(self.tp, 1) if self.tp + self.fn == 1 else self.tp
        doubt = float(betainc(found + 0.5, self.fp + 0.5, LEAST_PRECISION))
        return self.threshold if doubt <= _SURE else math.inf


def never_predicted(
    class_names: Sequence[str], thresholds: Sequence[float], scores: Iterable[ClassScore] | None = None
) -> str:
    """Return a message on the classes that a network never predicts, with the reason; "" if there are none.

    Parameters
    ----------
    class_names : C str
    thresholds : C float
        A class with a threshold above 1 is never predicted, see `ClassScore.cutoff`.
    scores : iterable of ClassScore, optional
        Out-of-fold scores; if given, the message has numbers, and includes classes that were not labelled or not found.
    """
    silent = [name for name, threshold in zip(class_names, thresholds, strict=True) if threshold > 1]
    judged = {} if scores is None else {score.name: score for score in scores}
    parts = []
    if silent:
        told = ", ".join(f"{name}{_right(judged[name]) if name in judged else ''}" for name in silent)
        parts.append(
            f"Never predicted: {told}. Where it was judged, more than three of four found were false: "
            "label more of them, or choose a threshold."
        )
    for name in class_names if scores is not None else ():
        score = judged.get(name)
        if name in silent:
            continue
        if score is None:
            parts.append(f"Not learned: {name}; no defect of it was labelled.")
        elif not score.tp + score.fp:
            parts.append(f"Not found where it was judged: {name}, 0 of {score.fn}; label more of them.")
    return " ".join(parts)


def _right(score: ClassScore) -> str:
    return f" ({score.tp} of {score.tp + score.fp} found were right)"
