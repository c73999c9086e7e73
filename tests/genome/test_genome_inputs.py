"""What a genome lets its network see, as data."""

import json

import numpy as np
import pytest

from napari_menndl.genome.founders import FOUNDERS, blobs, dilated_fcn, fourier
from napari_menndl.genome.genes import Blob, Conv, FilterBank, FourierInput, FrameInput, GenomeError
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.genome.space import SearchSpace
from napari_menndl.genome.variation import mutate, sample_genome

EVERY = (FrameInput(), FilterBank(0.8, 5.0, 3), Blob(3.0, "dark", "flattened", 10.0), FourierInput(spots=3))


def test_inputs_survive_their_json():
    genome = Genome((Conv(),), inputs=EVERY)
    assert Genome.from_json(json.loads(json.dumps(genome.to_json()))) == genome


def test_a_genome_from_before_there_were_inputs_sees_the_frame():
    old = dilated_fcn().to_json()
    del old["inputs"]
    assert Genome.from_json(old) == dilated_fcn()


def test_a_space_from_before_there_were_inputs_has_the_usual_ones():
    old = SearchSpace().to_json()
    del old["inputs"]
    assert SearchSpace.from_json(old) == SearchSpace()


def test_other_inputs_are_another_genome_of_another_topology():
    one, other = Genome((Conv(),)), Genome((Conv(),), inputs=(FilterBank(),))
    assert one.digest != other.digest
    assert one.topology != other.topology


def test_the_network_has_the_channels_of_all_inputs():
    # The bank: the frame; at 0.8 px a mean and two curvatures; at 2 and 5 px two strengths of edges as well.
    genome = Genome((Conv(),), inputs=EVERY)
    assert EVERY[1].sigmas == (0.8, 2.0, 5.0)
    assert make_plan(genome).nodes[0].channels == 1 + (1 + 3 + 5 + 5) + 1 + 1


@pytest.mark.parametrize("make", [blobs, fourier])
def test_a_fitted_input_has_as_many_channels_and_the_same_plan_before_and_after(make):
    before = make()
    kind = type(before.inputs[0])
    after = Genome((), training=before.training, inputs=(kind(radius=8.0), kind(), kind(radius=9.0)))
    assert make_plan(before, 3) == make_plan(after, 3)


def test_a_head_alone_needs_more_than_the_frame():
    with pytest.raises(GenomeError, match="without a layer"):
        Genome(())
    plan = make_plan(Genome((), inputs=(FilterBank(),)), 2)
    assert plan.parameters == 2 * (24 + 1)
    assert (plan.stride, plan.receptive_radius) == (1, 0)


def test_memory_and_flops_grow_with_the_channels():
    one, other = (make_plan(Genome((Conv(),), inputs=(given,))) for given in (FrameInput(), FilterBank()))
    assert one.memory(1, 64, 64) < other.memory(1, 64, 64)
    assert one.flops_per_pixel < other.flops_per_pixel


NONSENSE = {
    "no input": lambda: Genome((Conv(),), inputs=()),
    "a bank the wrong way round": lambda: FilterBank(8.0, 1.0),
    "an unknown sign": lambda: Blob(sign="grey"),
    "a band the wrong way round": lambda: FourierInput(inner=0.3, outer=0.1),
}


@pytest.mark.parametrize("make", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsensical_inputs_are_refused(make):
    with pytest.raises(GenomeError):
        make()


def test_founders_on_filters_are_small():
    for name in ("bank_logistic", "blobs", "fourier"):
        assert make_plan(FOUNDERS[name](), 2).parameters <= 50


def test_a_space_of_single_frames_has_no_averages():
    space, rng = SearchSpace().for_single_frames(), np.random.default_rng(0)
    for _ in range(50):
        genome = sample_genome(space, rng)
        assert genome.reach == 0
        child, _ = mutate(genome, space, rng)
        assert child.reach == 0
    assert space.inputs.narrowed(FOUNDERS["deep_fcn"]()).inputs == (FrameInput(),)
    assert space.inputs.narrowed(FOUNDERS["bank_mlp"]()).inputs == (FilterBank(),)
    with pytest.raises(GenomeError, match="reach 2"):
        space.check(FOUNDERS["deep_fcn"]())


def test_offspring_come_to_average_frames_and_leave_it_again():
    space, rng = SearchSpace(), np.random.default_rng(0)
    plain, averaging = dilated_fcn(), FOUNDERS["deep_fcn"]()
    for genome in (plain, averaging):
        assert {mutate(genome, space, rng)[0].reach for _ in range(300)} == {0, 1, 2}
