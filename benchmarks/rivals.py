"""What one would use instead of a network: blob detector, random forest on pixel features, Fourier method.

Every method is ``fit(frame, truth, known, detector, seed) -> predictor``: a raw frame (Y, X) to train on, its
defects and where they are known (Y, X) bool. ``predictor(frame)`` is a response (Y, X) float32, and
``predictor.threshold`` says from where on it is a defect. Each chooses its input normalisation, and all else, on the
training frame alone, by what networks are selected on too: (defect F1 + average precision) / 2. `CLASS_RIVALS` are
for frames with several classes: ``fit(frame, labels, known, detectors, seed) -> ClassPredictor``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_laplace
from skimage.feature import multiscale_basic_features
from sklearn.ensemble import RandomForestClassifier

from columns import fit_columns
from napari_menndl.annotation.fourier import FourierMethod, FourierSettings, fourier_response
from napari_menndl.annotation.fourier_tuning import tune_fourier, tune_fourier_method
from napari_menndl.metrics.detection import MatchRule, score_class
from napari_menndl.movie.normalisation import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_menndl.metrics.scores import ClassScore

    Frame = NDArray[np.floating]
    Mask = NDArray[np.bool_]
    Labels = NDArray[np.uint8]
    Response = Callable[[Frame], NDArray[np.float32]]

Fitted = TypeVar("Fitted")
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


@dataclass(frozen=True)
class ClassPredictor:
    """A fitted method for several classes.

    Attributes
    ----------
    respond : callable
        Raw frame (Y, X) to response (C, Y, X) float32.
    thresholds : C float
        Infinite for a class that the training frame does not have.
    chosen : dict
    reach : int
        Neighbouring frames on each side that it looks at; it is then given (5, Y, X).
    """

    respond: Response
    thresholds: tuple[float, ...]
    chosen: dict[str, object]
    reach: int = 0


def fit_blobs(frame: Frame, truth: Mask, known: Mask, detector: MatchRule, seed: int = 0) -> Predictor:
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


def fit_forest(frame: Frame, truth: Mask, known: Mask, detector: MatchRule, seed: int = 0) -> Predictor:
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


def fit_fourier(frame: Frame, truth: Mask, known: Mask, detector: MatchRule, seed: int = 0) -> Predictor:
    """Band and Bragg-spot filter and a threshold, tuned by random search."""
    settings = tune_fourier(frame, truth, known, detector, rng=np.random.default_rng(seed))
    respond = partial(_fourier, settings=settings)
    return Predictor("Fourier method", respond, settings.threshold, {"settings": str(settings)})


#: Every rival by its name.
RIVALS = {"blob detector": fit_blobs, "random forest": fit_forest, "Fourier method": fit_fourier}


def fit_class_blobs(
    frame: Frame, labels: Labels, known: Mask, detectors: Sequence[MatchRule], seed: int = 0
) -> ClassPredictor:
    """`fit_blobs` for each class by itself."""
    fitted = [
        fit_blobs(frame, labels == c + 1, known, detector, seed) if (known & (labels == c + 1)).any() else None
        for c, detector in enumerate(detectors)
    ]
    thresholds = tuple(float("inf") if one is None else one.threshold for one in fitted)
    chosen = {"by_class": [None if one is None else one.chosen for one in fitted]}
    return ClassPredictor(partial(_each, fitted=fitted), thresholds, chosen)


def fit_class_forest(
    frame: Frame, labels: Labels, known: Mask, detectors: Sequence[MatchRule], seed: int = 0
) -> ClassPredictor:
    """One forest of all classes; else as `fit_forest`, with a threshold for each class."""
    folds, number = _stripes(frame.shape), len(detectors)
    gaps = [binary_dilation(folds == fold, np.ones((3, 3)), iterations=GUARD) for fold in range(FOLDS)]
    best, reached = None, -1.0
    for kind, radius in INPUTS:
        features = _features(frame, kind, radius)
        out_of_fold = np.zeros((number, *frame.shape), np.float32)
        for fold in range(FOLDS):
            there = folds == fold
            forest = _grow(features, labels, known & ~gaps[fold], seed)
            out_of_fold[:, there] = _by_class(forest, features[there], number)
        scores = [
            score_class("", [(p, labels == c + 1, known)], detector)
            for c, (p, detector) in enumerate(zip(out_of_fold, detectors, strict=True))
        ]
        worth = float(np.mean([_worth(score) for score in scores if score is not None]))
        if worth > reached:
            reached = worth
            thresholds = tuple(float("inf") if score is None else score.threshold for score in scores)
            forest = _grow(features, labels, known, seed)
            respond = partial(_forest_responses, kind=kind, radius=radius, forest=forest, number=number)
            best = ClassPredictor(respond, thresholds, {"normalisation": kind, "radius": radius})
    return _fitted(best)


def fit_class_fourier(
    frame: Frame, labels: Labels, known: Mask, detectors: Sequence[MatchRule], seed: int = 0
) -> ClassPredictor:
    """The Fourier method as an annotation is proposed by it: `tune_fourier_method`."""
    method = tune_fourier_method(frame, labels, known, detectors, rng=np.random.default_rng(seed))
    thresholds = tuple(settings.threshold for settings in method.settings)
    chosen = {"settings": [str(settings) for settings in method.settings]}
    return ClassPredictor(partial(_fourier_responses, method=method), thresholds, chosen)


def fit_class_columns(
    frame: Frame, labels: Labels, known: Mask, detectors: Sequence[MatchRule], seed: int = 0
) -> ClassPredictor:
    """Intensities of the columns of a honeycomb, see `columns`."""
    method = fit_columns(frame, labels, known, detectors)
    chosen = {"by_class": [asdict(choice) for choice in method.choices]}
    return ClassPredictor(method.respond, method.thresholds, chosen)


#: Rivals for several classes by their names.
CLASS_RIVALS = {
    "random forest": fit_class_forest,
    "blob detector": fit_class_blobs,
    "Fourier method": fit_class_fourier,
    "column intensity": fit_class_columns,
}


def _each(frame: Frame, fitted: Sequence[Predictor | None]) -> NDArray[np.float32]:
    return np.stack([np.zeros(frame.shape, np.float32) if one is None else one(frame) for one in fitted])


def _fourier_responses(frame: Frame, method: FourierMethod) -> NDArray[np.float32]:
    return np.stack([fourier_response(frame, settings) for settings in method.settings])


def _forest_responses(
    frame: Frame, kind: str, radius: float, forest: RandomForestClassifier, number: int
) -> NDArray[np.float32]:
    features = _features(frame, kind, radius)
    return _by_class(forest, features.reshape(-1, features.shape[-1]), number).reshape(number, *frame.shape)


def _by_class(forest: RandomForestClassifier, features: NDArray[np.float32], number: int) -> NDArray[np.float32]:
    """(C, n) float32 for features (n, F): 0 for a class that the forest has not seen."""
    found = np.zeros((number + 1, len(features)), np.float32)
    found[forest.classes_] = forest.predict_proba(features).T
    return found[1:]


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


def _grow(features: NDArray[np.float32], truth: Mask | Labels, allowed: Mask, seed: int) -> RandomForestClassifier:
    """A forest of at most `PIXELS` random pixels of each class, all classes of the same weight."""
    rng = np.random.default_rng(seed)
    sides = [np.flatnonzero(allowed & (truth == value)) for value in np.unique(truth)[::-1]]
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


def _fitted(best: Fitted | None) -> Fitted:
    if best is None:
        raise ValueError("the training frame has no labelled defect")
    return best
