"""A genome as a stack of slabs."""

from xml.etree import ElementTree

import numpy as np
import pytest

from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.genes import Branches, Conv, Pool, Residual, Skip, Upsample
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.layer_diagram import Arc, draw_svg, layer_diagram
from napari_menndl.genome.plan import make_plan
from napari_menndl.genome.space import SearchSpace
from napari_menndl.genome.variation import sample_genome


def test_slabs_say_kernel_width_and_resolution():
    layers = (Conv(8, kernel=(3, 5), dilation=2), Pool(size=2, stride=2), Conv(16), Upsample(2), Conv(4))
    slabs, arcs = layer_diagram(Genome(layers, (Skip(0, 3, "add"),)), classes=3)
    assert [slab.kind for slab in slabs] == ["input", "conv", "pool", "conv", "upsample", "conv", "head"]
    assert [slab.channels for slab in slabs] == [1, 8, 8, 16, 16, 4, 3]
    assert [slab.stride for slab in slabs] == [1, 1, 2, 2, 1, 1, 1]
    assert slabs[1].kernel == (5, 9)
    assert arcs == [Arc(1, 4, "add")]


def test_blocks_are_one_slab_with_all_their_parts():
    layers = (Residual((Conv(8), Conv(8, kernel=(5, 5)))), Branches(((Conv(4),), (Conv(6, kernel=(7, 7)),))))
    slabs, _ = layer_diagram(Genome(layers))
    assert [(slab.channels, slab.kernel) for slab in slabs[1:3]] == [(8, (5, 5)), (10, (7, 7))]
    assert slabs[1].parts >= 2


@pytest.mark.parametrize("seed", range(20))
def test_nothing_of_a_network_is_left_out_of_its_sandwich(seed):
    genome = sample_genome(SearchSpace(), np.random.default_rng(seed))
    plan, (slabs, arcs) = make_plan(genome, 2), layer_diagram(genome, 2)
    assert sum(slab.parameters for slab in slabs) == plan.parameters
    assert sum(slab.flops for slab in slabs) == pytest.approx(plan.flops_per_pixel)
    assert len(slabs) == len(genome.layers) + 2
    assert all(0 < arc.source < arc.target <= len(genome.layers) for arc in arcs)


@pytest.mark.parametrize("name", FOUNDERS)
def test_founders_are_drawn(name):
    genome = FOUNDERS[name]()
    assert len(layer_diagram(genome)[0]) == len(genome.layers) + 2


def test_the_first_slab_says_which_input():
    slabs, _ = layer_diagram(FOUNDERS["bank_logistic"](), 2)
    assert slabs[0].words == "filters 1 1.68 2.83 4.76 8 px of the mean of ±2 frames"
    assert [slab.channels for slab in slabs] == [24, 2]
    assert layer_diagram(FOUNDERS["blobs"](), 2)[0][0].words == "blobs fitted to each class"
    assert layer_diagram(FOUNDERS["unet"]())[0][0].words == "frame"


def test_the_drawing_has_a_row_for_each_layer_and_cuts_what_does_not_fit():
    slabs, arcs = layer_diagram(FOUNDERS["unet"]())
    drawn = ElementTree.fromstring(draw_svg(slabs, arcs, 260))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert len(texts) == 2 * len(slabs)
    assert texts[0] == "frame"
    assert any(text.endswith("…") for text in texts)
    whole = ElementTree.fromstring(draw_svg(slabs, arcs, 2000))
    assert [element.text for element in whole.iter("{http://www.w3.org/2000/svg}text")][::2] == [s.words for s in slabs]
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}path"))) == len(arcs)
