"""Tables of a review: one row per defect, one row per score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import ndimage

from napari_menndl.metrics.detection import Match, MatchRule, count_defects, pixel_counts
from napari_menndl.metrics.ranking import average_precision, choose_thresholds
from napari_menndl.metrics.scores import Counts
from napari_menndl.review.frame import FALSE_NEGATIVE, FALSE_POSITIVE, OUTCOMES, TRUE_POSITIVE, pixels_of
from napari_menndl.tables import DEFECT_COLUMNS, defect_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

#: Scopes of a score: all defects; those outside the labelled frames; those born after the labelled frames.
SCOPES = ("all", "later", "born")
#: Value for "all together" in the columns frame and class of the scores.
TOTAL = "all"
#: Columns of a table of reviewed defects: those of every table of defects, then what the review says.
REVIEW_COLUMNS = (*DEFECT_COLUMNS, "outcome", "born")
SCORE_COLUMNS = (
    "scope",
    "frame",
    "class",
    "tp",
    "fp",
    "fn",
    "f1",
    "precision",
    "recall",
    "average_precision",
    "pixel_f1",
)


def defect_table(
    frame: int,
    name: str,
    match: Match,
    probability: NDArray[np.floating] | None,
    born: NDArray[np.bool_] | None,
    pixel_size: tuple[float, float] | None,
    frame_time: float | None = None,
    agreement: NDArray[np.floating] | None = None,
) -> pd.DataFrame:
    """Return the defects of one class in one frame.

    Parameters
    ----------
    frame : int
    name : str
    match : Match
    probability : (Y, X) float, optional
    born : (m,) bool, optional
        Which of the true defects were born after the labelled frame.
    pixel_size : (y, x) float [nm], optional
    frame_time : float [s], optional
    agreement : (Y, X) float, optional
        Of the members of an ensemble.

    Returns
    -------
    DataFrame
        With `REVIEW_COLUMNS`. Position and area are as predicted for true and false positives, as annotated for false
        negatives; confidence and agreement are means over these pixels. NaN if unknown.
    """
    pairs = match.counted_pairs
    nowhere = np.full(len(match.found_unmatched), -1)
    tables, first = [], 0
    for outcome, components, index, true in (
        (TRUE_POSITIVE, match.found, pairs[:, 0], pairs[:, 1]),
        (FALSE_POSITIVE, match.found, match.found_unmatched, nowhere),
        (FALSE_NEGATIVE, match.true, match.true_unmatched, match.true_unmatched),
    ):
        if not len(index):
            continue
        means = [
            np.nan if image is None else ndimage.mean(image, components.labels, index + 1)
            for image in (probability, agreement)
        ]
        rows = defect_rows(
            frame,
            name,
            np.arange(first, first + len(index)),
            components.centres[index],
            components.areas[index],
            means[0],
            pixel_size,
            frame_time,
            means[1],
        )
        first += len(index)
        new = np.full(len(index), False) if born is None or outcome == FALSE_POSITIVE else born[true]
        tables.append(rows.assign(outcome=np.full(len(index), OUTCOMES[outcome], object), born=new))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(REVIEW_COLUMNS))


def numbered(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of defects of all classes with the defects of each frame numbered from 0."""
    return table.assign(defect=table.groupby("frame").cumcount())


@dataclass
class ScoreCounts:
    """Counts of one class in one frame, or sums of such counts.

    Attributes
    ----------
    defects, pixels : Counts
    sweep : list of Counts
        Counts of defects, one per threshold; empty without probabilities.
    """

    defects: Counts = field(default_factory=Counts)
    pixels: Counts = field(default_factory=Counts)
    sweep: list[Counts] = field(default_factory=list)

    @classmethod
    def sum(cls, tallies: Iterable[ScoreCounts]) -> ScoreCounts:
        tallies = list(tallies)
        sweeps = [t.sweep for t in tallies if t.sweep]
        return cls(
            sum((t.defects for t in tallies), Counts()),
            sum((t.pixels for t in tallies), Counts()),
            [sum(at_level, Counts()) for at_level in zip(*sweeps, strict=True)],
        )


class Tallies:
    """Counts by scope, frame and class, from which every score is computed.

    Parameters
    ----------
    class_names : C str
    detectors : C MatchRule
    """

    def __init__(self, class_names: Sequence[str], detectors: Sequence[MatchRule]) -> None:
        self._names = class_names
        self._detectors = detectors
        self._levels: dict[int, NDArray[np.float64]] = {}
        self._tallies: dict[tuple[str, int, int], ScoreCounts] = {}

    def add(
        self,
        frame: int,
        c: int,
        match: Match,
        known: NDArray[np.bool_],
        probability: NDArray[np.floating] | None,
        scopes: dict[str, NDArray[np.bool_]],
    ) -> None:
        """Add the counts of class c in one frame.

        Parameters
        ----------
        frame, c : int
        match : Match
        known : (Y, X) bool
        probability : (Y, X) float, optional
        scopes : dict of scope to (m,) bool
            The true defects that belong to each scope.
        """
        for scope, among in scopes.items():
            others = match.pairs[~among[match.pairs[:, 1]], 0]
            found = (match.found.labels > 0) & ~pixels_of(match.found.labels, others)
            true = pixels_of(match.true.labels, np.flatnonzero(among))
            sweep = []
            if probability is not None:
                levels = self._levels_of(c, probability, match, known)
                sweep = count_defects(probability, match.true, known, self._detectors[c], levels, among)
            self._tallies[scope, frame, c] = ScoreCounts(
                match.counts_among(among), pixel_counts(found, true, known), sweep
            )

    def _levels_of(
        self, c: int, probability: NDArray[np.floating], match: Match, known: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Return the thresholds of a class: the same for all frames, so that their counts can be added."""
        if c not in self._levels:
            share = np.count_nonzero(match.true.labels[known]) / np.count_nonzero(known)
            self._levels[c] = choose_thresholds([probability[known]], max(share, 1e-3))
        return self._levels[c]

    def scores(self) -> pd.DataFrame:
        """Return every score: by class and frame, and `TOTAL` over either.

        Returns
        -------
        DataFrame
            With `SCORE_COLUMNS`. Counts are added over frames and over classes, except that the average precision of
            all classes is the mean over the classes that occur. Scores with nothing to count are NaN.
        """
        rows = []
        for scope in SCOPES:
            frames = sorted({f for s, f, _ in self._tallies if s == scope})
            places: list[tuple[int | str, list[int]]] = [(TOTAL, frames), *((f, [f]) for f in frames)]
            for frame, chosen in places if frames else []:
                by_class = {
                    name: ScoreCounts.sum(self._tallies[scope, f, c] for f in chosen)
                    for c, name in enumerate(self._names)
                }
                rows += score_rows(by_class, scope, frame)
        return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def score_rows(
    by_class: Mapping[str, ScoreCounts], scope: str = "all", frame: int | str = TOTAL
) -> list[tuple[object, ...]]:
    """Return the scores of all classes together, then of each; every row has `SCORE_COLUMNS`."""
    precisions = [average_precision(t.sweep) if _occurs(t) else np.nan for t in by_class.values()]
    occurring = [p for p in precisions if not np.isnan(p)]
    mean = float(np.mean(occurring)) if occurring else np.nan
    # Sweeps of different classes cannot be added, because each class has its own thresholds.
    together = ScoreCounts.sum(ScoreCounts(t.defects, t.pixels) for t in by_class.values())
    rows = [_row(scope, frame, TOTAL, together, mean)]
    return rows + [
        _row(scope, frame, name, tally, precision)
        for (name, tally), precision in zip(by_class.items(), precisions, strict=True)
    ]


def _occurs(tally: ScoreCounts) -> bool:
    return bool(tally.sweep) and tally.defects.tp + tally.defects.fn > 0


def _row(scope: str, frame: int | str, name: str, tally: ScoreCounts, precision: float) -> tuple[object, ...]:
    d = tally.defects
    return (
        scope,
        frame,
        name,
        d.tp,
        d.fp,
        d.fn,
        d.f1 if d.tp + d.fp + d.fn else np.nan,
        d.precision if d.tp + d.fp else np.nan,
        d.recall if d.tp + d.fn else np.nan,
        precision,
        tally.pixels.f1 if tally.pixels.tp + tally.pixels.fp + tally.pixels.fn else np.nan,
    )
