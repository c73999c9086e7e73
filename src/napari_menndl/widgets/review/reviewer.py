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
import pandas as pd

from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.detection import count_defects, pixel_counts
from napari_menndl.metrics.ranking import choose_thresholds
from napari_menndl.review.frame import FALSE_POSITIVE, OUTCOMES, review_labels
from napari_menndl.review.tables import REVIEW_COLUMNS, ScoreCounts, defect_table, numbered
from napari_menndl.widgets.layers import annotation_of
from napari_menndl.widgets.review.expert import annotated_detectors, annotation_in
from napari_menndl.widgets.review.frame_review import AGREEMENT, ALONE, FrameReview, PartialFrame, drawn, pack
from napari_menndl.widgets.review.sources import (
    MEMORY,
    AnnotatedSource,
    PredictedSource,
    Source,
    open_source,
    place_beside,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_menndl.metrics.detection import MatchRule
    from napari_menndl.metrics.scores import Counts
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
        self._detectors: dict[tuple[int, tuple[str, ...]], list[MatchRule]] = {}
        self._levels: dict[str, np.ndarray] = {}
        self._sweeps: dict[tuple[int, str], tuple[int, list[Counts]]] = {}

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
                self._detectors, self._levels, self._sweeps = {}, {}, {}
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

    def look(self, t: int) -> None:
        """Announce the frame in view, so that a pool predicts it first."""
        if (source := self._source) is not None:
            source.look(t)

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
        if not isinstance(source, PredictedSource):
            return self.answer(question)
        shape = question.setting.movie.shape[1:]
        overlay, done = np.zeros(shape, np.uint8), 0
        thresholds = question.setting.thresholds(source.class_names, source.thresholds)
        for part, labels, parts in source.predict_parts(question.frame, thresholds, centre):
            overlay[part] = drawn(labels)
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
        true, inside, compared = annotation_in(names, setting.annotation, t, predicted.shape)
        annotation = annotation_of(setting.annotation)
        if annotation is not None and inside.any() and annotation.is_same_frame(t, setting.movie) is False:
            warnings.warn(
                f"Frame {t} is another one than was annotated: its prediction is shown alone. Choose the annotation of "
                "this movie, or look at the marks in 'Annotate defects' and set the frame's status anew.",
                stacklevel=2,
            )
            inside = np.zeros_like(inside)
        second = source.known(t)
        inside = inside if second is None else inside & second
        annotated = bool(inside.any())
        detectors = source.detectors or self._annotated_detectors(setting, names, t)
        judged = np.where(np.array([False, *compared])[predicted], predicted, 0)
        reviewed = review_labels(judged, true, inside if annotated else None, detectors)
        overlay = reviewed.colours.copy()
        alone = (predicted > 0) & (overlay == 0) & ~(inside & (judged > 0)) if annotated else predicted > 0
        overlay[alone] = drawn(predicted[alone])
        tallies, tables, nothing = {}, [], np.zeros(predicted.shape, bool)
        for c, (name, match, detector) in enumerate(zip(names, reviewed.matches, detectors, strict=True)):
            chance = None if chances is None else chances[c]
            if annotated and compared[c]:
                sweep = self._sweep(question, name, chance, true == c + 1, inside, detector)
                pixels = pixel_counts(predicted == c + 1, true == c + 1, inside)
                tallies[name] = ScoreCounts(match.counts, pixels, sweep)
                tables.append(defect_table(t, name, match, chance, None, setting.pixel_size))
            rest = detector.match(alone & (predicted == c + 1), nothing)
            table = defect_table(t, name, rest, chance, None, setting.pixel_size)
            tables.append(table.replace({"outcome": {OUTCOMES[FALSE_POSITIVE]: ALONE}}))
        full = [table for table in tables if len(table)]
        return FrameReview(
            t,
            names,
            annotated,
            tallies,
            numbered(pd.concat(full, ignore_index=True)) if full else pd.DataFrame(columns=list(REVIEW_COLUMNS)),
            thresholds,
            self._agreement(source, question, predicted) if not annotated else {},
            question.thorough,
            seconds,
            pack(overlay, predicted),
            predicted.shape,
        )

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

    def _annotated_detectors(self, setting: Setting, names: tuple[str, ...], t: int) -> list[MatchRule]:
        """Return the match rules of the classes if no network has them; the same for all frames."""
        key = (id(setting.annotation), names)
        if key not in self._detectors:
            self._detectors[key] = annotated_detectors(names, setting.annotation, t, setting.pixel_size)
        return self._detectors[key]

    def _sweep(
        self,
        question: Question,
        name: str,
        chance: np.ndarray | None,
        true: np.ndarray,
        inside: np.ndarray,
        detector: MatchRule,
    ) -> list[Counts]:
        """Return counts across thresholds, kept while the frame's annotation is the same; empty if not requested."""
        if chance is None:
            return []
        key, state = (question.frame, name), zlib.crc32(np.packbits([true, inside]).tobytes())
        if self._sweeps.get(key, (None,))[0] == state:
            return self._sweeps[key][1]
        if not question.thorough:
            return []
        if name not in self._levels:  # the same for all frames, so that their counts can be added
            share = max(np.count_nonzero(true & inside) / np.count_nonzero(inside), 1e-3)
            self._levels[name] = choose_thresholds([chance[inside]], share)
        counts = count_defects(chance, label_components(true, 1), inside, detector, self._levels[name])
        self._sweeps[key] = state, counts
        return counts

    def _agreement(self, source: Source, question: Question, predicted: np.ndarray) -> dict[str, float]:
        agreement = source.agreement(question.frame) if question.thorough else None
        if agreement is None:
            return {}
        there = [predicted == c for c in range(1, len(source.class_names) + 1)]
        means = [float(a[p].mean()) if p.any() else float("nan") for a, p in zip(agreement, there, strict=True)]
        return dict(zip(source.class_names, means, strict=True))


def _opening(setting: Setting) -> tuple[object, ...]:
    """Return what identifies an open source."""
    return setting.source, setting.movie, setting.reading, setting.pool, setting.answer
