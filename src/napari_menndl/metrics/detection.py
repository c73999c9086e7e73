"""Scoring of detection: counts of one class in one frame, scores of a class, fitness of a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_menndl.metrics.components import Components, label_components
from napari_menndl.metrics.levels import (
    LevelComponents,
    ReachedPixels,
    as_levels,
    components_of,
    find_components,
    rank_pixels,
)
from napari_menndl.metrics.matching import LEAST_OVERLAP, assign, match_overlap, match_points, near_points
from napari_menndl.metrics.ranking import (
    average_precision,
    best_threshold,
    choose_thresholds,
    steady_threshold,
)
from napari_menndl.metrics.scores import ClassScore, Counts
from napari_menndl.settings import about, check, setting

if TYPE_CHECKING:
    from collections.abc import Sequence

Mask = NDArray[np.bool_]
Integers = NDArray[np.int64]
#: Probability (Y, X) float, true mask (Y, X) bool, scored area (Y, X) bool.
ScoredFrame = tuple[NDArray[np.floating], Mask, Mask]
_BOOTSTRAPS = 400


@dataclass(frozen=True)
class Match:
    """The found and the true defects of one class in one frame, and their pairs.

    Pairs are formed over the whole frame, so that a pair across the border of the scored area is still a pair. A true
    defect inside is a true positive if paired and a false negative if not; a found defect inside is a false positive if
    it is not paired. Defects outside are not counted.

    Attributes
    ----------
    found, true : Components
    pairs : (k, 2) intp
        Index into `found`, index into `true`.
    found_inside : (n,) bool
    true_inside : (m,) bool
        Whether the defect's centre lies in the scored area.
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
        """Return counts for a subset (m,) bool of the true defects; the false positives are not restricted to it."""
        tp = np.count_nonzero(chosen[self.counted_pairs[:, 1]])
        return Counts(int(tp), len(self.found_unmatched), int(np.count_nonzero(chosen[self.true_unmatched])))


@dataclass(frozen=True)
class MatchRule:
    """Rule to match found with true defects of one class.

    Attributes
    ----------
    tolerance : float [px]
        For point defects: the largest distance between the centres of a matching found and true defect.
    extended : bool
        Whether to match by overlap (intersection over union of at least 0.3) instead of by distance.
    min_area : int [px]
        Smaller found components are ignored as noise; annotated ones count whatever their size.
    """

    tolerance: float = field(metadata=about("Largest distance", "px", min=0))
    extended: bool = setting(False, "Matched by overlap", options=(False, True))
    min_area: int = setting(3, "Smallest area", "px", min=1)

    def check(self) -> None:
        """Raise InputError for a value that is not allowed; done by whatever scores with it."""
        check(self)

    def match(self, found_mask: Mask, true_mask: Mask, inside: Mask | None = None) -> Match:
        """Match the found with the true defects.

        Parameters
        ----------
        found_mask, true_mask : (Y, X) bool
        inside : (Y, X) bool, or None for everywhere
            The scored area.
        """
        return self.pair(label_components(found_mask, self.min_area), label_components(true_mask, 1), inside)

    def pair(self, found: Components, true: Components, inside: Mask | None = None) -> Match:
        """Match components that are labelled already; see `match`."""
        if self.extended:
            pairs = match_overlap(found.labels, true.labels)
        else:
            pairs = match_points(found.centres, true.centres, self.tolerance)
        return Match(found, true, pairs, found.lie_inside(inside), true.lie_inside(inside))

    def count(self, found_mask: Mask, true_mask: Mask, inside: Mask | None = None) -> Counts:
        """Return the counts of `match`."""
        return self.match(found_mask, true_mask, inside).counts


def pixel_counts(found: Mask, true: Mask, inside: Mask) -> Counts:
    """Count pixels instead of defects; all arguments (Y, X) bool."""
    tp = np.count_nonzero(found & true & inside)
    return Counts(int(tp), int(np.count_nonzero(found & inside) - tp), int(np.count_nonzero(true & inside) - tp))


def count_defects(
    probability: NDArray[np.floating],
    true: Components,
    inside: Mask,
    match_rule: MatchRule,
    thresholds: Sequence[float] | NDArray[np.float64],
    among: Mask | None = None,
) -> list[Counts]:
    """Return the counts of one class in one frame at each threshold (found pixels: probability >= threshold).

    If a response has many times more components than there are defects, all of them count as false and none as true:
    such a threshold is useless, and matching it would take most of the time.

    All thresholds are processed together (`levels`); the counts are those of `MatchRule.match` at each.

    Parameters
    ----------
    probability : (Y, X) float
    true : Components
    inside : (Y, X) bool
    match_rule : MatchRule
    thresholds : (k,) float
    among : (m,) bool, optional
        Count only some of the true defects; see `Match.counts_among`.

    Returns
    -------
    list of k Counts
    """
    levels, back = np.unique(np.asarray(thresholds, dtype=np.float64), return_inverse=True)
    truth = as_levels(true)
    chosen = true.lie_inside(inside)
    if among is not None:
        chosen &= among
    counts = _count(rank_pixels(np.asarray(probability)[None], [levels]), truth, chosen, inside, [match_rule])
    return [Counts(*row) for row in counts[back].tolist()]


def _count(
    reached: ReachedPixels, true: LevelComponents, chosen: Mask, inside: Mask, match_rules: Sequence[MatchRule]
) -> Integers:
    """Return the counts (k, 3) for the chosen true defects (m,) bool at the k thresholds of P responses.

    `true` has one mask for each response, `inside` is (Y, X) or (P, Y, X), and there is one match rule per response.
    """
    plane_of = reached.plane_of
    masks, planes = len(plane_of), len(match_rules)
    found = find_components(reached)
    large = found.areas >= np.array([one.min_area for one in match_rules])[found.plane]
    number = np.bincount(found.level[large], minlength=masks)
    shower = number > 20 * np.bincount(true.level, minlength=planes)[plane_of] + 50
    found = found.keep(large & ~shower[found.level])
    i, j, cost = _candidates(found, true, match_rules)
    # True defects are numbered separately for each threshold.
    pairs = assign(i, j + len(true) * found.level[i], cost)
    unpaired = found.lie_inside(inside)
    unpaired[pairs[:, 0]] = False
    mask, defect = np.divmod(pairs[:, 1], max(len(true), 1))
    tp = np.bincount(mask[chosen[defect]], minlength=masks)
    fp = np.where(shower, number, np.bincount(found.level[unpaired], minlength=masks))
    fn = np.bincount(true.level[chosen], minlength=planes)[plane_of] - tp
    return np.stack([tp, fp, fn], axis=1)


def _candidates(
    found: LevelComponents, true: LevelComponents, match_rules: Sequence[MatchRule]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return candidate pairs of found components and true defects, (e,) intp each, and their costs, (e,) float64."""
    extended = np.array([one.extended for one in match_rules])
    tolerance = np.array([-1.0 if one.extended else one.tolerance for one in match_rules])
    i, j, cost = near_points(found.centres, true.centres, tolerance[found.plane], found.plane, true.level)
    if not extended.any():
        return i, j, cost
    a, b, overlap = found.overlaps(true, extended)
    enough = overlap >= LEAST_OVERLAP
    return (
        np.concatenate([i, a[enough]]),
        np.concatenate([j, b[enough]]),
        np.concatenate([cost, 1.0 - overlap[enough]]),
    )


def score_class(
    name: str,
    frames: Sequence[ScoredFrame],
    match_rule: MatchRule,
    thresholds: Sequence[float] | None = None,
) -> ClassScore | None:
    """Score one class over several frames, with pooled counts.

    Parameters
    ----------
    name : str
    frames : sequence of (probability (Y, X) float, true (Y, X) bool, inside (Y, X) bool)
        All of one shape.
    match_rule : MatchRule
    thresholds : (k,) float, optional
        The best of these is chosen. By default those of `ranking.choose_thresholds`, which suit any monotonic response;
        a response that lies entirely within 0 and 1 is then taken as a calibrated probability, and its threshold is
        chosen by `ranking.steady_threshold`.

    Returns
    -------
    ClassScore or None
        None if no frame has a true defect inside. A constant response scores 0 at an infinite threshold.
    """
    responses, true, inside = (np.stack(planes) for planes in zip(*frames, strict=True))
    truth = Truth(true[:, None], inside, (name,), (match_rule,))
    return truth.score(responses[:, None], thresholds)[0]


class Truth:
    """The true defects of several frames, labelled once to score any number of responses.

    Parameters
    ----------
    masks : (N, C, Y, X) bool
        The defects of each class.
    inside : (N, Y, X) bool
        The scored area.
    names : C str
    match_rules : C MatchRule

    Raises
    ------
    InputError
        For a match rule whose values are not allowed.
    """

    def __init__(self, masks: Mask, inside: Mask, names: Sequence[str], match_rules: Sequence[MatchRule]) -> None:
        for rule in match_rules:
            rule.check()
        self.names = tuple(names)
        self._shape = masks.shape
        self._detectors = [*match_rules] * len(masks)
        self._inside = np.asarray(inside, dtype=bool)
        self._everywhere = bool(self._inside.all())
        # One plane per class and frame, in the order of frames.
        one = self._inside[0]
        self._planes_inside = one if self._everywhere else np.repeat(self._inside, masks.shape[1], axis=0)
        self._mask = masks.reshape(-1, *masks.shape[2:])
        self._true = components_of(self._mask)
        self._chosen = self._true.lie_inside(self._planes_inside)
        classes = np.arange(len(self._mask)) % len(names)
        self._present = np.bincount(classes[self._true.level[self._chosen]], minlength=len(names))
        self._pixels = int(np.count_nonzero(self._inside))
        self._positive = [int(np.count_nonzero(masks[:, c] & self._inside)) for c in range(len(names))]

    @classmethod
    def of(
        cls, labels: NDArray[np.integer], inside: Mask, names: Sequence[str], match_rules: Sequence[MatchRule]
    ) -> Truth:
        """Create from label images (N, Y, X): 0 none, c + 1 class c."""
        return cls(labels[:, None] == np.arange(1, len(names) + 1)[:, None, None], inside, names, match_rules)

    def score(
        self, responses: NDArray[np.floating], thresholds: Sequence[float] | None = None
    ) -> list[ClassScore | None]:
        """Return the score of each class for responses (N, C, Y, X) float; see `score_class`."""
        planes = np.asarray(responses, dtype=np.float32).reshape(self._mask.shape)
        classes = len(self.names)
        given = None if thresholds is None else np.unique(np.asarray(thresholds, dtype=np.float64))
        levels = [
            np.empty(0)
            if not present
            else given
            if given is not None
            else choose_thresholds(self._values(planes[c::classes]), self._positive[c] / self._pixels)
            for c, present in enumerate(self._present)
        ]
        reached = rank_pixels(planes, levels * self._shape[0])
        counts = _count(reached, self._true, self._chosen, self._planes_inside, self._detectors)
        # All frames have the same thresholds, so that their counts can be added.
        frames = self._shape[0]
        counts = counts.reshape(frames, -1, 3).sum(axis=0)
        scores: list[ClassScore | None] = []
        first = 0
        for c, name in enumerate(self.names):
            part = slice(first, first + len(levels[c]))
            own = [Counts(*row) for row in counts[part].tolist()]
            first = part.stop
            if not self._present[c]:
                scores.append(None)
            elif not own:
                scores.append(ClassScore(name, 0.0, 0.0, 0.0, float("inf"), 0, 0, int(self._present[c])))
            else:
                one = planes[c::classes]
                calibrated = given is None and one.min() >= 0.0 and one.max() <= 1.0
                chosen = steady_threshold(levels[c], own) if calibrated else best_threshold(own)
                threshold, at = float(levels[c][chosen]), own[chosen]
                pixels = self._pixel_counts(one >= threshold, c)
                scores.append(
                    ClassScore(name, at.f1, average_precision(own), pixels.f1, threshold, at.tp, at.fp, at.fn)
                )
        return scores

    def judge(self, probabilities: NDArray[np.floating], rng: np.random.Generator) -> Fitness:
        """Return the fitness of a network with probabilities (N, C, Y, X) float; see `fitness`."""
        scored = self.score(probabilities)
        scores = [score for score in scored if score is not None]
        absent = tuple(name for name, score in zip(self.names, scored, strict=True) if score is None)
        if not scores:
            return Fitness(None, None, (), absent)
        error = float(np.linalg.norm(class_shares(scores) * [_f1_error(score, rng) for score in scores]))
        return Fitness(mean_over_classes(scores), error, tuple(scores), absent)

    def _values(self, planes: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the responses (N, Y, X) in the scored area, as one or several flat arrays."""
        if self._everywhere:
            return [planes.ravel()]
        return [plane[inside] for plane, inside in zip(planes, self._inside, strict=True)]

    def _pixel_counts(self, found: Mask, c: int) -> Counts:
        """Return counts of pixels instead of defects, for one class (N, Y, X) bool."""
        found = found if self._everywhere else found & self._inside
        tp = int(np.count_nonzero(found & self._mask[c :: len(self.names)]))
        return Counts(tp, int(np.count_nonzero(found)) - tp, self._positive[c] - tp)


@dataclass(frozen=True)
class Fitness:
    """Fitness of a network, which selection is based on.

    Attributes
    ----------
    value : float or None
        Mean over the present classes of (defect F1 + average precision) / 2, weighted by the number of true defects
        inside: the score of a class with two defects is uncertain, and must not outweigh that of one with twenty.
        None if no class is present.
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
    match_rules: Sequence[MatchRule],
    rng: np.random.Generator,
) -> Fitness:
    """Return the fitness of a network from its probabilities on annotated frames.

    Parameters
    ----------
    probabilities : (N, C, Y, X) float
    labels : (N, Y, X) uint8
        0 none, c + 1 class c.
    inside : (N, Y, X) bool
        Pixels to validate on.
    names : C str
    match_rules : C MatchRule
    rng : numpy.random.Generator
        For the standard error.
    """
    return Truth.of(labels, inside, names, match_rules).judge(probabilities, rng)


def class_shares(scores: Sequence[ClassScore]) -> NDArray[np.float64]:
    """(n,) float64: the weights of the classes in the fitness, with a sum of 1."""
    weights = np.array([s.tp + s.fn for s in scores], np.float64)
    return weights / weights.sum()


def mean_over_classes(scores: Sequence[ClassScore]) -> float:
    """Return `Fitness.value` for the scores of at least one class."""
    return float(class_shares(scores) @ [s.worth for s in scores])


def _f1_error(score: ClassScore, rng: np.random.Generator) -> float:
    """Return the standard error of F1 at the chosen threshold, which is used for average precision too.

    Bayesian bootstrap (Rubin 1981, 10.1214/aos/1176345338) with Jeffreys' half counts, without which the error would be
    0 if all of three defects are found.
    """
    tp, fp, fn = rng.dirichlet((score.tp + 0.5, score.fp + 0.5, score.fn + 0.5), size=_BOOTSTRAPS).T
    return float(np.std(2 * tp / (2 * tp + fp + fn)))
