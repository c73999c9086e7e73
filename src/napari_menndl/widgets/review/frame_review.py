"""Review of one frame against its annotation: the question and its result."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.metrics.scores import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from napari.layers import Labels

    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.resample import PixelSize
    from napari_menndl.review.tables import ScoreCounts
    from napari_menndl.widgets.pixel_size import Answer

#: Choices of shading besides the classes.
NOTHING, ANY, AGREEMENT = "none", "any defect", "agreement of the networks"


Level = tuple[float | None, tuple[tuple[str, float], ...]]


@dataclass(frozen=True)
class Setting:
    """Setting of a review: source, movie, annotation, thresholds and pool.

    Attributes
    ----------
    source : str or napari.layers.Labels
        Path of a run folder, a saved network or a stored prediction; or a second annotation.
    movie : Movie
    annotation : napari.layers.Labels or None
    threshold : float or None
        For every class; None for the thresholds of the network.
    of_classes : tuple of (str, float)
        Thresholds of single classes, which override `threshold`.
    reading : int
        When it changes, the source is read again: a search may have found a better network.
    keep : bool
        Whether to keep the probabilities on disk, beside the run or network.
    pool : str
        The pool that predicts, as `open_pool` takes it; empty for this process.
    answer : (y, x) float [nm], str or None
        A person's answer about the movie's pixel size; see `pixel_size.answer_for`.
    labelled : tuple of int
        Frames of this movie that the network learned from; empty if that is not known.
    """

    source: str | Labels
    movie: Movie
    annotation: Labels | None = None
    threshold: float | None = None
    reading: int = 0
    keep: bool = False
    pool: str = ""
    of_classes: tuple[tuple[str, float], ...] = ()
    answer: Answer = None
    labelled: tuple[int, ...] = ()

    @property
    def pixel_size(self) -> PixelSize | None:
        """Pixel size of the movie, (y, x) [nm], from its file or else from a person's answer."""
        known: PixelSize | None = self.movie.pixel_size
        return self.answer if known is None and isinstance(self.answer, tuple) else known

    @property
    def level(self) -> Level:
        """Thresholds that the labels and scores depend on."""
        return self.threshold, self.of_classes

    def thresholds(self, class_names: Sequence[str], own: Sequence[float] | None) -> tuple[float, ...] | None:
        """Return one threshold per class; None for a second annotation, which has none (`own` is None)."""
        if own is None:
            return None
        chosen = dict(self.of_classes)
        rest = own if self.threshold is None else [self.threshold] * len(class_names)
        return tuple(chosen.get(name, one) for name, one in zip(class_names, rest, strict=True))


@dataclass(frozen=True)
class Question:
    """Request to review one frame.

    Attributes
    ----------
    setting : Setting
    frame : int
    revision : int
        Revision of the frame's annotation.
    thorough : bool
        Whether to compute the average precision, too, or, if nothing is annotated, the agreement of the networks; this
        takes a moment more.
    """

    setting: Setting
    frame: int
    revision: int = 0
    thorough: bool = False


@dataclass(frozen=True, eq=False)
class PartialFrame:
    """Frame that is being predicted: the parts known so far, not judged yet.

    Attributes
    ----------
    frame : int
    done, parts : int
        Number of parts that are predicted, and of all parts.
    overlay : (Y, X) uint8
        See `outcomes.predicted_alone`.
    class_names : C str
        Classes of the prediction.
    """

    frame: int
    done: int
    parts: int
    overlay: np.ndarray = field(repr=False)
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameReview:
    """Review of one frame.

    Attributes
    ----------
    frame : int
    class_names : C str
        Classes of the prediction.
    annotated : bool
        Whether the annotation is known anywhere in this frame.
    tallies : dict of str to ScoreCounts
        By class that both sides have; empty without an annotation.
    defects : DataFrame
        See `compare.ComparedFrame.defects`; defects that are not judged have the outcome ``"predicted"``.
    thresholds : (C,) float or None
        The thresholds applied.
    agreement : dict of str to float
        Agreement of an ensemble's networks in the predicted pixels, by class; empty if not requested.
    thorough : bool
    seconds : float
        Duration of the prediction; 0 if it was known.
    """

    frame: int
    class_names: tuple[str, ...]
    annotated: bool
    tallies: dict[str, ScoreCounts]
    defects: pd.DataFrame
    thresholds: tuple[float, ...] | None
    agreement: dict[str, float]
    thorough: bool
    seconds: float
    _images: tuple[bytes, ...] = field(repr=False)
    _shape: tuple[int, ...] = field(repr=False)

    @property
    def total(self) -> Counts:
        return sum((tally.defects for tally in self.tallies.values()), Counts())

    @property
    def overlay(self) -> np.ndarray:
        """Overlay (Y, X) uint8, see `compare.ComparedFrame.overlay`."""
        return self._image(0)

    @property
    def predicted(self) -> np.ndarray:
        """Predicted labels (Y, X) uint8: 0 = no defect, c + 1 = class c."""
        return self._image(1)

    @property
    def true(self) -> np.ndarray:
        """Annotated labels (Y, X) uint8 in the prediction's classes."""
        return self._image(2)

    @property
    def known(self) -> np.ndarray:
        """Where the annotation is known, (Y, X) bool."""
        return self._image(3) > 0

    def _image(self, number: int) -> np.ndarray:
        return np.frombuffer(bytearray(zlib.decompress(self._images[number])), np.uint8).reshape(self._shape)


def pack(*images: np.ndarray) -> tuple[bytes, ...]:
    """Compress images (Y, X) uint8, mostly zeros, so that those of a long movie fit into memory."""
    return tuple(zlib.compress(image.tobytes(), 1) for image in images)
