"""The filters are those of the textbook, and treat every direction alike."""

import numpy as np
import pytest
from scipy import ndimage

from napari_menndl.network.filters import MirroredSpectrum, blob_response, filter_bank, robustly_scaled


@pytest.fixture(scope="module")
def frame():
    return np.random.default_rng(0).normal(size=(60, 75)).astype(np.float32)


@pytest.mark.parametrize("order", [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (0, 2)])
def test_derivatives_are_those_of_a_sampled_gaussian_up_to_the_border(frame, order):
    expected = ndimage.gaussian_filter(frame, 2.0, order=order, mode="reflect", truncate=6)
    np.testing.assert_allclose(MirroredSpectrum(frame).filtered(2.0, order), expected, atol=3e-5)


@pytest.mark.parametrize("sign", ["bright", "dark"])
def test_a_blob_is_answered_at_its_centre_by_the_detector_of_its_sign(sign):
    y, x = np.mgrid[:40, :50]
    bump = np.exp(-((y - 12) ** 2 + (x - 30) ** 2) / (2 * 3.0**2)).astype(np.float32)
    response = blob_response(MirroredSpectrum(bump if sign == "bright" else -bump), 3.0, sign)
    assert np.unravel_index(response.argmax(), response.shape) == (12, 30)
    # Of the Gaussian's own scale: 2 s² s² / (s² + s²)² of its height, in standard deviations of the noise.
    assert response.max() == pytest.approx(0.5 * np.sqrt(2 * np.pi) * 3.0, rel=0.01)


@pytest.mark.parametrize("sigma", [1.0, 2.5, 6.0])
def test_blob_detectors_of_all_scales_answer_alike_to_noise(sigma):
    noise = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    assert blob_response(MirroredSpectrum(noise), sigma, "dark").std() == pytest.approx(1, rel=0.1)


def test_a_bank_turns_with_its_frame(frame):
    bank = filter_bank(frame, (0.8, 2.0))
    for turned in (lambda image: image[..., ::-1], lambda image: np.swapaxes(image, -1, -2)):
        np.testing.assert_allclose(filter_bank(turned(frame), (0.8, 2.0)), turned(bank), atol=1e-3)


def test_the_larger_eigenvalue_comes_first_and_the_frame_before_all(frame):
    bank = filter_bank(frame, (2.0,))
    assert bank.shape == (6, 60, 75)
    assert bank.dtype == np.float32
    np.testing.assert_allclose(bank[0], robustly_scaled(frame))
    along_y = np.tile(np.sin(np.arange(60) / 3)[:, None], (1, 75)).astype(np.float32)
    _, _, bright, dark, across, along = filter_bank(along_y + 1e-3 * frame, (2.0,))
    assert bright[-1].std() > 0
    assert dark.std() > 0
    assert np.abs(across).max() > 0
    assert np.isfinite(along).all()


def test_channels_have_median_0_and_spread_1_and_no_outliers():
    values = np.random.default_rng(0).normal(5, 7, (64, 64)).astype(np.float32)
    values[3, 3] = 1e6
    scaled = robustly_scaled(values)
    assert np.median(scaled) == pytest.approx(0, abs=1e-6)
    assert np.median(np.abs(scaled)) == pytest.approx(1 / 1.4826, rel=1e-5)
    assert scaled.max() == 30
    assert not robustly_scaled(np.ones((8, 8), np.float32)).any()
