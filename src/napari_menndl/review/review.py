"""Review of a movie's prediction, or of a second expert, against its annotation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from dask.delayed import delayed

from napari_menndl.html import html_table
from napari_menndl.layer_data import labels_layer, movie_layer
from napari_menndl.metrics.defect_table import joined
from napari_menndl.movie.tracing import with_origin
from napari_menndl.review.aligned_labels import AlignedLabels
from napari_menndl.review.new_defects import NewDefects, NewDefectsFromEvents
from napari_menndl.review.outcomes import COLOURS, OUTCOMES
from napari_menndl.review.tables import TOTAL, Tallies, no_judged
from napari_menndl.tables import write_table
from napari_menndl.views import view

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.movie.movie import Movie
    from napari_menndl.review.compare import ComparedFrame


@dataclass(frozen=True)
class Review:
    """Found, missed and false defects of a movie, frame by frame.

    Attributes
    ----------
    frames : tuple of int
        The frames reviewed: those in which the annotation is known somewhere.
    class_names : tuple of str
        The classes reviewed: those that both sides have.
    not_compared : tuple of str
        Classes that only one side has.
    labelled : tuple of int
        The frames that were learned from.
    defects : DataFrame
        One row per defect; see `compare.ComparedFrame.defects`.
    scores : DataFrame
        By scope, frame and class, with totals; see `tables.Tallies.scores`. The scopes are ``"all"``; ``"later"``,
        without the labelled frames; and ``"born"``, defects born after them, for which every false positive of a frame
        counts, since none can be known to be old.
    movie : Movie or None
        The movie, where the prediction knows it.
    """

    frames: tuple[int, ...]
    class_names: tuple[str, ...]
    not_compared: tuple[str, ...]
    labelled: tuple[int, ...]
    defects: pd.DataFrame
    scores: pd.DataFrame
    _compare: Callable[[int], ComparedFrame] = field(repr=False, compare=False)
    movie: Movie | None = field(default=None, repr=False, compare=False)

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
            An array has the annotation's classes: 0 = no defect, c + 1 = class c. Two annotations are compared only
            where both are known.
        annotation : Annotation
        labelled : int or sequence of int, optional
            The frames learned from.
        events : DataFrame, optional
            Event table of a simulated movie, with the births of its defects; see `new_defects.NewDefectsFromEvents`.
            Without it, a defect is new if none of its class was within the tolerance in a labelled frame or, drifting,
            in the frame before.
        probabilities : (T, C, Y, X) float array, optional
            From 0 to 1, for confidence and average precision; a Prediction has its own.
        frames : sequence of int, optional
            Only these frames; those that are not annotated are left out, with a warning.
        progress : callable, optional
            Called with the number of frames done and of all frames.

        Raises
        ------
        InputError
            If shapes differ, no class is common, no frame is annotated, or frames do not exist.

        Warns
        -----
        UserWarning
            For frames of a label file without any label, which count as frames without defects.
        """
        both = AlignedLabels.of(predicted, annotation, probabilities)
        reviewed = both.frames(frames)
        both.warn_of_blank_frames(reviewed)
        labelled = both.learned_from(labelled)
        births: NewDefects | NewDefectsFromEvents | None = None
        if labelled and events is not None:
            births = NewDefectsFromEvents(events, both.classes.predicted, labelled[-1])
        elif labelled and all(t < len(annotation) and annotation.known(t).any() for t in labelled):
            births = NewDefects.after(both.comparison, [both.true(t) for t in labelled])
        tallies, tables = Tallies(both.classes.common), []
        for done, t in enumerate(reviewed, start=1):
            frame = both.compare(t)
            born = births.born(t, [m.true for m in frame.matches]) if births and t > labelled[-1] else None
            counts = frame.tallies()
            tallies.add("all", t, counts)
            if labelled and t not in labelled:
                tallies.add("later", t, counts)
            if born is not None:
                tallies.add("born", t, frame.tallies(born))
            tables.append(frame.defects(born, image=both.image(t)))
            if progress:
                progress(done, len(reviewed))
        defects = joined(tables, lambda: with_origin(no_judged(), both.comparison.steps))
        common, others = both.classes.common, both.classes.not_compared
        shown: Movie | None = getattr(predicted, "movie", None)
        return cls(reviewed, common, others, labelled, defects, tallies.scores(), both.compare, shown)

    def view(self, movie: Movie | None = None) -> Any:
        """Open napari with the outcomes over the movie, and return the viewer; see `views.view`.

        Found defects are white, false ones purple, missed ones orange; a frame is reviewed when it comes into view.

        Parameters
        ----------
        movie : Movie, optional
            The movie that was predicted; a prediction that was not opened alone knows it.
        """
        movie = movie or self.movie
        beneath = [] if movie is None else [movie_layer(movie)]
        pixel_size, frame_time = (movie.pixel_size, movie.frame_time) if movie is not None else (None, None)
        overlay = labels_layer(self._overlay(), tuple(COLOURS.values()), pixel_size, frame_time, "review")
        return view([*beneath, overlay], outlined=True)

    def _overlay(self) -> da.Array:
        """Return the masks of colours (T, Y, X) uint8 up to the last reviewed frame, lazy; 0 in the others."""
        lazy, shape = delayed(self.colours, pure=False), self.colours(self.frames[0]).shape
        blank = da.zeros(shape, dtype=np.uint8, chunks=shape)
        frames = range(self.frames[-1] + 1)
        return da.stack([da.from_delayed(lazy(t), shape, np.uint8) if t in self.frames else blank for t in frames])

    def _repr_html_(self) -> str:
        """Return the totals by scope and class, for a notebook."""
        totals = self.scores[self.scores["frame"] == TOTAL]
        names = [str(name) for name in totals if name != "frame"]
        rows = [
            [("–" if value != value else f"{value:.3f}") if isinstance(value, float) else value for value in row]
            for row in totals[names].itertuples(index=False)
        ]
        return html_table(rows, names, f"Review of {len(self.frames)} frames")

    def compare(self, t: int) -> ComparedFrame:
        """Review one frame again, for its mask of colours and its matches."""
        return self._compare(t)

    def colours(self, t: int) -> NDArray[np.uint8]:
        """Return a frame's mask of colours, (Y, X) uint8: 1 true positive, 2 false positive, 3 false negative.

        See `frame.ReviewedFrame`.
        """
        return self._compare(t).colours

    def summary(self) -> dict[str, Any]:
        """Return the totals for JSON, by scope, then by class and for all classes; null without anything to score."""
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
        """Write the defects to `path` and the scores beside it, to ``<stem>.scores.csv``; return both paths.

        Raises
        ------
        InputError
            If a file cannot be written.
        """
        defects = Path(path)
        scores = defects.with_name(f"{defects.stem}.scores.csv")
        write_table(self.defects, defects)
        write_table(self.scores, scores)
        return defects, scores


def _plain(value: Any) -> int | float | None:
    number: int | float = value.item() if isinstance(value, np.generic) else value
    return None if math.isnan(number) else number
