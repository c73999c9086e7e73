"""A search space is data; what is drawn from it and bred in it stays in it."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from napari_menndl.errors import InputError
from napari_menndl.genome.genes import Blob, Conv, FilterBank, FrameInput, GenomeError, Residual, TrainingGenes
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.genome.ranges import InputSpace, LayerSpace, Limits, TrainingSpace
from napari_menndl.genome.repair import repair
from napari_menndl.genome.sampling import draw
from napari_menndl.genome.space import SearchSpace
from napari_menndl.genome.variation import sample_genome


def test_random_genomes_are_buildable_and_in_space():
    space, rng = SearchSpace(), np.random.default_rng(0)
    genomes = [sample_genome(space, rng) for _ in range(300)]
    for genome in genomes:
        plan = space.plan(genome)
        assert plan.receptive_radius <= space.limits.radius
        assert plan.parameters <= space.limits.parameters
        assert plan.flops_per_pixel <= space.limits.flops
        assert space.limits.stride % plan.stride == 0
    assert len({genome.digest for genome in genomes}) == len(genomes)
    assert len({genome.topology for genome in genomes}) > 0.99 * len(genomes)


@pytest.mark.parametrize("space", [SearchSpace(), SearchSpace.large()], ids=["default", "large"])
def test_nine_in_ten_draws_are_buildable_at_the_first_attempt(space):
    rng = np.random.default_rng(1)
    built = 0
    for _ in range(100):
        try:
            space.check(repair(draw(space, rng), space, rng))
            built += 1
        except GenomeError:
            pass
    assert built >= 90


def test_every_kind_of_gene_is_drawn():
    space, rng = SearchSpace(), np.random.default_rng(2)
    genomes = [sample_genome(space, rng) for _ in range(200)]
    kinds = {layer.kind for genome in genomes for layer in genome.layers}
    assert kinds == {"conv", "pool", "upsample", "residual", "branches"}
    convs = [layer for genome in genomes for layer in genome.layers if isinstance(layer, Conv)]
    assert {conv.stride for conv in convs} == {1, 2}
    assert {conv.depthwise for conv in convs} == {False, True}
    assert any(conv.kernel[0] != conv.kernel[1] for conv in convs)
    assert any(conv.kernel[0] % 2 == 0 for conv in convs)
    assert {skip.join for genome in genomes for skip in genome.skips} == {"concat", "add"}


def test_four_in_ten_see_a_filter_bank_and_some_of_them_have_no_layer():
    space, rng = SearchSpace(), np.random.default_rng(2)
    genomes = [sample_genome(space, rng) for _ in range(300)]
    banks = [genome for genome in genomes if any(isinstance(one, FilterBank) for one in genome.inputs)]
    assert len(banks) / len(genomes) == pytest.approx(0.4, abs=0.1)
    assert any(not genome.layers for genome in banks)
    others = {genome.inputs for genome in genomes if genome not in banks}
    assert others == {(FrameInput(),), (FrameInput(), FrameInput(1)), (FrameInput(), FrameInput(2))}


def test_same_seed_same_genome():
    space = SearchSpace()
    one, other = (sample_genome(space, np.random.default_rng([7, 1])) for _ in range(2))
    assert one == other


def test_space_has_a_range_for_every_training_gene():
    assert [field.name for field in fields(TrainingSpace)] == [field.name for field in fields(TrainingGenes)]


def test_space_survives_its_file(tmp_path):
    space = SearchSpace(
        LayerSpace(filters=(2, 7), kinds=("conv", "pool")), limits=Limits(layers=(1, 3)), inputs=InputSpace(("bank",))
    )
    space.save(tmp_path / "space.json")
    assert SearchSpace.open(tmp_path / "space.json") == space


def test_what_a_file_leaves_out_keeps_its_default(tmp_path):
    (tmp_path / "space.json").write_text('{"layers": {"filters": [2, 8]}}')
    assert SearchSpace.open(tmp_path / "space.json") == SearchSpace(LayerSpace(filters=(2, 8)))


NONSENSE = {
    "unknown group": {"pruning": {}},
    "unknown field": {"layers": {"filter": [2, 8]}},
    "range the wrong way round": {"layers": {"filters": [8, 2]}},
    "range of three": {"layers": {"filters": [2, 4, 8]}},
    "range of words": {"training": {"learning_rate": ["low", "high"]}},
    "below zero": {"training": {"learning_rate": [-1, 1]}},
    "no choice": {"layers": {"norms": []}},
    "unknown choice": {"layers": {"norms": ["instance"]}},
    "the same choice twice": {"layers": {"norms": ["batch", "batch"]}},
    "unknown kind": {"layers": {"kinds": ["attention"]}},
    "no loss": {"training": {"bce": [0, 0], "focal": [0, 0], "dice": [0, 0]}},
    "limit of zero": {"limits": {"parameters": 0}},
    "a list": [],
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_in_a_space_is_refused(data, tmp_path):
    (tmp_path / "space.json").write_text(json.dumps(data))
    with pytest.raises(InputError):
        SearchSpace.open(tmp_path / "space.json")


def test_a_space_that_is_no_json_or_missing_is_refused(tmp_path):
    (tmp_path / "space.json").write_text("{")
    for path in (tmp_path / "space.json", tmp_path / "none.json"):
        with pytest.raises(InputError, match="search space"):
            SearchSpace.open(path)


def test_a_space_in_which_nothing_can_be_built_says_so():
    space = SearchSpace(limits=Limits(parameters=100, layers=(10, 10)), inputs=InputSpace(("frame",)))
    with pytest.raises(InputError, match="Widen"):
        sample_genome(space, np.random.default_rng(0))


OUTSIDE = {
    "filters": Genome((Conv(500), Conv())),
    "kind": Genome((Residual((Conv(),)), Conv())),
    "layers": Genome((Conv(),)),
    "input": Genome((Conv(), Conv()), inputs=(Blob(),)),
    "input of a head alone": Genome((), inputs=(Blob(fitted=True),)),
    "filter bank": Genome((), inputs=(FilterBank(largest=60.0),)),
    "learning_rate": Genome((Conv(), Conv()), training=TrainingGenes(learning_rate=0.5)),
    "receptive radius": Genome((Conv(dilation=8), Conv(kernel=(9, 9)))),
    "even kernel": Genome((Conv(kernel=(2, 2)), Conv())),
}


@pytest.mark.parametrize("genome", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_genomes_outside_are_refused_but_can_be_mended(genome):
    space = SearchSpace(LayerSpace(kinds=("conv",), even_kernels=False), limits=Limits(radius=8))
    with pytest.raises(GenomeError):
        space.check(genome)
    space.check(repair(genome, space, np.random.default_rng(0)))


def test_repair_leaves_alone_what_is_right():
    space, rng = SearchSpace(), np.random.default_rng(3)
    for _ in range(50):
        genome = sample_genome(space, rng)
        assert repair(genome, space, rng) is genome or repair(genome, space, rng) == genome


def test_memory_limit_takes_tiles_before_filters():
    genome = Genome((Conv(16), Conv(16)), training=TrainingGenes(batch=16, tile=128))
    space = SearchSpace(limits=Limits(memory=16))
    mended = repair(genome, space, np.random.default_rng(0))
    assert mended.layers == genome.layers
    assert mended.training.batch * mended.training.tile**2 < 16 * 128**2
    assert make_plan(mended).memory(mended.training.batch, mended.training.tile, mended.training.tile) <= 16 * 2**20


def test_a_narrowed_space_is_kept():
    space = SearchSpace(
        LayerSpace(kinds=("conv",), depthwise=(False,), norms=("batch",), even_kernels=False, activations=("relu",)),
        replace(TrainingSpace(), normalisation=("global",), flips=(True,)),
        Limits(layers=(3, 3), skips=0),
        InputSpace(("frame",)),
    )
    rng = np.random.default_rng(4)
    for _ in range(20):
        genome = sample_genome(space, rng)
        assert len(genome.layers) == 3
        assert not genome.skips
        assert all(k % 2 for layer in genome.layers for k in layer.kernel)
        assert genome.training.normalisation == "global"
