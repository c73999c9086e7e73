"""A movie's prediction, or a second expert, against its annotation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_menndl.metrics.components import label_components
from napari_menndl.movie.tracing import with_origin
from napari_menndl.review.aligned_labels import AlignedLabels
from napari_menndl.review.frame import COLOURS, OUTCOMES, ReviewedFrame, review_labels
from napari_menndl.review.new_defects import NewDefects, NewDefectsFromEvents
from napari_menndl.review.tables import DEFECT_COLUMNS, TOTAL, Tallies, defect_table, write_table

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_menndl.annotation.annotation import Annotation

__all__ = ["Review", "review_labels"]


@dataclass(frozen=True)
class Review:
    """What was found, missed and made up, frame by frame.

    Attributes
    ----------
    frames : tuple of int
        The frames reviewed: those of which the annotation says something.
    class_names : tuple of str
        The classes reviewed: those that both sides know.
    not_compared : tuple of str
        Classes that only one side knows.
    labelled : tuple of int
        Frames that were learned from.
    defects : DataFrame
        One row per defect; see `tables.defect_table`, and `tracing.with_origin` for a prepared movie's.
    scores : DataFrame
        By scope (``"all"``; ``"later"``: without the labelled frames; ``"born"``: defects born after them, for which
        every false positive of a frame counts, since none can be told to be old), frame and class, with totals;
        see `tables.Tallies.scores`.
    """

    frames: tuple[int, ...]
    class_names: tuple[str, ...]
    not_compared: tuple[str, ...]
    labelled: tuple[int, ...]
    defects: pd.DataFrame
    scores: pd.DataFrame
    _look: Callable[[int], ReviewedFrame] = field(repr=False, compare=False)

    @classmethod
    def of(
        cls,
        predicted: Any,
        annotation: Annotation,
        *,
        labelled: int | Sequence[int] | None = None,
        events: pd.DataFrame | None = None,
        probabilities: Any = None,
        frames: Sequence[int] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Review:
        """Review every annotated frame.

        Parameters
        ----------
        predicted : Prediction, Annotation or (T, Y, X) uint8 array, also of dask or zarr
            An array has the annotation's classes: 0 = no defect, c + 1 = class c. Between two annotations only what
            both know is compared.
        annotation : Annotation
        labelled : int or sequence of int, optional
            The frames learned from.
        events : DataFrame, optional
            Event table of a simulated movie, which says when a defect was born; see `born.NewDefectsFromEvents`.
            Left out: a defect is new when none of its class was within the tolerance in a labelled frame or, drifting,
            in the frame before.
        probabilities : (T, C, Y, X) float array, optional
            For confidence and average precision; a Prediction brings its own.
        frames : sequence of int, optional
            Only these; what is not annotated of them is left out, with a warning.
        progress : callable, optional
            Called with the number of frames done and of all frames.

        Raises
        ------
        InputError
            Shapes that differ, no class in common, no annotated frame, frames that do not exist.

        Warns
        -----
        UserWarning
            Of frames of a label file without any label, which count as frames without defects.
        """
        both = AlignedLabels.of(predicted, annotation, probabilities)
        reviewed = both.frames(frames)
        both.say_blank(reviewed)
        labelled = tuple(sorted({labelled} if isinstance(labelled, int) else set(labelled or ())))
        births: NewDefects | NewDefectsFromEvents | None = None
        if labelled and events is not None:
            births = NewDefectsFromEvents(events, both.names, labelled[-1])
        elif labelled and all(t < len(annotation) and annotation.known(t).any() for t in labelled):
            there = [[label_components(both.true(t) == c, 1) for c in both.numbers] for t in labelled]
            births = NewDefects(both.detectors, there)
        tallies = Tallies(both.names, both.detectors)
        tables = [pd.DataFrame(columns=list(DEFECT_COLUMNS))]
        for done, t in enumerate(reviewed, start=1):
            labels, chances = both.predicted(t)
            known = both.known(t)
            matches = review_labels(labels, both.true(t), known, both.detectors).matches
            born = births.born(t, [m.true for m in matches]) if births and t > labelled[-1] else None
            for c, (name, match) in enumerate(zip(both.names, matches, strict=True)):
                everything = np.ones(len(match.true), dtype=bool)
                scopes = {"all": everything}
                if labelled and t not in labelled:
                    scopes["later"] = everything
                if born is not None:
                    scopes["born"] = born[c]
                chance = None if chances is None else chances[c]
                tallies.add(t, c, match, known, chance, scopes)
                new = None if born is None else born[c]
                table = defect_table(t, name, match, chance, new, both.pixel_size)
                tables.append(with_origin(table, both.steps, both.pixel_size))
            if progress:
                progress(done, len(reviewed))
        defects = pd.concat([t for t in tables if len(t)] or tables, ignore_index=True)
        return cls(reviewed, both.names, both.not_compared, labelled, defects, tallies.scores(), both.look)

    def look(self, t: int) -> ReviewedFrame:
        """Review one frame again: its mask of colours and its matches."""
        return self._look(t)

    def colours(self, t: int) -> NDArray[np.uint8]:
        """(Y, X) uint8: 1 true positive, 2 false positive, 3 false negative; see `frame.ReviewedFrame`."""
        return self._look(t).colours

    def summary(self) -> dict[str, Any]:
        """The totals, for JSON: by scope, then by class and for all classes; null where there is nothing to score."""
        totals = self.scores[self.scores["frame"] == TOTAL].drop(columns="frame")
        scores: dict[str, dict[str, Any]] = {}
        for row in totals.to_dict("records"):
            scope, name = str(row.pop("scope")), str(row.pop("class"))
            scores.setdefault(scope, {})[name] = {str(k): _plain(v) for k, v in row.items()}
        return {
            "frames": list(self.frames),
            "labelled": list(self.labelled),
            "classes": list(self.class_names),
            "not_compared": list(self.not_compared),
            "colours": {OUTCOMES[value]: colour for value, colour in COLOURS.items()},
            "scores": scores,
        }

    def to_csv(self, path: str | os.PathLike[str]) -> tuple[Path, Path]:
        """Write the defects to `path` and the scores beside it, to ``<stem>.scores.csv``; returns both paths.

        Raises
        ------
        InputError
            A place that cannot be written.
        """
        defects = Path(path)
        scores = defects.with_name(f"{defects.stem}.scores.csv")
        write_table(self.defects, defects)
        write_table(self.scores, scores)
        return defects, scores


def _plain(value: Any) -> int | float | None:
    number: int | float = value.item() if isinstance(value, np.generic) else value
    return None if math.isnan(number) else number
