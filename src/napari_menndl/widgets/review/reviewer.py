"""Prediction of single frames and their review against the annotation, without a window."""

from __future__ import annotations

import threading
import time
import warnings
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.metrics.defect_table import joined
from napari_menndl.review.compare import Comparison
from napari_menndl.review.new_defects import NewDefects
from napari_menndl.review.outcomes import predicted_alone
from napari_menndl.review.tables import no_judged
from napari_menndl.widgets.layers import annotation_of
from napari_menndl.widgets.review.annotated import annotation_in, classes_of, match_rules
from napari_menndl.widgets.review.frame_review import AGREEMENT, FrameReview, PartialFrame, pack
from napari_menndl.widgets.review.sources import (
    MEMORY,
    AnnotatedSource,
    Source,
    open_source,
    place_beside,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import pandas as pd

    from napari_menndl.metrics.scores import Counts
    from napari_menndl.review.compare import ComparedFrame
    from napari_menndl.widgets.review.frame_review import Question, Setting


class FrameReviewer:
    """Reviewer of single frames, for any thread; keeps what it has opened.

    Parameters
    ----------
    capacity : int [bytes]
        Memory for predictions.
    """

    def __init__(self, capacity: int = MEMORY) -> None:
        self._capacity = capacity
        self._opening = threading.Lock()
        self._opened: tuple[object, ...] | None = None
        self._source: Source | None = None
        self._compared: tuple[object, Comparison] | None = None
        self._sweeps: dict[int, tuple[int, dict[str, list[Counts]]]] = {}

    def source(self, setting: Setting) -> Source:
        """Return the source of predictions for a setting, opened if necessary.

        Raises
        ------
        InputError
            For a run folder, network, movie or layer that cannot be used.
        """
        wanted = _opening(setting)
        with self._opening:
            if self._source is None or self._opened != wanted:
                self.close()
                self._source = self._open(setting)
                self._opened = wanted
                self._compared, self._sweeps = None, {}
            keep = None
            if setting.keep and isinstance(setting.source, str):
                keep = place_beside(Path(setting.source), setting.movie, self._source.digest)
            self._source.keep(keep)
            return self._source

    def _open(self, setting: Setting) -> Source:
        if isinstance(setting.source, str):
            return open_source(Path(setting.source), setting.movie, self._capacity, setting.pool, setting.answer)
        known = setting.annotation.metadata.get("annotation") if setting.annotation is not None else None
        return AnnotatedSource(setting.source, known.class_names if known else ())

    def prioritise(self, t: int) -> None:
        """Announce the frame in view, so that a pool predicts it first."""
        if (source := self._source) is not None:
            source.prioritise(t)

    def rest(self) -> None:
        """Let a pool predict only what is waited for."""
        if (source := self._source) is not None:
            source.rest()

    def close(self) -> None:
        """Close the source and its pool."""
        if (source := self._source) is not None:
            source.close()

    def remembers(self, question: Question) -> bool:
        """Whether the answer needs no prediction."""
        setting = question.setting
        same = self._opened == _opening(setting)
        return same and self._source is not None and self._source.remembers(question.frame)

    def answer_at_once(
        self, question: Question, centre: tuple[float, float], tell: Callable[[Question, PartialFrame], None]
    ) -> FrameReview:
        """Answer, and pass on parts of a large frame as they are predicted, from `centre` (y, x) [px] on."""
        source, started = self.source(question.setting), time.perf_counter()
        shape = question.setting.movie.shape[1:]
        overlay, done = np.zeros(shape, np.uint8), 0
        thresholds = question.setting.thresholds(source.class_names, source.thresholds)
        for part, labels, parts in source.predict_parts(question.frame, thresholds, centre):
            overlay[part] = predicted_alone(labels)
            done += 1
            tell(question, PartialFrame(question.frame, done, parts, overlay.copy(), source.class_names))
        review = self.answer(question)
        return replace(review, seconds=time.perf_counter() - started) if done else review

    def answer(self, question: Question) -> FrameReview:
        """Review the frame; it is predicted unless its prediction is known.

        Raises
        ------
        InputError
            For a source, movie or annotation that cannot be used.
        """
        setting, t = question.setting, question.frame
        source = self.source(setting)
        names, known_already, started = source.class_names, source.remembers(t), time.perf_counter()
        chances = source.probabilities(t)
        seconds = 0.0 if known_already else time.perf_counter() - started
        thresholds = setting.thresholds(names, source.thresholds)
        predicted = source.labels(t, thresholds)
        true, known = self._annotated(question, source, predicted.shape)
        comparison = self._comparison(setting, names)
        frame = comparison.frame(t, predicted, true, known, chances)
        annotated = bool(known.any()) and any(comparison.rules)
        agreement = source.agreement(t) if question.thorough and not annotated else None
        return FrameReview(
            t,
            names,
            annotated,
            frame.tallies(sweeps=self._sweeps_of(question, frame, true)) if annotated else {},
            frame.defects(alone=True, agreement=agreement, image=source.image(t)),
            thresholds,
            _mean_agreement(names, agreement, predicted),
            question.thorough,
            seconds,
            pack(frame.overlay, predicted, true, known.astype(np.uint8)),
            predicted.shape,
        )

    def defects(self, setting: Setting, reviews: Iterable[FrameReview]) -> pd.DataFrame:
        """Return the defects of reviewed frames as one table, as `Review.defects`, and those predicted alone.

        Where the frames are known that the network learned from, defects born after them are marked.
        """
        ordered, labelled = sorted(reviews, key=lambda review: review.frame), setting.labelled
        if not ordered:
            return no_judged()
        names, births = ordered[0].class_names, None
        comparison, shape = self._comparison(setting, names), setting.movie.shape[1:]
        learned = [annotation_in(names, setting.annotation, t, shape) for t in labelled]
        if learned and all(known.any() for _, known in learned):
            births = NewDefects.after(comparison, [true for true, _ in learned])
        tables = []
        for review in ordered:
            table = review.defects
            if births is not None and review.annotated and review.frame > labelled[-1]:
                frame = comparison.frame(review.frame, review.predicted, review.true, review.known)
                born = births.born(review.frame, [match.true for match in frame.matches])
                table = table.assign(born=frame.defects(born, alone=True)["born"].to_numpy())
            tables.append(table)
        return joined(tables, no_judged)

    def _annotated(self, question: Question, source: Source, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return the annotated labels (Y, X) uint8 in the prediction's classes, and where both sides are known."""
        t, layer = question.frame, question.setting.annotation
        names = source.class_names
        true, known = annotation_in(names, layer, t, shape)
        annotation = annotation_of(layer)
        if annotation is not None and known.any() and annotation.is_same_frame(t, question.setting.movie) is False:
            warnings.warn(
                f"Frame {t} is another one than was annotated: its prediction is shown alone. Choose the annotation of "
                "this movie, or look at the marks in 'Annotate defects' and set the frame's status anew.",
                stacklevel=3,
            )
            known = np.zeros_like(known)
        if layer is not None and known.any() and not set(classes_of(layer, names)) & set(names):
            warnings.warn(
                f"The annotation has no class of the prediction ({', '.join(names)}), which is shown alone. To "
                "compare, give the classes the same names in 'Annotate defects'.",
                stacklevel=3,
            )
        second = source.known(t)
        return true, known if second is None else known & second

    def shading(self, setting: Setting, t: int, what: str) -> np.ndarray:
        """Return the probabilities of a frame as one image.

        Parameters
        ----------
        setting : Setting
        t : int
        what : str
            A class, `ANY` for the largest of all classes, or `AGREEMENT` for the smallest agreement of all classes.

        Returns
        -------
        (Y, X) float32

        Raises
        ------
        InputError
            If there are no probabilities, or no several networks whose agreement could be computed.
        """
        source = self.source(setting)
        chances = source.agreement(t) if what == AGREEMENT else source.probabilities(t)
        if chances is None:
            found = "one network, or a stored prediction" if what == AGREEMENT else "an annotation"
            raise InputError(f"something with {what!r} to show", found, "Choose something else to glow.")
        if what in source.class_names:
            return chances[source.class_names.index(what)]
        shown: np.ndarray = chances.min(axis=0) if what == AGREEMENT else chances.max(axis=0)
        return shown

    def _comparison(self, setting: Setting, names: tuple[str, ...]) -> Comparison:
        """Return how frames are compared: alike, as long as source, annotation and classes stay."""
        layer, pixel_size = setting.annotation, setting.pixel_size
        annotation = annotation_of(layer)
        key = layer, None if annotation is None else annotation.classes
        if self._compared is None or self._compared[0] != key:
            if annotation is not None and pixel_size is None:
                pixel_size = annotation.pixel_size
            rules = match_rules(names, layer, pixel_size)
            self._compared, self._sweeps = (
                (key, Comparison(names, rules, pixel_size, setting.movie.steps, setting.movie.frame_time)),
                {},
            )
        return self._compared[1]

    def _sweeps_of(self, question: Question, frame: ComparedFrame, true: np.ndarray) -> dict[str, list[Counts]]:
        """Return the counts across thresholds, kept while the annotation is the same; empty if not requested."""
        state = zlib.crc32(frame.known.tobytes(), zlib.crc32(np.ascontiguousarray(true).data))
        known, sweeps = self._sweeps.get(frame.t, (None, {}))
        if known == state:
            return sweeps
        if not question.thorough:
            return {}
        sweeps = frame.sweeps()
        self._sweeps[frame.t] = state, sweeps
        return sweeps


def _mean_agreement(names: tuple[str, ...], agreement: np.ndarray | None, predicted: np.ndarray) -> dict[str, float]:
    """Return the mean agreement (C, Y, X) in the predicted pixels (Y, X) of each class; empty without agreement."""
    if agreement is None:
        return {}
    there = [predicted == c for c in range(1, len(names) + 1)]
    means = [float(a[p].mean()) if p.any() else float("nan") for a, p in zip(agreement, there, strict=True)]
    return dict(zip(names, means, strict=True))


def _opening(setting: Setting) -> tuple[object, ...]:
    """Return what identifies an open source."""
    return setting.source, setting.movie, setting.reading, setting.pool, setting.answer
