"""One frame, set against its annotation: what is asked, and what comes out."""

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

#: The overlay's value where the first class is predicted and nothing annotated, the next ones follow; 1 to 3 are the
#: review's.
PREDICTED = 4
#: The outcome of such a defect in tables.
ALONE = "predicted"
#: What can be shown as a glow beside the classes.
NOTHING, ANY, AGREEMENT = "not shown", "any defect", "agreement of the networks"


Level = tuple[float | None, tuple[tuple[str, float], ...]]


@dataclass(frozen=True)
class Setting:
    """What to set against what.

    Attributes
    ----------
    source : str or napari.layers.Labels
        Path of a run folder, a saved network or a stored prediction; or a second annotation.
    movie : Movie
    annotation : napari.layers.Labels or None
    threshold : float or None
        For every class; None for the thresholds of the network.
    of_classes : tuple of (str, float)
        Thresholds of single classes, before `threshold`.
    reading : int
        At another number the source is read anew: a search may have found a better network.
    keep : bool
        Whether to keep the probabilities on disk, beside the run or network.
    pool : str
        Who predicts, as `open_pool` takes it; empty: this process.
    answer : (y, x) float [nm], str or None
        What a person has said of the movie's pixel size, see `pixel_size.answer_for`.
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

    @property
    def pixel_size(self) -> PixelSize | None:
        """Of the movie, (y, x) [nm], as its file or else a person says."""
        known: PixelSize | None = self.movie.pixel_size
        return self.answer if known is None and isinstance(self.answer, tuple) else known

    @property
    def level(self) -> Level:
        """Where the prediction is read off: at another level labels and scores are others."""
        return self.threshold, self.of_classes

    def thresholds(self, class_names: Sequence[str], own: Sequence[float] | None) -> tuple[float, ...] | None:
        """One per class; None of a second annotation, which has none (`own` is None)."""
        if own is None:
            return None
        chosen = dict(self.of_classes)
        rest = own if self.threshold is None else [self.threshold] * len(class_names)
        return tuple(chosen.get(name, one) for name, one in zip(class_names, rest, strict=True))


@dataclass(frozen=True)
class Question:
    """One frame to review.

    Attributes
    ----------
    setting : Setting
    frame : int
    revision : int
        Of the frame's annotation.
    thorough : bool
        Also the average precision or, where nothing is annotated, how far the networks agree: it takes a moment more.
    """

    setting: Setting
    frame: int
    revision: int = 0
    thorough: bool = False


@dataclass(frozen=True, eq=False)
class PartialFrame:
    """A frame that is being predicted: what is known of it so far, not judged yet.

    Attributes
    ----------
    frame : int
    done, parts : int
        How many of its parts are predicted, of how many.
    overlay : (Y, X) uint8
        `PREDICTED` where there is a defect of the first class, and so on.
    class_names : C str
        Of the prediction.
    """

    frame: int
    done: int
    parts: int
    overlay: np.ndarray = field(repr=False)
    class_names: tuple[str, ...] = ()


def drawn(labels: np.ndarray) -> np.ndarray:
    """Values in an overlay of labels (Y, X) uint8 that are predicted alone: each class its own."""
    return np.where(labels > 0, np.minimum(labels.astype(np.uint16) + PREDICTED - 1, 255), 0).astype(np.uint8)


@dataclass(frozen=True)
class FrameReview:
    """One frame, reviewed.

    Attributes
    ----------
    frame : int
    class_names : C str
        Of the prediction.
    annotated : bool
        Whether the annotation says anything about this frame.
    tallies : dict of str to ScoreCounts
        By class that both sides know; empty without annotation.
    defects : DataFrame
        `tables.DEFECT_COLUMNS`; what is not judged has the outcome ``"predicted"``.
    thresholds : (C,) float or None
        What was applied.
    agreement : dict of str to float
        Of an ensemble's networks in the pixels predicted, by class; empty where not asked for.
    thorough : bool
    seconds : float
        What the prediction took; 0 when it was known.
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
        """(Y, X) uint8: 0 = nothing, 1 = true positive, 2 = false positive, 3 = false negative; on: see `drawn`."""
        return self._image(0)

    @property
    def predicted(self) -> np.ndarray:
        """(Y, X) uint8: 0 = no defect, c + 1 = class c."""
        return self._image(1)

    def _image(self, number: int) -> np.ndarray:
        return np.frombuffer(bytearray(zlib.decompress(self._images[number])), np.uint8).reshape(self._shape)


def pack(*images: np.ndarray) -> tuple[bytes, ...]:
    """What `FrameReview` keeps of its images (Y, X) uint8, mostly zeros: so a long movie's fit into memory."""
    return tuple(zlib.compress(image.tobytes(), 1) for image in images)
