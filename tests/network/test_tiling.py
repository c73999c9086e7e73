import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.genome.founders import dilated_fcn
from napari_menndl.genome.plan import make_plan
from napari_menndl.genome.space import SearchSpace
from napari_menndl.genome.variation import sample_genome
from napari_menndl.network.module import Network
from napari_menndl.network.tiling import cut_parts, cut_windows, predict_parts, predict_tiled


@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    stride=st.sampled_from([1, 2, 4, 6, 8]),
    radius=st.integers(0, 40),
    size=st.integers(1, 64),
    somewhere=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=150, deadline=None)
def test_windows_cover_a_frame_once_and_reach_far_enough(
    height: int, width: int, stride: int, radius: int, size: int, somewhere: bool, seed: int
) -> None:
    where = np.random.default_rng(seed).random((height, width)) < 0.02 if somewhere else None
    covered = np.zeros((height, width), int)
    for window in cut_windows((height, width), stride, radius, size, where):
        covered[window.keep] += 1
        for length, read, keep in zip((height, width), window.read, window.keep, strict=True):
            assert read.start % stride == 0
            assert read.stop % stride == 0 or read.stop == length
            assert read.start == 0 or keep.start - read.start >= radius
            assert read.stop == length or read.stop - keep.stop >= radius
    assert covered.max(initial=0) <= 1
    assert covered[where if where is not None else slice(None)].all()


@given(seed=st.integers(0, 10**6), height=st.integers(1, 75), width=st.integers(1, 75), size=st.sampled_from([24, 40]))
@settings(max_examples=20, deadline=None)
def test_tiled_equals_untiled_for_every_genome(seed: int, height: int, width: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    plan = make_plan(sample_genome(SearchSpace(), rng), 2)
    network = Network(plan, seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2, generator=torch.Generator().manual_seed(seed))
        # A fresh network says the same nearly everywhere: seams would not show.
        network.steps[plan.nodes[-1].name].weight.mul_(20)
    network.eval()
    frame = rng.normal(size=(plan.nodes[0].channels, height, width)).astype(np.float32)
    reach = {"stride": plan.stride, "radius": plan.receptive_radius}
    whole = predict_tiled(network, frame, size=10_000, **reach)
    tiled = predict_tiled(network, frame, size=size, **reach)
    assert whole.shape == (plan.classes, height, width)
    np.testing.assert_allclose(tiled, whole, atol=2e-5)
    parts = cut_parts((height, width), (height / 2, 0.0), size)
    for part, said in zip(parts, predict_parts(network, frame, parts, **reach), strict=True):
        np.testing.assert_allclose(said, whole[:, *part], atol=2e-5)


def test_only_what_is_needed_is_predicted() -> None:
    plan = make_plan(dilated_fcn(), 2)
    network = Network(plan, 0).eval()
    frame = np.random.default_rng(0).normal(size=(96, 80)).astype(np.float32)
    where = np.zeros(frame.shape, bool)
    where[70:80, 10:30] = True
    reach = {"stride": plan.stride, "radius": plan.receptive_radius}
    part = predict_tiled(network, frame, where=where, **reach)
    np.testing.assert_allclose(part[:, where], predict_tiled(network, frame, **reach)[:, where], atol=1e-5)
    assert (part == 0).mean() > 0.5
