"""What the plan says is what torch does, for random genomes, odd and tiny frames."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.plan import make_plan
from napari_menndl.genome.ranges import LayerSpace, Limits
from napari_menndl.genome.space import SearchSpace
from napari_menndl.genome.variation import sample_genome
from napari_menndl.network.merged import MergedNetwork
from napari_menndl.network.module import PRIOR, Conv, Network

#: Narrow networks, but every stride, window and factor; wider than any default in what can go wrong.
ODD = SearchSpace(
    LayerSpace(filters=(1, 6), strides=(1, 2, 3), pool_strides=(2, 1, 3), pool_sizes=(2, 3, 4, 5), factors=(2, 3, 4)),
    limits=Limits(layers=(1, 9), radius=30, stride=12),
)
SEEDS = st.integers(0, 2**32 - 1)


def channels_of(plan):
    return plan.nodes[0].channels


def random_network(seed, classes=2):
    """A network of random genes, weights and running statistics, in double precision."""
    rng = np.random.default_rng(seed)
    plan = make_plan(sample_genome(ODD, rng), classes)
    network = Network(plan, seed).double().eval()
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if name.endswith("running_var"):
                values.uniform_(0.5, 2, generator=stream)
            elif name.endswith(("running_mean", "bias")):
                values.normal_(generator=stream)
    return plan, network, rng, stream


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, height=st.integers(1, 70), width=st.integers(1, 70))
def test_shapes_parameters_and_flops_agree_with_torch(seed, height, width):
    plan, network, _, _ = random_network(seed)
    shapes = {}
    for node in plan.nodes:
        if node.name in network.steps:
            network.steps[node.name].register_forward_hook(
                lambda _, __, output, name=node.name: shapes.update({name: tuple(output.shape[1:])})
            )
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        logits = network(torch.zeros(1, channels_of(plan), height, width, dtype=torch.float64))
    assert logits.shape == (1, plan.classes, height, width)
    assert torch.isfinite(logits).all()
    assert plan.parameters == sum(values.numel() for values in network.parameters())
    assert plan.flops(height, width) == counter.get_total_flops()
    for index, node in enumerate(plan.nodes):
        if node.name in shapes:
            assert shapes[node.name] == plan.shape(index, height, width)


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS)
def test_tile_equals_the_untiled_frame_inside_its_margin(seed):
    plan, network, rng, stream = random_network(seed)
    margin, stride = plan.receptive_radius, plan.stride
    height, width = 2 * margin + 3 * stride + rng.integers(1, 20, 2)
    frame = torch.randn(1, channels_of(plan), int(height), int(width), dtype=torch.float64, generator=stream)
    top, left = stride * rng.integers(0, 3, 2)
    bottom, right = rng.integers(top + 2 * margin + 1, height + 1), rng.integers(left + 2 * margin + 1, width + 1)
    with torch.no_grad():
        whole = network(frame)
        tile = network(frame[..., top:bottom, left:right])
    # At the frame's own edges the tile sees all that the frame sees there: no margin is needed.
    inside = (
        ...,
        slice(margin if top else 0, int(bottom - top - (margin if bottom < height else 0))),
        slice(margin if left else 0, int(right - left - (margin if right < width else 0))),
    )
    whole_tile = whole[..., top:bottom, left:right]
    spread = max(float(whole.std()), 1e-6)
    torch.testing.assert_close(tile[inside], whole_tile[inside], rtol=0, atol=1e-9 * spread)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS, height=st.integers(1, 90), width=st.integers(1, 90))
def test_fewer_operations_say_the_same(seed, height, width):
    plan, network, rng, stream = random_network(seed)
    frames = torch.randn(2, channels_of(plan), height, width, dtype=torch.float64, generator=stream)
    top, left = rng.integers(0, (height, width))
    part = slice(int(top), int(rng.integers(top, height)) + 1), slice(int(left), int(rng.integers(left, width)) + 1)
    shown, weights = frames.clone(), {name: values.clone() for name, values in network.state_dict().items()}
    with torch.no_grad():
        said = network(frames)
        merged = MergedNetwork(network)
        torch.testing.assert_close(merged(frames), said, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(merged(frames, part), said[..., *part], rtol=1e-9, atol=1e-9)
        assert torch.equal(frames, shown)
        assert all(torch.equal(values, weights[name]) for name, values in network.state_dict().items())


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS)
def test_nothing_beyond_the_receptive_radius_has_an_influence(seed):
    plan, network, rng, stream = random_network(seed)
    radius = plan.receptive_radius
    side = 2 * radius + 20
    frame = torch.randn(1, channels_of(plan), side, side, dtype=torch.float64, generator=stream).requires_grad_()
    y, x = (int(i) for i in rng.integers(0, side, 2))
    (reach,) = torch.autograd.grad(network(frame)[0, :, y, x].sum(), frame)
    seen = np.argwhere((reach[0] != 0).any(0).numpy())
    # The edge pixels also stand for the padding below and on the right.
    if len(seen) and max(y, x) + plan.stride < side - radius:
        assert np.abs(seen - (y, x)).max() <= radius


def test_tiles_agree_in_single_precision_too():
    for name, make in FOUNDERS.items():
        plan = make_plan(make())
        network = Network(plan, 1).eval()
        margin = plan.receptive_radius
        side = 4 * margin + 27
        frame = torch.randn(1, channels_of(plan), side, side, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            whole, tile = network(frame), network(frame[..., 8:, 8:])
        difference = (tile[..., margin:, margin:] - whole[..., 8 + margin :, 8 + margin :]).abs().max()
        assert difference < 1e-5 * whole.std() + 1e-6, name


def memory_kept(plan, seed):
    """What a training keeps for its backward pass, with weights, gradients and Adam's two moments [byte]."""
    network, kept = Network(plan, seed), {}

    def keep(values):
        kept[values.untyped_storage().data_ptr()] = values
        return values

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda values: values):
        # The training holds its batch itself.
        logits = network(keep(torch.zeros(2, channels_of(plan), 64, 64)))
        torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.zeros_like(logits))
    # Weights are among what is kept.
    return sum(values.untyped_storage().nbytes() for values in kept.values()) + 3 * 4 * plan.parameters


def test_memory_is_estimated_from_above_and_rarely_by_far():
    plans = [make_plan(sample_genome(ODD, np.random.default_rng(seed)), 2) for seed in range(60)]
    ratios = [plan.memory(2, 64, 64) / memory_kept(plan, seed) for seed, plan in enumerate(plans)]
    assert min(ratios) > 1
    assert np.median(ratios) < 3
    assert np.quantile(ratios, 0.95) < 6


def test_every_weight_gets_a_gradient():
    for seed in range(20):
        plan = make_plan(sample_genome(SearchSpace(), np.random.default_rng(seed)))
        network = Network(plan, seed)
        network(torch.randn(2, channels_of(plan), 32, 32, generator=torch.Generator().manual_seed(0))).sum().backward()
        assert all(values.grad is not None for values in network.parameters())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels_last", [False, True])
def test_1x1_convolution_is_a_matrix_product_and_has_its_gradients(stride, channels_last):
    # With channels last and few of them, torch 2.13's own strided one on a CPU writes past its workspace.
    stream = torch.Generator().manual_seed(0)
    order = torch.channels_last if channels_last else torch.contiguous_format
    for channels in (1, 2, 3, 5, 8, 15, 27):
        conv = Conv(channels, 5, 1, stride=stride)
        for parameter in conv.parameters():
            torch.nn.init.normal_(parameter, generator=stream)
        frames = torch.randn(2, channels, 34, 22, generator=stream).contiguous(memory_format=order).requires_grad_()
        logits = conv(frames)
        logits.square().sum().backward()

        weight = conv.weight.detach()[:, :, 0, 0]
        read = frames.detach()[..., ::stride, ::stride]
        expected = torch.einsum("oi,biyx->boyx", weight, read) + conv.bias.detach()[:, None, None]
        torch.testing.assert_close(logits.detach(), expected, rtol=1e-4, atol=1e-5)
        gradient = torch.einsum("boyx,biyx->oi", 2 * expected, read)
        torch.testing.assert_close(conv.weight.grad[:, :, 0, 0], gradient, rtol=1e-3, atol=1e-2)
        towards = torch.einsum("oi,boyx->biyx", weight, 2 * expected)
        torch.testing.assert_close(frames.grad[..., ::stride, ::stride], towards, rtol=1e-3, atol=1e-4)


def test_weights_are_a_function_of_plan_and_seed_alone():
    plan = make_plan(FOUNDERS["unet"]())
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = Network(plan, 3).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    same, other = Network(plan, torch.Generator().manual_seed(3)).state_dict(), Network(plan, 4).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["steps.layer0_conv.weight"], other["steps.layer0_conv.weight"])


def test_a_fresh_network_expects_few_defects():
    network = Network(make_plan(FOUNDERS["dilated_fcn"]()), 0).eval()
    with torch.no_grad():
        probability = network(torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))).sigmoid()
    assert PRIOR / 2 < probability.mean() < 2 * PRIOR


def test_a_trained_network_is_deterministic_and_learns():
    plan = make_plan(FOUNDERS["unet"]())
    stream = torch.Generator().manual_seed(0)
    frames = torch.randn(4, 1, 32, 32, generator=stream)
    truth = (frames > 1).float()

    def train():
        network = Network(plan, 0)
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
        losses = []
        for _ in range(15):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(network(frames), truth)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        return losses

    losses = train()
    assert losses == train()
    assert losses[-1] < 0.7 * losses[0]


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (3, 2), (5, 5)])
def test_tiny_frames_pass(shape):
    for make in FOUNDERS.values():
        network = Network(make_plan(make()), 0).eval()
        with torch.no_grad():
            assert network(torch.zeros(1, channels_of(network.plan), *shape)).shape == (1, 1, *shape)
