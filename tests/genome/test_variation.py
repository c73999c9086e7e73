"""Offspring are in the space, differ from their parents, and say how."""

import numpy as np
import pytest

from napari_menndl.errors import InputError
from napari_menndl.genome.editing import inserted, without
from napari_menndl.genome.founders import bank_logistic, defectnet, dilated_fcn, unet
from napari_menndl.genome.genes import Conv, GenomeError, Pool, Skip, TrainingGenes, Upsample
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.mutations import MUTATIONS
from napari_menndl.genome.ranges import InputSpace, LayerSpace, Limits, TrainingSpace
from napari_menndl.genome.repair import repair
from napari_menndl.genome.space import SearchSpace
from napari_menndl.genome.variation import crossover, mutate, sample_genome


@pytest.fixture(scope="module")
def population():
    rng = np.random.default_rng(0)
    return [*(sample_genome(SearchSpace(), rng) for _ in range(60)), dilated_fcn(), unet()]


def test_mutation_stays_in_space_and_changes_something(population):
    space, rng = SearchSpace(), np.random.default_rng(1)
    kin, new_topologies = list(population), 0
    for birth in range(700):
        parent = kin[birth % len(kin)]
        child, words = mutate(parent, space, rng)
        space.check(child)
        assert child.digest != parent.digest
        assert words
        same = (child.layers, child.skips, child.inputs) == (parent.layers, parent.skips, parent.inputs)
        assert same == (child.topology == parent.topology)
        new_topologies += child.topology != parent.topology
        kin[birth % len(kin)] = child
    assert new_topologies >= 350
    # Lines that are bred for long neither dwindle nor bloat.
    assert 3 < np.mean([len(genome.layers) for genome in kin]) < 9


@pytest.mark.parametrize("mutation", [one for _, one in MUTATIONS], ids=[one.__name__ for _, one in MUTATIONS])
def test_each_mutation_is_found_buildable_nine_times_in_ten(mutation, population):
    space, rng = SearchSpace(), np.random.default_rng(2)
    tried = built = 0
    for genome in population:
        try:
            changed, words = mutation(genome, space, rng)
        except GenomeError:  # finds nothing to change in this one
            continue
        tried += 1
        assert changed.digest != genome.digest
        assert words
        try:
            space.check(repair(changed, space, rng))
            built += 1
        except GenomeError:
            pass
    assert tried > 5
    assert built >= 0.9 * tried


def test_crossover_stays_in_space_and_joins_both_parents(population):
    space, rng = SearchSpace(), np.random.default_rng(3)
    fresh = 0
    for _ in range(200):
        one, other = (population[i] for i in rng.choice(len(population), 2, replace=False))
        child = crossover(one, other, space, rng)
        space.check(child)
        fresh += child.topology not in (one.topology, other.topology)
    assert fresh >= 170


def test_crossover_of_plain_parents_is_a_cut_and_splice():
    one, other = (Genome(tuple(Conv(n) for _ in range(6)), training=TrainingGenes(batch=n)) for n in (8, 16))
    child = crossover(one, other, SearchSpace(), np.random.default_rng(0))
    filters = [layer.filters for layer in child.layers]
    assert filters == sorted(filters, reverse=filters[0] == 16)
    assert set(filters) == {8, 16}
    assert child.training.batch in (8, 16)


def test_crossover_of_a_genome_with_itself_is_in_space(population):
    for genome in population[:20]:
        SearchSpace().check(crossover(genome, genome, SearchSpace(), np.random.default_rng(0)))


def test_same_seed_same_offspring(population):
    for vary in (
        lambda rng: mutate(population[0], SearchSpace(), rng),
        lambda rng: crossover(population[0], population[1], SearchSpace(), rng),
    ):
        assert vary(np.random.default_rng(5)) == vary(np.random.default_rng(5))


def test_offspring_of_a_founder_from_outside_are_inside():
    space, rng = SearchSpace(), np.random.default_rng(6)
    for _ in range(20):
        space.check(mutate(defectnet(), space, rng)[0])
        space.check(crossover(defectnet(), dilated_fcn(), space, rng))


def test_a_space_of_one_genome_has_no_mutants():
    one = SearchSpace(
        LayerSpace(
            kinds=("conv",), filters=(4, 4), kernel=(3, 3), strides=(1,), dilations=(1,), depthwise=(False,),
            norms=("batch",), activations=("relu",), dropout=(0.0, 0.0),
        ),
        TrainingSpace(
            ("adam",), (1e-3, 1e-3), (0.0, 0.0), ("constant",), (1.0, 1.0), (0.0, 0.0), (0.0, 0.0), (1.0, 1.0),
            (0.5, 0.5), (8,), (64,), ("local",), (20.0, 20.0), (True,), *[(0.0, 0.0)] * 6,
        ),
        Limits(layers=(2, 2), skips=0),
        InputSpace(("frame",), reaches=(0,)),
    )  # fmt: skip
    only = sample_genome(one, np.random.default_rng(0))
    with pytest.raises(InputError, match="Widen"):
        mutate(only, one, np.random.default_rng(0))


def test_children_of_a_filter_bank_and_a_network_of_layers_have_both():
    one, other = bank_logistic(), Genome((Conv(8), Conv(16)))
    child = crossover(one, other, SearchSpace(), np.random.default_rng(0))
    assert child.inputs == one.inputs
    assert child.layers == other.layers


def test_removing_undoes_inserting():
    genome = unet()
    for index in range(len(genome.layers) + 1):
        assert without(inserted(genome, index, Conv(4)), index) == genome


def test_removing_a_layer_takes_its_skip_connections_along():
    genome = Genome((Conv(4), Pool(), Upsample(2), Conv(4)), (Skip(0, 2), Skip(0, 3)))
    assert without(genome, 2).skips == (Skip(0, 2),)
