"""The Fourier method finds what is not periodic."""

from dataclasses import replace

import numpy as np
import pytest

from napari_menndl.annotation.fourier import (
    FourierMethod,
    FourierSettings,
    FrameSpectrum,
    fourier_response,
)
from napari_menndl.annotation.fourier_tuning import tune_fourier, tune_fourier_method
from napari_menndl.metrics.detection import MatchRule

DETECTOR = MatchRule(tolerance=4.0)


def pixels_found(frame, settings):
    """(Y, X) bool: where the response reaches the threshold."""
    return fourier_response(frame, settings) >= settings.threshold


def lattice(seed: int = 0, size: int = 160) -> tuple[np.ndarray, np.ndarray]:
    """A square lattice of bright atoms with noise, eight missing (1) and eight brighter (2); frame and labels."""
    rng = np.random.default_rng(seed)
    y, x = np.indices((size, size), float)
    frame = np.zeros((size, size))
    labels = np.zeros((size, size), np.uint8)
    sites = [(i, j) for i in range(8, size, 10) for j in range(8, size, 10)]
    odd = rng.choice(len(sites), 16, replace=False).tolist()
    for n, (i, j) in enumerate(sites):
        kind = 0 if n not in odd else 1 + odd.index(n) % 2
        atom = np.exp(-((y - i) ** 2 + (x - j) ** 2) / 8)
        frame += (1.0, 0.1, 2.0)[kind] * atom
        labels[np.hypot(y - i, x - j) <= 3] = kind
    return frame + rng.normal(0, 0.1, frame.shape), labels


FRAME, LABELS = lattice()
KNOWN = np.ones(LABELS.shape, bool)


def test_tuned_settings_find_the_defects_of_another_frame():
    settings = tune_fourier(FRAME, LABELS == 1, KNOWN, DETECTOR, rng=np.random.default_rng(0), samples=25, steps=15)
    other, labels = lattice(seed=1)
    assert DETECTOR.count(pixels_found(other, settings), labels == 1).f1 > 0.8


def test_tuning_is_never_worse_than_the_first_guess():
    first, tuned = (
        tune_fourier(FRAME, LABELS == 2, KNOWN, DETECTOR, rng=np.random.default_rng(3), samples=n, steps=0)
        for n in (1, 8)
    )
    scores = [DETECTOR.count(pixels_found(FRAME, s), LABELS == 2).f1 for s in (first, tuned)]
    assert scores[1] >= scores[0]


def test_tuning_repeats_by_seed():
    one, two = (
        tune_fourier(FRAME, LABELS == 1, KNOWN, DETECTOR, rng=np.random.default_rng(5), samples=3, steps=2)
        for _ in "12"
    )
    assert one == two


def test_the_unknown_steers_nothing():
    known = KNOWN.copy()
    known[80:] = False
    other = np.where(known, LABELS, 0)
    one, two = (
        tune_fourier(FRAME, truth == 1, known, DETECTOR, rng=np.random.default_rng(5), samples=3, steps=0)
        for truth in (LABELS, other)
    )
    assert one == two


def test_cutting_the_bragg_spots_removes_the_lattice():
    perfect = np.cos(2 * np.pi * np.arange(128) / 8)[:, None] + np.cos(2 * np.pi * np.arange(128) / 8)
    perfect = perfect + np.random.default_rng(0).normal(0, 0.01, perfect.shape)
    wide = FourierSettings(normalisation="global", inner=0.0, outer=0.5, sign="bright", smoothing=0.0, spots=8)
    whole = replace(wide, spots=0)
    spectra = [np.abs(np.fft.rfft2(fourier_response(perfect, s))) for s in (wide, whole)]
    cut, kept = (s[16, 0] / np.median(s) for s in spectra)
    assert kept > 100
    assert cut < 5


def test_turning_settings_gives_what_each_gives_alone():
    spectrum, settings = FrameSpectrum(FRAME), FourierSettings()
    turns = [
        {},
        {"outer": 0.2},
        {"threshold": 1.0},
        {"normalisation": "global"},
        {"spots": 0},
        {"spots": 6, "radius": 9.0},
        {"normalisation": "local", "sign": "dark"},
        {"notch": 4.0},
    ]
    for turn in turns:
        settings = replace(settings, **turn)
        assert np.array_equal(spectrum.response(settings), fourier_response(FRAME, settings))


def test_dark_is_the_opposite_of_bright():
    bright, dark = (fourier_response(FRAME, FourierSettings(sign=s)) for s in ("bright", "dark"))
    assert np.allclose(bright, -dark, atol=1e-4)


def test_a_response_does_not_depend_on_gain_and_offset():
    settings = FourierSettings()
    assert np.allclose(fourier_response(FRAME, settings), fourier_response(37 * FRAME + 500, settings), atol=0.02)


@pytest.mark.parametrize("shape", [(16, 16), (33, 47), (40, 41), (17, 64)])
def test_any_shape_has_a_response_of_its_shape(shape):
    frame = np.random.default_rng(0).normal(size=shape)
    response = fourier_response(frame, FourierSettings(normalisation="global"))
    assert (response.shape, response.dtype) == (shape, np.float32)
    assert np.isfinite(response).all()


def test_probability_rises_with_the_response_and_is_a_half_at_the_threshold():
    settings = FourierSettings(sign="dark", outer=0.08, threshold=2.0)
    response = fourier_response(FRAME, settings)
    probability = FourierMethod((settings,)).probabilities(FRAME)[0]
    order = np.argsort(response, axis=None)
    assert (np.diff(probability.ravel()[order]) >= 0).all()
    assert np.array_equal(probability >= 0.5, response >= settings.threshold)
    assert np.array_equal(FourierMethod((settings,)).labels(FRAME) > 0, pixels_found(FRAME, settings))


def test_each_class_is_tuned_by_itself_and_an_absent_one_is_never_found():
    method = tune_fourier_method(
        FRAME, LABELS, KNOWN, [DETECTOR] * 3, rng=np.random.default_rng(0), samples=12, steps=4
    )
    labels = method.labels(FRAME)
    assert method.probabilities(FRAME).shape == (3, *FRAME.shape)
    assert not (labels == 3).any()
    for value in (1, 2):
        assert DETECTOR.count(labels == value, value == LABELS).f1 > 0.6
