"""One labelled image, the rest held out: the protocol on `pt_on_nc`, single Pt atoms on carbon.

Train on one image, test on the others. Labels are discs around clicked points. A response is thresholded, its connected
components are matched one to one to the clicked points, and counts are pooled over the test images. Threshold and all
else are chosen on the training image alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd
import tifffile
from scipy.ndimage import distance_transform_edt

from napari_menndl.metrics.components import Components
from napari_menndl.metrics.detection import MatchRule, count_defects, pixel_counts
from napari_menndl.metrics.ranking import average_precision, choose_thresholds
from napari_menndl.metrics.scores import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

#: Rows of pairs.csv to train on, counted from 0.
TRAINING_ROWS = (0, 4, 9)
#: Radius of a labelled disc, and distance within which a component is a point [px]; smallest component [px].
RADIUS, TOLERANCE, SMALLEST = 4.0, 6.0, 3
DETECTOR = MatchRule(TOLERANCE, min_area=SMALLEST)


class Predictor(Protocol):
    """A method after training: higher = more defect-like, and from where on it is one."""

    threshold: float

    def __call__(self, frame: NDArray[np.floating]) -> NDArray[np.float32]:
        """Response (Y, X) float32 of a raw frame (Y, X)."""
        ...


@dataclass(frozen=True)
class LabelledImage:
    """One image with its atoms.

    Attributes
    ----------
    name : str
    frame : (Y, X) float32
    points : (n, 2) float64 [px]
        Clicked (y, x).
    """

    name: str
    frame: NDArray[np.float32]
    points: NDArray[np.float64]

    @property
    def truth(self) -> NDArray[np.bool_]:
        """(Y, X) bool: discs of `RADIUS` around the points."""
        apart = np.ones(self.frame.shape, bool)
        y, x = np.rint(self.points).astype(int).T
        apart[y, x] = False
        return distance_transform_edt(apart) <= RADIUS


def load_images(folder: Path) -> list[LabelledImage]:
    """Read the images and points that `pairs.csv` joins, in its order.

    Parameters
    ----------
    folder : Path
        With pairs.csv, images/ and coordinates/.
    """
    images = []
    for row in pd.read_csv(folder / "pairs.csv").itertuples():
        frame = tifffile.imread(folder / "images" / row.Filename).astype(np.float32)
        points = pd.read_csv(folder / "coordinates" / row.Coords)[["Y", "X"]].to_numpy(float)
        images.append(LabelledImage(row.Filename, frame, np.clip(points, 0, np.array(frame.shape) - 1)))
    return images


@dataclass(frozen=True)
class HeldOut:
    """How a predictor did on the test images of one training image.

    Attributes
    ----------
    defects, pixels : (N, 3) int64
        tp, fp, fn for each image of the folder; all 0 for the training image.
    average_precision : float
        Over the test images together.
    """

    defects: NDArray[np.int64]
    pixels: NDArray[np.int64]
    average_precision: float

    @property
    def f1(self) -> float:
        """Defect F1 over the test images together."""
        return f1(self.defects)

    @property
    def pixel_f1(self) -> float:
        """F1 of the pixels of the discs, over the test images together."""
        return f1(self.pixels)


def judge(predictor: Predictor, images: Sequence[LabelledImage], training_row: int) -> HeldOut:
    """Test a predictor on all images but the one it was trained on."""
    tested = [i for i in range(len(images)) if i != training_row]
    responses = {i: predictor(images[i].frame) for i in tested}
    truths = {i: images[i].truth for i in tested}
    share = float(np.mean([truths[i].mean() for i in tested]))
    # The sweep is for average precision, a score; nothing is chosen by it.
    sweep = choose_thresholds(responses.values(), share)
    levels = [predictor.threshold, *sweep]
    defects, pixels = np.zeros((len(images), 3), np.int64), np.zeros((len(images), 3), np.int64)
    pooled = [Counts()] * len(levels)
    for i in tested:
        everywhere = np.ones(images[i].frame.shape, bool)
        counts = count_defects(responses[i], as_components(images[i]), everywhere, DETECTOR, levels)
        pooled = [a + b for a, b in zip(pooled, counts, strict=True)]
        defects[i] = _row(counts[0])
        pixels[i] = _row(pixel_counts(responses[i] >= predictor.threshold, truths[i], everywhere))
    return HeldOut(defects, pixels, average_precision(pooled[1:]))


def f1(counts: NDArray[np.integer]) -> float:
    """2 tp / (2 tp + fp + fn) of counts (..., 3) added up."""
    tp, fp, fn = np.asarray(counts).reshape(-1, 3).sum(axis=0)
    return float(2 * tp / max(2 * tp + fp + fn, 1))


def bootstrap_interval(
    counts: NDArray[np.integer],
    others: NDArray[np.integer] | None = None,
    *,
    rng: np.random.Generator,
    samples: int = 10_000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of the mean F1 over trainings, or of its paired difference to another method, over test images.

    Images are drawn with replacement, the same for every training and for both methods (percentile bootstrap,
    Efron & Tibshirani 1993, chapter 13).

    Parameters
    ----------
    counts, others : (K, N, 3) int
        Per training and image: `HeldOut.defects` or `.pixels`, stacked. `others` is subtracted.
    rng : numpy.random.Generator

    Returns
    -------
    low, high : float
    """
    n = counts.shape[1]
    weights = rng.multinomial(n, np.full(n, 1 / n), size=samples)

    def means(c: NDArray[np.integer]) -> NDArray[np.float64]:
        tp, fp, fn = np.moveaxis(np.einsum("sn,knc->skc", weights, c), -1, 0)
        return (2 * tp / np.maximum(2 * tp + fp + fn, 1)).mean(axis=1)

    drawn = means(counts) if others is None else means(counts) - means(others)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def as_components(image: LabelledImage) -> Components:
    """The clicked points themselves: discs of close atoms would run together into one."""
    n = len(image.points)
    labels = np.zeros(image.frame.shape, np.int32)
    y, x = np.rint(image.points).astype(int).T
    labels[y, x] = np.arange(1, n + 1)
    return Components(labels, image.points, np.ones(n, np.int64))


def _row(counts: Counts) -> tuple[int, int, int]:
    return counts.tp, counts.fp, counts.fn
