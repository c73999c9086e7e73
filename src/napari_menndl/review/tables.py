"""Tables of a review: one row per defect, one row per score."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_menndl.metrics.defect_table import DEFECT_COLUMNS, no_defects
from napari_menndl.metrics.ranking import average_precision
from napari_menndl.metrics.scores import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

#: Scopes of a score: all defects; those outside the labelled frames; those born after the labelled frames.
SCOPES = ("all", "later", "born")
#: Value for "all together" in the columns frame and class of the scores.
TOTAL = "all"
#: Columns of a table of judged defects: those of a prediction; the outcome; whether the defect was born after the
#: labelled frames. Missed defects are numbered after the predicted ones of their frame.
JUDGED_COLUMNS = (*DEFECT_COLUMNS, "outcome", "born")
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


def judged_rows(table: pd.DataFrame, outcome: str, born: NDArray[np.bool_] | None = None) -> pd.DataFrame:
    """Return defects with `JUDGED_COLUMNS`: their outcome, and which of them were born (k,) bool, by default none."""
    return table.assign(outcome=outcome, born=False if born is None else born)


def no_judged() -> pd.DataFrame:
    """Return an empty table of judged defects with typed columns."""
    return no_defects().assign(outcome=pd.Series(dtype="str"), born=pd.Series(dtype=bool))


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
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._names = class_names
        self._counts: dict[tuple[str, int], Mapping[str, ScoreCounts]] = {}

    def add(self, scope: str, frame: int, by_class: Mapping[str, ScoreCounts]) -> None:
        """Add the counts of a frame, by class."""
        self._counts[scope, frame] = by_class

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
            frames = sorted(f for s, f in self._counts if s == scope)
            places: list[tuple[int | str, list[int]]] = [(TOTAL, frames), *((f, [f]) for f in frames)]
            for frame, chosen in places if frames else []:
                by_class = {n: ScoreCounts.sum(self._counts[scope, f][n] for f in chosen) for n in self._names}
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
