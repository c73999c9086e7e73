"""A plan is right where it can be counted by hand; against torch it is held in tests/network."""

import pytest

from napari_menndl.genome.genes import Branches, Conv, GenomeError, Pool, Residual, Skip, Upsample
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan


def plain(filters=4, kernel=(3, 3), **more):
    return Conv(filters, kernel, norm="none", activation="linear", **more)


def test_costs_of_one_convolution_by_hand():
    plan = make_plan(Genome((plain(4, (3, 5)),)), classes=2)
    weights, head = 3 * 5 * 1 * 4, 4 * 2
    assert plan.parameters == weights + 4 + head + 2
    assert plan.flops(10, 7) == 2 * (weights + head) * 10 * 7


def test_a_norm_takes_the_place_of_the_bias():
    with_norm = make_plan(Genome((Conv(4, norm="channel"),)))
    without = make_plan(Genome((Conv(4, norm="none"),)))
    assert with_norm.parameters == without.parameters + 4


def test_flops_are_of_the_padded_frame():
    plan = make_plan(Genome((plain(stride=2),)))
    assert plan.flops(1, 1) == plan.flops(2, 2)
    assert plan.padded(5, 8) == (6, 8)


#           layers                                            stride  radius
REACHES = {
    "3×3": ((plain(),), 1, 1),
    "wide": ((plain(4, (1, 9)),), 1, 4),
    "even: one further below": ((plain(4, (4, 4)),), 1, 2),
    "dilated": ((plain(dilation=4),), 1, 4),
    "two": ((plain(), plain()), 1, 2),
    "behind a stride": ((plain(4, (1, 1), stride=2), plain(), Upsample(2, "nearest")), 2, 3),
    "nearest": ((Pool(), Upsample(2, "nearest")), 2, 1),
    "bilinear": ((Pool(), Upsample(2, "bilinear")), 2, 2),
    "left coarse": ((Pool(),), 2, 2),
    "the widest branch": ((Branches(((plain(4, (7, 7)),), (plain(),))),), 1, 3),
}


@pytest.mark.parametrize(("layers", "stride", "radius"), REACHES.values(), ids=REACHES.keys())
def test_stride_and_receptive_radius_by_hand(layers, stride, radius):
    plan = make_plan(Genome(layers))
    assert (plan.stride, plan.receptive_radius) == (stride, radius)


def test_total_stride_is_the_least_common_multiple():
    genome = Genome((Pool("max", 2, 2), Upsample(2), Pool("max", 3, 3), plain(), Upsample(3)))
    assert make_plan(genome).stride == 6


def test_channels_add_up():
    layers = (plain(4), Branches(((plain(3),), (plain(5),))), Residual((plain(6),)), plain(2))
    plan = make_plan(Genome(layers, (Skip(0, 1), Skip(0, 3, "add"))))
    by_layer = {node.layer: node.channels for node in plan.nodes}
    assert by_layer == {-1: 1, 0: 4, 1: 3 + 5 + 4, 2: 6, 3: 2, 4: 1}
    assert [node.kind for node in plan.nodes if node.layer == 3] == ["conv", "conv", "add"]


def test_node_names_are_unique():
    plan = make_plan(Genome((Residual((Conv(), Conv(depthwise=True))), Conv()), (Skip(0, 1, "add"),)))
    names = [node.name for node in plan.nodes]
    assert len(set(names)) == len(names)


UNBUILDABLE = {
    "finer than the input": (Genome((Upsample(2),)), "upsamples by 2 at a stride of 1"),
    "factor does not divide": (Genome((Pool(), Upsample(3))), "upsamples by 3 at a stride of 2"),
    "skip across resolutions": (Genome((plain(), Pool()), (Skip(0, 1),)), "of another resolution"),
    "skip to nowhere": (Genome((plain(),), (Skip(0, 4),)), "to layer 4 of 1"),
    "same skip twice": (Genome((plain(), plain()), (Skip(0, 1), Skip(0, 1, "add"))), "twice"),
    "branches of two strides": (Genome((Branches(((Pool(),), (plain(),))),)), "strides 1 and 2"),
}


@pytest.mark.parametrize(("genome", "reason"), UNBUILDABLE.values(), ids=UNBUILDABLE.keys())
def test_what_cannot_be_built_is_refused_with_its_reason(genome, reason):
    with pytest.raises(GenomeError, match=reason):
        make_plan(genome)


def test_memory_grows_with_batch_and_frame_and_optimiser_state():
    plan = make_plan(Genome((Conv(), Pool(), Conv())))
    assert plan.memory(1, 32, 32) < plan.memory(2, 32, 32) < plan.memory(2, 64, 32)
    assert plan.memory(0, 32, 32) == 4 * plan.parameters * 4
