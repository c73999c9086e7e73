from dataclasses import replace

import pytest

from napari_menndl.genome import FOUNDERS, FrameInput, ablations, make_plan


@pytest.mark.parametrize("founder", FOUNDERS)
def test_each_ablation_lacks_one_part_and_can_be_built(founder):
    genome = FOUNDERS[founder]()
    for name, smaller in ablations(genome, classes=2).items():
        part = name.split()[0]
        lost = {
            kind: len(getattr(genome, kind)) - len(getattr(smaller, kind)) for kind in ("inputs", "layers", "skips")
        }
        assert lost["inputs"] == (part == "input")
        assert lost["layers"] == (part == "layer")
        assert lost["skips"] >= (part == "skip")
        assert smaller.training == genome.training
        make_plan(smaller, 2)


def test_a_chain_of_layers_can_lose_each_of_them():
    assert len(ablations(FOUNDERS["dilated_fcn"]())) == 5


def test_a_skip_connection_goes_alone_and_with_the_layer_that_it_joins():
    genome = FOUNDERS["coarse_fcn"]()
    found = ablations(genome)
    assert found["skip connection: layer 0 → layer 7 (concat)"] == replace(genome, skips=())
    assert found["layer 0: conv 3×3 ×16 batch relu"].skips == ()


def test_what_a_network_cannot_be_built_without_stays():
    only = replace(FOUNDERS["dilated_fcn"](), layers=FOUNDERS["dilated_fcn"]().layers[:1], inputs=(FrameInput(),))
    assert ablations(only) == {}
    assert not any(name.startswith("layer 1: ") for name in ablations(FOUNDERS["coarse_fcn"]()))
