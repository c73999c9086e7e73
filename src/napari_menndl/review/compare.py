"""Comparison of a frame's prediction with its annotation: the one source of a review's colours, counts and tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import expit

from napari_menndl.annotation.lattice import with_sites
from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.defect_table import defect_rows, joined
from napari_menndl.metrics.detection import MatchRule, count_defects, pixel_counts
from napari_menndl.metrics.scores import Counts
from napari_menndl.movie.tracing import with_origin
from napari_menndl.review.frame import ReviewedFrame, pixels_of, review_labels
from napari_menndl.review.outcomes import ALONE, FALSE, FOUND, MISSED, predicted_alone
from napari_menndl.review.tables import ScoreCounts, judged_rows, no_judged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_menndl.metrics.components import Components
    from napari_menndl.movie.movie import Step

    Mask = NDArray[np.bool_]

#: Thresholds of the average precision, by their logit: the same for all frames, so that counts can be added and the
#: score of a frame does not depend on which others are reviewed. Fewer below, where noise is found that takes long to
#: count, and up to what a float32 distinguishes from 1.
LEVELS = expit(np.concatenate([np.arange(-6, -2, 0.5), np.arange(-2, 8, 0.25), np.arange(8, 17)]))
#: Rule of a class that is not compared: every predicted defect is listed.
NOT_COMPARED = MatchRule(0.0, min_area=1)


@dataclass(frozen=True)
class SharedClasses:
    """The classes of a prediction and of an annotation; those with the same name are compared.

    Attributes
    ----------
    predicted, annotated : tuple of str
        Class c of either side has the label c + 1 there.
    """

    predicted: tuple[str, ...]
    annotated: tuple[str, ...]

    @property
    def common(self) -> tuple[str, ...]:
        """Classes that both sides have, in the annotation's order."""
        return tuple(name for name in self.annotated if name in self.predicted)

    @property
    def not_compared(self) -> tuple[str, ...]:
        """Classes that only one side has."""
        return tuple(name for name in (*self.annotated, *self.predicted) if name not in self.common)

    def as_predicted(self, labels: NDArray[np.uint8], known: Mask) -> tuple[NDArray[np.uint8], Mask]:
        """Return annotated labels (Y, X) in the prediction's classes, and where they are known (Y, X) bool.

        A class that is not predicted is neither right nor wrong: nothing is known there.
        """
        translated = renumbered(labels, self.annotated, self.predicted)
        return translated, known & ((labels == 0) | (translated > 0))


def renumbered(labels: NDArray[np.integer], names: Sequence[str], others: Sequence[str]) -> NDArray[np.uint8]:
    """Return labels of the classes `names` as labels of `others`, of the same shape; 0 for a class that these lack."""
    place = np.array([0, *(others.index(name) + 1 if name in others else 0 for name in names)], np.uint8)
    return place[labels]


@dataclass(frozen=True)
class Comparison:
    """Comparison of predicted with annotated frames of a movie.

    Attributes
    ----------
    names : C str
        Classes of the prediction.
    rules : C MatchRule or None
        None for a class that the annotation lacks.
    pixel_size : (y, x) float [nm] or None
    steps : sequence of Step
        Preparation steps of the movie.
    frame_time : float [s] or None
    """

    names: tuple[str, ...]
    rules: tuple[MatchRule | None, ...]
    pixel_size: tuple[float, float] | None = None
    steps: Sequence[Step] = ()
    frame_time: float | None = None

    def frame(
        self,
        t: int,
        predicted: NDArray[np.uint8],
        true: NDArray[np.uint8],
        known: Mask,
        probabilities: NDArray[np.floating] | None = None,
    ) -> ComparedFrame:
        """Compare a frame.

        Parameters
        ----------
        t : int
        predicted, true : (Y, X) uint8
            Labels in the prediction's classes: 0 = no defect, c + 1 = class c.
        known : (Y, X) bool
            Where the annotation is known.
        probabilities : (C, Y, X) float, optional
        """
        compared = np.array([False, *(rule is not None for rule in self.rules)])
        rules = [rule or NOT_COMPARED for rule in self.rules]
        judged = np.where(compared[predicted], predicted, 0)
        reviewed = review_labels(judged, true, known, rules)
        return ComparedFrame(reviewed.colours, reviewed.matches, t, self, predicted, known, probabilities)


@dataclass(frozen=True)
class ComparedFrame(ReviewedFrame):
    """Comparison of one frame; see `Comparison.frame`.

    Attributes
    ----------
    t : int
    comparison : Comparison
    predicted : (Y, X) uint8
    known : (Y, X) bool
    probabilities : (C, Y, X) float or None
    """

    t: int
    comparison: Comparison
    predicted: NDArray[np.uint8] = field(repr=False)
    known: NDArray[np.bool_] = field(repr=False)
    probabilities: NDArray[np.floating] | None = field(repr=False)

    @property
    def overlay(self) -> NDArray[np.uint8]:
        """`colours` (Y, X) uint8 and, where a predicted defect is not judged, `outcomes.predicted_alone`."""
        labels = np.zeros_like(self.predicted)
        for c, (whole, index) in enumerate(zip(self._predicted, self._alone, strict=True)):
            labels[pixels_of(whole.labels, index)] = c + 1
        return np.where(self.colours > 0, self.colours, predicted_alone(labels))

    def sweeps(self, among: Sequence[Mask] | None = None) -> dict[str, list[Counts]]:
        """Return the counts of each class that is compared at all `LEVELS`; empty without probabilities."""
        sweeps: dict[str, list[Counts]] = {}
        if self.probabilities is None or not self.known.any():
            return sweeps
        for c, name, rule in self._compared:
            probability, true = self.probabilities[c], self.matches[c].true
            chosen = None if among is None else among[c]
            # Below the lowest value everything is one component: nothing is found there.
            least = int(np.searchsorted(LEVELS, probability[self.known].min(), side="right"))
            lost = self.matches[c].true_inside if chosen is None else self.matches[c].true_inside & chosen
            found = count_defects(probability, true, self.known, rule, LEVELS[least:], chosen)
            sweeps[name] = [Counts(0, 0, int(np.count_nonzero(lost)))] * least + found
        return sweeps

    def tallies(
        self, among: Sequence[Mask] | None = None, sweeps: Mapping[str, list[Counts]] | None = None
    ) -> dict[str, ScoreCounts]:
        """Return the counts of each class that is compared.

        Parameters
        ----------
        among : C (m,) bool, optional
            Count only some of the true defects of each class.
        sweeps : dict of str to list of Counts, optional
            See `sweeps`, computed by default; an empty one leaves out the average precision, which takes longest.
        """
        sweeps = self.sweeps(among) if sweeps is None else sweeps
        counts = {}
        for c, name, _ in self._compared:
            match = self.matches[c]
            chosen = np.ones(len(match.true), bool) if among is None else among[c]
            others = match.pairs[~chosen[match.pairs[:, 1]], 0]
            found = (match.found.labels > 0) & ~pixels_of(match.found.labels, others)
            true = pixels_of(match.true.labels, np.flatnonzero(chosen))
            pixels = pixel_counts(found, true, self.known)
            counts[name] = ScoreCounts(match.counts_among(chosen), pixels, sweeps.get(name, []))
        return counts

    def defects(
        self,
        born: Sequence[Mask] | None = None,
        alone: bool = False,
        *,
        agreement: NDArray[np.floating] | None = None,
        image: NDArray[np.floating] | None = None,
    ) -> pd.DataFrame:
        """Return the table of the frame's defects.

        Parameters
        ----------
        born : C (m,) bool, optional
            Which of the true defects of each class were born after the labelled frames.
        alone : bool
            Whether to list what is predicted and not judged, too.
        agreement : (C, Y, X) float, optional
            Of the members of an ensemble, see `Ensemble.agreement`.
        image : (Y, X) float, optional
            The frame, raw, by which the defects' lattice sites are told.

        Returns
        -------
        DataFrame
            With `tables.JUDGED_COLUMNS`, numbered as in the table of the prediction, and, for a prepared movie,
            `tracing.ORIGIN_COLUMNS`. Place and area are as predicted for true and false positives, as annotated for
            false negatives; the confidence is the mean probability over these pixels.
        """
        firsts = np.cumsum([0, *map(len, self._predicted)])
        tables, missed = [], firsts[-1]
        for c, (match, whole) in enumerate(zip(self.matches, self._predicted, strict=True)):
            y, x = match.found.anchors().T
            numbers = firsts[c] + whole.labels[y, x] - 1
            right, wrong, lacking = match.counted_pairs[:, 0], match.found_unmatched, match.true_unmatched
            new = np.zeros(len(match.true), bool) if born is None else born[c]
            probability, agreed = (None if of is None else of[c] for of in (self.probabilities, agreement))
            parts = [
                (FOUND, match.found, right, numbers[right], new[match.counted_pairs[:, 1]]),
                (FALSE, match.found, wrong, numbers[wrong], None),
                (MISSED, match.true, lacking, missed + np.arange(len(lacking)), new[lacking]),
            ]
            if alone:
                parts.append((ALONE, whole, self._alone[c], firsts[c] + self._alone[c], None))
            missed += len(lacking)
            for outcome, components, index, number, flags in parts:
                if not len(index):
                    continue
                about = self.t, self.comparison.names[c], components, number, probability
                rows = defect_rows(*about, self.comparison.pixel_size, index, self.comparison.frame_time, agreed)
                tables.append(judged_rows(rows, outcome, flags))
        table = with_sites(joined(tables, no_judged), image)
        return with_origin(table, self.comparison.steps, self.comparison.pixel_size)

    @cached_property
    def _predicted(self) -> tuple[Components, ...]:
        """Every predicted defect, by class, as in the table of the prediction."""
        return tuple(label_components(self.predicted == c + 1, 1) for c in range(len(self.matches)))

    @cached_property
    def _alone(self) -> tuple[NDArray[np.intp], ...]:
        """Indices of the predicted defects that are not judged, because their class or their place is not annotated."""
        alone = []
        for whole, match, rule in zip(self._predicted, self.matches, self.comparison.rules, strict=True):
            judged = np.zeros(len(whole), bool)
            if rule is not None:
                counted = np.concatenate([match.counted_pairs[:, 0], match.found_unmatched])
                y, x = whole.anchors().T
                judged = whole.lie_inside(self.known) | pixels_of(match.found.labels, counted)[y, x]
            alone.append(np.flatnonzero(~judged))
        return tuple(alone)

    @property
    def _compared(self) -> list[tuple[int, str, MatchRule]]:
        """Number, name and rule of each class that is compared."""
        classes = zip(self.comparison.names, self.comparison.rules, strict=True)
        return [(c, name, rule) for c, (name, rule) in enumerate(classes) if rule is not None]
