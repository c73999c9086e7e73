"""What one would use instead of a network: blob detector, random forest on pixel features, Fourier method.

Every method is ``fit(frame, truth, known, detector, seed) -> predictor``: a raw frame (Y, X) to train on, its
defects and where they are known (Y, X) bool. ``predictor(frame)`` is a response (Y, X) float32, and
``predictor.threshold`` says from where on it is a defect. Each chooses its input normalisation, and all else, on the
training frame alone, by what networks are selected on too: (defect F1 + average precision) / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_laplace
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier

from napari_menndl.annotation.fourier import FourierSettings, fourier_response
from napari_menndl.annotation.fourier_tuning import tune_fourier
from napari_menndl.metrics.detection import Detector, score_class
from napari_menndl.movie.normalisation import normalise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_menndl.metrics.scores import ClassScore

    Frame = NDArray[np.floating]
    Mask = NDArray[np.bool_]
    Response = Callable[[Frame], NDArray[np.float32]]

#: Input normalisations to choose among: kind, radius [px].
INPUTS: tuple[tuple[str, float], ...] = (
    ("global", 1.0),
    *((kind, radius) for kind in ("flattened", "local") for radius in (10.0, 20.0, 40.0)),
)
#: Blob scales to choose among [px].
SIGMAS = tuple(float(s) for s in np.geomspace(1.0, 6.0, 9))
#: The forest: pixels per class to learn from, trees, folds of its spatial cross-validation, gap between them [px].
PIXELS, TREES, FOLDS, GUARD = 6000, 100, 4, 16


@dataclass(frozen=True)
class Predictor:
    """A fitted method.

    Attributes
    ----------
    name : str
    respond : callable
        Raw frame (Y, X) to response (Y, X) float32.
    threshold : float
    chosen : dict
        What was chosen, for the record.
    """

    name: str
    respond: Response
    threshold: float
    chosen: dict[str, object]

    def __call__(self, frame: Frame) -> NDArray[np.float32]:
        """(Y, X) float32, higher = more defect-like."""
        return self.respond(frame)


def fit_blobs(frame: Frame, truth: Mask, known: Mask, detector: Detector, seed: int = 0) -> Predictor:
    """Laplacian of Gaussian (Lindeberg 1998, 10.1023/A:1008045108935), bright or dark blobs of one scale."""
    best, score = None, -1.0
    for kind, radius in INPUTS:
        for sigma in SIGMAS:
            for sign in (1.0, -1.0):
                respond = partial(_blobs, kind=kind, radius=radius, sigma=sigma, sign=sign)
                found = score_class("", [(respond(frame), truth, known)], detector)
                if found is not None and _worth(found) > score:
                    score = _worth(found)
                    chosen = {"normalisation": kind, "radius": radius, "sigma": sigma, "sign": sign}
                    best = Predictor("blob detector", respond, found.threshold, chosen)
    return _fitted(best)


def fit_forest(frame: Frame, truth: Mask, known: Mask, detector: Detector, seed: int = 0) -> Predictor:
    """Random forest on multiscale features of pixels, as in ilastik or Weka segmentation.

    Inputs and threshold are chosen on predictions out of fold: stripes of the frame, with a gap that no training pixel
    lies in. The chosen forest is then trained on the whole frame.
    """
    folds = _stripes(frame.shape)
    gaps = [binary_dilation(folds == fold, np.ones((3, 3)), iterations=GUARD) for fold in range(FOLDS)]
    best, score = None, -1.0
    for kind, radius in INPUTS:
        features = _features(frame, kind, radius)
        out_of_fold = np.zeros(frame.shape, np.float32)
        for fold in range(FOLDS):
            there = folds == fold
            forest = _grow(features, truth, known & ~gaps[fold], seed)
            out_of_fold[there] = forest.predict_proba(features[there])[:, 1]
        found = score_class("", [(out_of_fold, truth, known)], detector)
        if found is not None and _worth(found) > score:
            score = _worth(found)
            respond = partial(_forest_response, kind=kind, radius=radius, forest=_grow(features, truth, known, seed))
            chosen = {"normalisation": kind, "radius": radius}
            best = Predictor("random forest", respond, found.threshold, chosen)
    return _fitted(best)


def fit_fourier(frame: Frame, truth: Mask, known: Mask, detector: Detector, seed: int = 0) -> Predictor:
    """Band and Bragg-spot filter and a threshold, tuned by random search."""
    settings = tune_fourier(frame, truth, known, detector, rng=np.random.default_rng(seed))
    respond = partial(_fourier, settings=settings)
    return Predictor("Fourier method", respond, settings.threshold, {"settings": str(settings)})


#: Every rival by its name.
RIVALS = {"blob detector": fit_blobs, "random forest": fit_forest, "Fourier method": fit_fourier}


def _fourier(frame: Frame, settings: FourierSettings) -> NDArray[np.float32]:
    return fourier_response(frame, settings)


def _blobs(frame: Frame, kind: str, radius: float, sigma: float, sign: float) -> NDArray[np.float32]:
    return (-sign * sigma**2 * gaussian_laplace(normalise(frame, kind, radius), sigma)).astype(np.float32)


def _features(frame: Frame, kind: str, radius: float) -> NDArray[np.float32]:
    """(Y, X, F): grey value, edges and texture at scales from 1 to 16 px."""
    return multiscale_basic_features(normalise(frame, kind, radius), sigma_min=1, sigma_max=16)


def _forest_response(frame: Frame, kind: str, radius: float, forest: RandomForestClassifier) -> NDArray[np.float32]:
    features = _features(frame, kind, radius)
    found = forest.predict_proba(features.reshape(-1, features.shape[-1]))[:, 1]
    return found.reshape(frame.shape).astype(np.float32)


def _grow(features: NDArray[np.float32], truth: Mask, allowed: Mask, seed: int) -> RandomForestClassifier:
    """A forest of at most `PIXELS` random pixels of either class, both of the same weight."""
    rng = np.random.default_rng(seed)
    sides = (np.flatnonzero(allowed & truth), np.flatnonzero(allowed & ~truth))
    chosen = np.concatenate([rng.choice(side, min(PIXELS, len(side)), replace=False) for side in sides])
    forest = RandomForestClassifier(
        TREES, min_samples_leaf=5, max_samples=0.5, class_weight="balanced", random_state=seed, n_jobs=2
    )
    return forest.fit(features.reshape(-1, features.shape[-1])[chosen], truth.ravel()[chosen])


def _stripes(shape: tuple[int, int]) -> NDArray[np.intp]:
    """(Y, X) int: the fold of each pixel, stripes along the longer side."""
    longer = int(np.argmax(shape))
    fold = np.arange(shape[longer]) * FOLDS // shape[longer]
    return np.broadcast_to(fold[:, None] if longer == 0 else fold[None], shape)


def _worth(score: ClassScore) -> float:
    return (score.f1 + score.average_precision) / 2


def _fitted(best: Predictor | None) -> Predictor:
    if best is None:
        raise ValueError("the training frame has no labelled defect")
    return best
