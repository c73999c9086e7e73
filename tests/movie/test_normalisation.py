"""Laws of normalise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.movie.normalisation import LIMIT, NORMALISATIONS, normalise


def noise(shape=(64, 80), seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("kind", NORMALISATIONS)
@given(gain=st.floats(1e-3, 1e3), offset=st.floats(-1e3, 1e3))
@settings(max_examples=20, deadline=None)
def test_gain_and_offset_of_the_detector_do_not_matter(kind, gain, offset):
    frame = noise()
    assert np.allclose(normalise(gain * frame + offset, kind, 5), normalise(frame, kind, 5), atol=1e-3)


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_result_is_float32_around_zero_with_unit_spread(kind):
    result = normalise(1000 + 50 * noise(), kind, 10)
    assert result.dtype == np.float32
    assert result.shape == (64, 80)
    assert abs(np.median(result)) < 0.05
    assert 0.9 < result.std() < 1.1


@pytest.mark.parametrize("kind", ["flattened", "local"])
def test_a_slow_background_is_removed(kind):
    slope = np.linspace(0, 100, 80)[None]
    result = normalise(noise() + slope, kind, 8)
    inner = result[:, 20:-20]
    assert abs(inner[:, :20].mean() - inner[:, -20:].mean()) < 0.2


def test_local_evens_out_contrast_and_global_does_not():
    frame = noise() * np.where(np.arange(80) < 40, 1, 6)
    left, right = (slice(None), slice(0, 25)), (slice(None), slice(55, None))
    local, whole = normalise(frame, "local", 6), normalise(frame, "global", 6)
    assert 0.8 < local[left].std() / local[right].std() < 1.25
    assert whole[left].std() / whole[right].std() < 0.3


@pytest.mark.parametrize("kind", NORMALISATIONS)
@pytest.mark.parametrize("value", [1e5, 1e38, -1e38])
def test_a_hot_pixel_changes_little_elsewhere(kind, value):
    frame = noise().astype(np.float32)
    hot = frame.copy()
    hot[30, 40] = value
    result = normalise(hot, kind, 5)
    assert np.isfinite(result).all()
    assert np.abs(result).max() <= LIMIT
    far = np.ones(frame.shape, bool)
    far[5:56, 15:66] = False
    assert np.allclose(result[far], normalise(frame, kind, 5)[far], atol=0.1)


@pytest.mark.parametrize("kind", NORMALISATIONS)
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float64])
def test_every_kind_of_number_is_normalised(kind, dtype):
    frame = (noise() > 1).astype(dtype)  # more than half of the pixels equal
    result = normalise(frame, kind, 5)
    assert np.isfinite(result).all()
    assert result[frame > 0].mean() > result[frame == 0].mean() + 0.5


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_huge_values_do_not_overflow(kind):
    assert np.allclose(normalise(noise() * 1e307, kind, 5), normalise(noise(), kind, 5), atol=1e-4)


@pytest.mark.parametrize("kind", NORMALISATIONS)
@pytest.mark.parametrize("radius", [0.3, 500, 1e9])
def test_any_radius_will_do(kind, radius):
    assert np.isfinite(normalise(noise((20, 30)), kind, radius)).all()


def test_a_flat_stretch_is_not_blown_up():
    frame = noise()
    frame[:30] = 1e-6 * noise()[:30]
    assert np.abs(normalise(frame, "local", 4)[:10]).max() < 0.01
