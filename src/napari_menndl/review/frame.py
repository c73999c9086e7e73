"""Review of one frame: prediction against annotation, in white, purple and orange."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.metrics.scores import Counts
from napari_menndl.review.outcomes import FALSE_NEGATIVE, FALSE_POSITIVE, TRUE_POSITIVE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_menndl.metrics.detection import Match, MatchRule


@dataclass(frozen=True)
class ReviewedFrame:
    """Review of one frame, defect by defect.

    Attributes
    ----------
    colours : (Y, X) uint8
        `TRUE_POSITIVE` on predicted defects that are matched, `FALSE_POSITIVE` on predicted ones that are not,
        `FALSE_NEGATIVE` on annotated ones that are not; 0 elsewhere and where nothing is known. A defect has one colour
        throughout, even where its outline differs from the annotated one. Where two meet, as when a defect was given
        the wrong class, white covers orange and orange covers purple.
    matches : tuple of Match
        One per class.
    """

    colours: NDArray[np.uint8]
    matches: tuple[Match, ...]

    @property
    def counts(self) -> tuple[Counts, ...]:
        """Counts of defects, one per class."""
        return tuple(m.counts for m in self.matches)

    @property
    def total(self) -> Counts:
        """Counts of defects, over all classes."""
        return sum(self.counts, Counts())


def review_labels(
    predicted: NDArray[np.integer],
    true: NDArray[np.integer],
    known: NDArray[np.bool_] | None,
    match_rules: Sequence[MatchRule],
) -> ReviewedFrame:
    """Compare predicted with annotated labels.

    Parameters
    ----------
    predicted, true : (Y, X) uint8
        0 = no defect, c + 1 = class c.
    known : (Y, X) bool, or None for everywhere
        Where the annotation is known; a defect is judged if its centre lies there.
    match_rules : C MatchRule

    Raises
    ------
    InputError
        If the shapes differ.
    """
    if predicted.shape != true.shape:
        raise InputError(
            f"labels of {true.shape[0]} x {true.shape[1]} px, as annotated",
            f"an array of shape {predicted.shape}",
            "Compare a prediction and an annotation of the same frame.",
        )
    matches = tuple(d.match(predicted == c, true == c, known) for c, d in enumerate(match_rules, start=1))
    colours = np.zeros(true.shape, np.uint8)
    for match in matches:
        colours[pixels_of(match.found.labels, match.found_unmatched)] = FALSE_POSITIVE
    for match in matches:
        colours[pixels_of(match.true.labels, match.true_unmatched)] = FALSE_NEGATIVE
    for match in matches:
        colours[pixels_of(match.found.labels, match.counted_pairs[:, 0])] = TRUE_POSITIVE
    return ReviewedFrame(colours, matches)


def pixels_of(labels: NDArray[np.int32], chosen: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Return the pixels of chosen components.

    Parameters
    ----------
    labels : (Y, X) int32
        As `Components.labels`.
    chosen : (k,) int
        Indices of the components, from 0.

    Returns
    -------
    (Y, X) bool
    """
    wanted = np.zeros(int(labels.max(initial=0)) + 1, dtype=bool)
    wanted[np.asarray(chosen, dtype=np.intp) + 1] = True
    return np.asarray(wanted[labels], dtype=bool)
