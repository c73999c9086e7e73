"""Tuning of the Fourier method's settings on a labelled frame, for a fair comparison with networks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from napari_menndl.annotation.fourier import SIGNS, FourierMethod, FourierSettings, FrameSpectrum
from napari_menndl.errors import InputError
from napari_menndl.metrics.detection import score_class
from napari_menndl.movie.normalisation import NORMALISATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.metrics.detection import MatchRule

#: Ranges (lowest, highest) of random settings, log-uniform.
RANGES = {
    "radius": (6.0, 60.0),
    "inner": (0.002, 0.06),
    "outer": (0.03, 0.5),
    "edge": (0.02, 0.4),
    "notch": (0.8, 8.0),
    "smoothing": (0.5, 6.0),
}
#: Thresholds to try: the fraction of pixels above them, in multiples of the labelled fraction.
_COARSE = np.geomspace(0.1, 2.0, 7)
_FINE = np.geomspace(0.05, 4.0, 33)


def tune_fourier(
    frame: npt.NDArray[np.floating],
    truth: npt.NDArray[np.bool_],
    known: npt.NDArray[np.bool_],
    match_rule: MatchRule,
    *,
    rng: np.random.Generator,
    normalisations: Sequence[str] = NORMALISATIONS,
    samples: int = 60,
    steps: int = 40,
) -> FourierSettings:
    """Return the best settings for one labelled frame, by random search and then small changes of the best.

    The score is the fitness of networks, (defect F1 + average precision) / 2, at the threshold of the best F1.

    Parameters
    ----------
    frame : (Y, X) float
        Raw.
    truth, known : (Y, X) bool
        The pixels of one class; the pixels whose labels are known.
    match_rule : MatchRule
        Match rule of the class.
    rng : Generator
    normalisations : sequence of str
        The normalisations to try.
    samples, steps : int
        Number of random settings, and of changes after that; each costs one response and a few scorings.

    Returns
    -------
    FourierSettings
        Including the threshold.

    Raises
    ------
    InputError
        If the frame has no known defect.
    """
    truth = truth & known
    if not truth.any():
        raise InputError(
            "at least one labelled defect to tune on", "none", "Label a defect of this class, or leave it out."
        )
    best, score = FourierSettings(), -1.0
    spectrum = FrameSpectrum(frame)
    for step in range(samples + steps):
        if step == 0:
            tried = replace(best, normalisation=normalisations[0])
        elif step < samples:
            tried = _sample(normalisations, rng)
        else:
            tried = _change(best, normalisations, rng)
        tried, reached = _with_threshold(spectrum, truth, known, match_rule, tried, _COARSE)
        if reached > score:
            best, score = tried, reached
    return _with_threshold(spectrum, truth, known, match_rule, best, _FINE, only_useful=True)[0]


def tune_fourier_method(
    frame: npt.NDArray[np.floating],
    labels: npt.NDArray[np.uint8],
    known: npt.NDArray[np.bool_],
    match_rules: Sequence[MatchRule],
    *,
    rng: np.random.Generator,
    normalisations: Sequence[str] = NORMALISATIONS,
    samples: int = 60,
    steps: int = 40,
) -> FourierMethod:
    """Run `tune_fourier` for each class; one without a labelled defect gets settings that find nothing.

    Parameters
    ----------
    frame : (Y, X) float
    labels : (Y, X) uint8
        0 = no defect, c + 1 = class c.
    known : (Y, X) bool
    match_rules : sequence of MatchRule
        One per class.
    rng, normalisations, samples, steps
        As in `tune_fourier`.

    Raises
    ------
    InputError
        If no class has a known defect.
    """
    truths = [labels == c + 1 for c in range(len(match_rules))]
    if not any((t & known).any() for t in truths):
        raise InputError("at least one labelled defect to tune on", "none", "Label a defect.")
    return FourierMethod(
        tuple(
            tune_fourier(frame, t, known, d, rng=rng, normalisations=normalisations, samples=samples, steps=steps)
            if (t & known).any()
            else FourierSettings(threshold=float("inf"))
            for t, d in zip(truths, match_rules, strict=True)
        )
    )


def _sample(normalisations: Sequence[str], rng: np.random.Generator) -> FourierSettings:
    drawn = {name: float(np.exp(rng.uniform(np.log(low), np.log(high)))) for name, (low, high) in RANGES.items()}
    drawn["inner"] = min(drawn["inner"], 0.6 * drawn["outer"])
    return FourierSettings(
        normalisation=str(rng.choice(normalisations)),
        sign=str(rng.choice(SIGNS)),
        spots=int(rng.choice([0, 6, 12, 24, 48])),
        **drawn,
    )


def _change(settings: FourierSettings, normalisations: Sequence[str], rng: np.random.Generator) -> FourierSettings:
    """Change one or two numbers by a factor of up to about 2 or, in a quarter of cases, redraw one choice."""
    drawn = _sample(normalisations, rng)
    if rng.random() < 0.25:
        name = str(rng.choice(["normalisation", "sign", "spots"]))
        return replace(settings, **{name: getattr(drawn, name)})
    changed: dict[str, float] = {}
    for name in rng.choice(list(RANGES), size=rng.integers(1, 3), replace=False):
        low, high = RANGES[name]
        changed[name] = float(np.clip(getattr(settings, name) * np.exp(rng.normal(0, 0.35)), low, high))
    if changed.get("inner", settings.inner) >= (outer := changed.get("outer", settings.outer)):
        changed["inner"] = 0.6 * outer
    return replace(settings, **changed)  # type: ignore[arg-type]


def _with_threshold(
    spectrum: FrameSpectrum,
    truth: npt.NDArray[np.bool_],
    known: npt.NDArray[np.bool_],
    match_rule: MatchRule,
    settings: FourierSettings,
    shares: npt.NDArray[np.float64],
    *,
    only_useful: bool = False,
) -> tuple[FourierSettings, float]:
    """Return the settings with the threshold of the best defect F1 (or `ClassScore.cutoff`), and their score."""
    response = spectrum.response(settings)
    there = response[known]
    share = np.clip(shares * np.count_nonzero(truth) / there.size, 0, 1)
    thresholds = np.unique(np.quantile(there, 1 - share, method="nearest"))
    thresholds = thresholds[thresholds > there.min()]
    score = score_class("", [(response, truth, known)], match_rule, thresholds)
    if score is None or not np.isfinite(score.threshold):
        return settings, -1.0
    threshold = score.cutoff if only_useful else score.threshold
    return replace(settings, threshold=threshold), (score.f1 + score.average_precision) / 2
