import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.plan import make_plan
from napari_menndl.network.module import Network
from napari_menndl.training.calibration import fit_scale

RNG = np.random.default_rng(0)
#: What a good network says: pixels of a class are as often of it as the sigmoid of its logit promises.
HONEST = RNG.normal(-3, 2, 20_000)
TRUTH = RNG.uniform(size=HONEST.shape) < expit(HONEST)


@given(scale=st.floats(1, 10), shift=st.floats(-3, 3))
def test_any_scale_and_shift_of_the_logits_is_undone(scale, shift):
    found_scale, found_shift = fit_scale((HONEST - shift) / scale, TRUTH)
    np.testing.assert_allclose(found_scale / scale, 1, atol=0.1)
    np.testing.assert_allclose(found_shift, shift, atol=0.1 * (1 + abs(shift)))


def test_afterwards_the_mean_probability_is_the_share():
    scale, shift = fit_scale(HONEST + 2, TRUTH)
    assert expit(scale * (HONEST + 2) + shift).mean() == pytest.approx(TRUTH.mean(), rel=0.02)


def test_a_threshold_without_error_stays_finite():
    """Nothing in the data says how sure to be; the softened targets do."""
    scale, shift = fit_scale(np.where(TRUTH, 3.0, -3.0), TRUTH)
    assert 1 < scale < 10
    assert expit(3 * scale + shift) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("truth", [np.zeros(10, bool), np.ones(10, bool)])
def test_a_class_without_example_or_counterexample_is_left_alone(truth):
    assert fit_scale(np.linspace(-2, 2, 10), truth) == (1.0, 0.0)


@pytest.mark.parametrize("logits", [np.full(10, 0.5), np.r_[np.full(5, np.inf), np.full(5, -np.inf)]])
def test_no_logits_are_too_odd(logits):
    assert np.isfinite(fit_scale(logits, np.arange(10) < 3)).all()


def test_rescaling_acts_on_the_logits_of_each_class():
    network = Network(make_plan(FOUNDERS["unet"](), 2), 1).eval()
    frame = torch.randn(1, 1, 40, 40, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = network(frame)
        network.rescale(torch.tensor([2.0, 0.5]), torch.tensor([-1.0, 3.0]))
        after = network(frame)
    expected = before * torch.tensor([2.0, 0.5])[:, None, None] + torch.tensor([-1.0, 3.0])[:, None, None]
    torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-4)
