"""How well defects are found: counts of one class in one frame, scores of a class, the fitness of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_menndl.metrics.components import Components, label_components
from napari_menndl.metrics.levels import LevelComponents, components_at
from napari_menndl.metrics.matching import LEAST_OVERLAP, assign, match_overlap, match_points, near_points
from napari_menndl.metrics.ranking import (
    average_precision,
    believed_threshold,
    best_threshold,
    choose_thresholds,
    steady_threshold,
)
from napari_menndl.metrics.scores import ClassScore, Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

Mask = NDArray[np.bool_]
#: Probability (Y, X) float, true mask (Y, X) bool, the area that counts (Y, X) bool.
ScoredFrame = tuple[NDArray[np.floating], Mask, Mask]
_BOOTSTRAPS = 400


@dataclass(frozen=True)
class Match:
    """The found and the true defects of one class in one frame, and which is which.

    Pairs are formed over the whole frame, so that a pair across the border of the area that counts is still a pair.
    A true defect inside is a true positive when paired and a false negative when not; a found defect inside is a false
    positive when it is not paired. What lies outside counts for nothing.

    Attributes
    ----------
    found, true : Components
    pairs : (k, 2) intp
        Index into `found`, index into `true`.
    found_inside : (n,) bool
    true_inside : (m,) bool
        Whether the defect's centre lies in the area that counts.
    """

    found: Components
    true: Components
    pairs: NDArray[np.intp]
    found_inside: Mask
    true_inside: Mask

    @property
    def found_unmatched(self) -> NDArray[np.intp]:
        """(a,) intp: indices of the false positives."""
        return np.setdiff1d(np.flatnonzero(self.found_inside), self.pairs[:, 0])

    @property
    def true_unmatched(self) -> NDArray[np.intp]:
        """(b,) intp: indices of the false negatives."""
        return np.setdiff1d(np.flatnonzero(self.true_inside), self.pairs[:, 1])

    @property
    def counted_pairs(self) -> NDArray[np.intp]:
        """(tp, 2) intp: the pairs whose true defect lies inside."""
        return self.pairs[self.true_inside[self.pairs[:, 1]]]

    @property
    def counts(self) -> Counts:
        return Counts(len(self.counted_pairs), len(self.found_unmatched), len(self.true_unmatched))

    def counts_among(self, chosen: Mask) -> Counts:
        """Counts for some of the true defects (m,) bool; the false positives are all of the frame's."""
        tp = np.count_nonzero(chosen[self.counted_pairs[:, 1]])
        return Counts(int(tp), len(self.found_unmatched), int(np.count_nonzero(chosen[self.true_unmatched])))


@dataclass(frozen=True)
class Detector:
    """How the defects of one class are counted.

    Attributes
    ----------
    tolerance : float [px]
        Point defects: the largest distance between the centres of a found and a true defect that are the same one.
    extended : bool
        Matched by overlap (intersection over union of at least 0.3) instead of by centre.
    min_area : int [px]
        Smaller found components are noise. Annotated ones count whatever their size.
    """

    tolerance: float
    extended: bool = False
    min_area: int = 3

    def match(self, found_mask: Mask, true_mask: Mask, inside: Mask | None = None) -> Match:
        """Find out which found defect is which true one.

        Parameters
        ----------
        found_mask, true_mask : (Y, X) bool
        inside : (Y, X) bool, or None for everywhere
            The area that counts.
        """
        return self.pair(label_components(found_mask, self.min_area), label_components(true_mask, 1), inside)

    def pair(self, found: Components, true: Components, inside: Mask | None = None) -> Match:
        """As `match`, for components that are known already."""
        if self.extended:
            pairs = match_overlap(found.labels, true.labels)
        else:
            pairs = match_points(found.centres, true.centres, self.tolerance)
        return Match(found, true, pairs, found.lie_inside(inside), true.lie_inside(inside))

    def count(self, found_mask: Mask, true_mask: Mask, inside: Mask | None = None) -> Counts:
        """Counts of `match`."""
        return self.match(found_mask, true_mask, inside).counts


def pixel_counts(found: Mask, true: Mask, inside: Mask) -> Counts:
    """Count pixels instead of defects; all arguments (Y, X) bool."""
    tp = np.count_nonzero(found & true & inside)
    return Counts(int(tp), int(np.count_nonzero(found & inside) - tp), int(np.count_nonzero(true & inside) - tp))


def count_defects(
    probability: NDArray[np.floating],
    true: Components,
    inside: Mask,
    detector: Detector,
    thresholds: Sequence[float] | NDArray[np.float64],
    among: Mask | None = None,
) -> list[Counts]:
    """Counts of one class in one frame at each threshold (a pixel is found where its probability reaches it).

    Where a response falls apart into many times more components than there are defects, all of them count as false and
    none as true: such a threshold is of no use, and matching it would take most of the time.

    All thresholds are looked at together (`levels`); the counts are those of `Detector.match` at each.

    Parameters
    ----------
    probability : (Y, X) float
    true : Components
    inside : (Y, X) bool
    detector : Detector
    thresholds : (k,) float
    among : (m,) bool, optional
        Count only some of the true defects; see `Match.counts_among`.

    Returns
    -------
    list of k Counts
    """
    chosen = true.lie_inside(inside)
    if among is not None:
        chosen &= among
    levels, back = np.unique(np.asarray(thresholds, dtype=np.float64), return_inverse=True)
    found = components_at(probability, levels, detector.min_area)
    number = np.bincount(found.level, minlength=len(levels))
    shower = number > 20 * len(true) + 50
    found = found.keep(~shower[found.level])
    i, j, cost = _candidates(found, true, detector)
    # A true defect is another one at each threshold.
    pairs = assign(i, j + len(true) * found.level[i], cost)
    unpaired = found.lie_inside(inside)
    unpaired[pairs[:, 0]] = False
    level, defect = np.divmod(pairs[:, 1], max(len(true), 1))
    present = int(np.count_nonzero(chosen))
    tp = np.bincount(level[chosen[defect]], minlength=len(levels))
    fp = np.where(shower, number, np.bincount(found.level[unpaired], minlength=len(levels)))
    return [Counts(int(tp[k]), int(fp[k]), present - int(tp[k])) for k in back]


def _candidates(
    found: LevelComponents, true: Components, detector: Detector
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Which found component may be which true defect, (e,) intp each, and what the pair costs, (e,) float64."""
    if not detector.extended:
        return near_points(found.centres, true.centres, detector.tolerance)
    i, j, overlap = found.overlaps(true)
    enough = overlap >= LEAST_OVERLAP
    return i[enough], j[enough], 1.0 - overlap[enough]


def score_class(
    name: str,
    frames: Sequence[ScoredFrame],
    detector: Detector,
    thresholds: Sequence[float] | None = None,
) -> ClassScore | None:
    """Score one class over some frames, counts pooled.

    Parameters
    ----------
    name : str
    frames : sequence of (probability (Y, X) float, true (Y, X) bool, inside (Y, X) bool)
    detector : Detector
    thresholds : (k,) float, optional
        Of these the best is chosen. Left out: those of `ranking.choose_thresholds`, which suit any monotonous response;
        where all of it lies within 0 and 1 it is taken for a calibrated probability, and the threshold is chosen by
        `ranking.steady_threshold`.

    Returns
    -------
    ClassScore or None
        None where no frame has a true defect inside. A constant response scores 0 at an infinite threshold.
    """
    truths = [label_components(true, 1) for _, true, _ in frames]
    present = sum(int(t.lie_inside(inside).sum()) for t, (_, _, inside) in zip(truths, frames, strict=True))
    if not present:
        return None
    calibrated = thresholds is None and all(p.min() >= 0.0 and p.max() <= 1.0 for p, _, _ in frames)
    if thresholds is None:
        positive = sum(np.count_nonzero(true & inside) for _, true, inside in frames)
        total = sum(np.count_nonzero(inside) for _, _, inside in frames)
        levels = choose_thresholds((p[inside] for p, _, inside in frames), positive / total)
    else:
        levels = np.unique(np.asarray(thresholds, dtype=np.float64))
    if not len(levels):
        return ClassScore(name, 0.0, 0.0, 0.0, float("inf"), 0, 0, present)
    per_frame = [
        count_defects(np.asarray(p, dtype=np.float32), true, inside, detector, levels)
        for (p, _, inside), true in zip(frames, truths, strict=True)
    ]
    counts = [sum(at_level, Counts()) for at_level in zip(*per_frame, strict=True)]
    if calibrated:
        believed = believed_threshold((p[inside] for p, _, inside in frames), levels)
        chosen = steady_threshold(levels, counts, believed)
    else:
        chosen = best_threshold(counts)
    threshold = float(levels[chosen])
    pixels = sum((pixel_counts(p >= threshold, true, inside) for p, true, inside in frames), Counts())
    at = counts[chosen]
    return ClassScore(name, at.f1, average_precision(counts), pixels.f1, threshold, at.tp, at.fp, at.fn)


@dataclass(frozen=True)
class Fitness:
    """What a network is selected on.

    Attributes
    ----------
    value : float or None
        Mean over the present classes of (defect F1 + average precision) / 2, each class weighing as much as it has true
        defects inside: of a class of two nothing certain can be said, and it must not decide against one of twenty.
        None when no class is present.
    error : float or None
        Its standard error.
    scores : tuple of ClassScore
        One per present class.
    absent : tuple of str
        Classes without a true defect inside.
    """

    value: float | None
    error: float | None
    scores: tuple[ClassScore, ...]
    absent: tuple[str, ...]


def fitness(
    probabilities: NDArray[np.floating],
    labels: NDArray[np.integer],
    inside: Mask,
    names: Sequence[str],
    detectors: Sequence[Detector],
    rng: np.random.Generator,
) -> Fitness:
    """Judge the probabilities of a network on annotated frames.

    Parameters
    ----------
    probabilities : (N, C, Y, X) float
    labels : (N, Y, X) uint8
        0 none, c + 1 class c.
    inside : (N, Y, X) bool
        Pixels validated on.
    names : C str
    detectors : C Detector
    rng : numpy.random.Generator
        For the standard error.
    """
    scores, errors, absent = [], [], []
    for c, (name, detector) in enumerate(zip(names, detectors, strict=True)):
        frames = [(p[c], label == c + 1, area) for p, label, area in zip(probabilities, labels, inside, strict=True)]
        score = score_class(name, frames, detector)
        if score is None:
            absent.append(name)
        else:
            scores.append(score)
            errors.append(_f1_error(score, rng))
    if not scores:
        return Fitness(None, None, (), tuple(absent))
    error = float(np.linalg.norm(class_shares(scores) * errors))
    return Fitness(mean_over_classes(scores), error, tuple(scores), tuple(absent))


def class_shares(scores: Sequence[ClassScore]) -> NDArray[np.float64]:
    """(n,) float64: the weight of each class in the fitness; they add up to 1."""
    weights = np.array([s.tp + s.fn for s in scores], np.float64)
    return weights / weights.sum()


def mean_over_classes(scores: Sequence[ClassScore]) -> float:
    """What `Fitness.value` is made of at least one class's scores."""
    return float(class_shares(scores) @ [s.worth for s in scores])


def _f1_error(score: ClassScore, rng: np.random.Generator) -> float:
    """Standard error of F1 over the defects at the chosen threshold; it stands for average precision too.

    Bayesian bootstrap (Rubin 1981, 10.1214/aos/1176345338) with Jeffreys' half counts, without which three defects
    found out of three would claim to be exact.
    """
    tp, fp, fn = rng.dirichlet((score.tp + 0.5, score.fp + 0.5, score.fn + 0.5), size=_BOOTSTRAPS).T
    return float(np.std(2 * tp / (2 * tp + fp + fn)))
