"""A genome survives the way through a file, and nothing foreign comes in that way."""

import copy
import json
import math

import numpy as np
import pytest

from napari_menndl.errors import InputError
from napari_menndl.genome.describe import describe
from napari_menndl.genome.founders import FOUNDERS, bank_logistic, dilated_fcn, unet
from napari_menndl.genome.genes import Branches, Conv, GenomeError, Pool, Residual, Skip, TrainingGenes
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.genome.space import SearchSpace
from napari_menndl.genome.variation import sample_genome


@pytest.mark.parametrize("space", [SearchSpace(), SearchSpace.large()], ids=["default", "large"])
def test_json_gives_the_equal_genome_back(space):
    rng = np.random.default_rng(0)
    for _ in range(50):
        genome = sample_genome(space, rng)
        again = Genome.from_json(json.loads(json.dumps(genome.to_json())))
        assert again == genome
        assert again.digest == genome.digest


def test_json_is_tagged_by_kind():
    plain = unet().to_json()
    assert [layer["kind"] for layer in plain["layers"][:2]] == ["conv", "pool"]
    assert plain["skips"][0] == {"source": 2, "target": 5, "join": "concat"}


def test_digest_is_of_the_values_not_of_their_types():
    plain = Genome((Conv(16, (3, 3)),))
    numpy = Genome((Conv(np.int64(16), (np.int64(3), np.int64(3)), dropout=0),))
    assert plain.digest == numpy.digest
    assert len(plain.digest) == 16


def test_digest_differs_where_a_gene_does():
    one = dilated_fcn()
    assert one.digest != Genome(one.layers, one.skips, TrainingGenes(jitter=0.5)).digest
    assert one.topology == Genome(one.layers, one.skips, TrainingGenes(jitter=0.5)).topology
    assert one.topology != Genome(one.layers[:-1]).topology


def set_at(path, value):
    def change(plain):
        for step in path[:-1]:
            plain = plain[step]
        plain[path[-1]] = value

    return change


FOREIGN = {
    "unknown field": set_at(["momentum"], 0.9),
    "unknown field of a layer": set_at(["layers", 0, "groups"], 4),
    "unknown field of the training": set_at(["training", "warmup"], 4),
    "unknown kind of layer": set_at(["layers", 0], {"kind": "attention"}),
    "a layer without a kind": set_at(["layers", 0], {"filters": 4}),
    "a layer that is a word": set_at(["layers", 0], "conv"),
    "a kind that is a list": set_at(["layers", 0], {"kind": ["conv"]}),
    "no layers": set_at(["layers"], []),
    "layers that are no list": set_at(["layers"], 3),
    "a kernel of three sides": set_at(["layers", 0, "kernel"], [3, 3, 3]),
    "a kernel of words": set_at(["layers", 0, "kernel"], ["3", "3"]),
    "a kernel of zero": set_at(["layers", 0, "kernel"], [0, 3]),
    "filters that are true": set_at(["layers", 0, "filters"], True),
    "filters that are fractional": set_at(["layers", 0, "filters"], 3.5),
    "an unknown activation": set_at(["layers", 0, "activation"], "eval"),
    "a learning rate that is not a number": set_at(["training", "learning_rate"], math.nan),
    "a learning rate beyond all floats": set_at(["training", "learning_rate"], 10**400),
    "a negative learning rate": set_at(["training", "learning_rate"], -1),
    "a backward skip connection": set_at(["skips", 0, "target"], 1),
    "a pool that ignores pixels": set_at(["layers", 1, "stride"], 4),
}


@pytest.mark.parametrize("change", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_json_is_refused(change):
    plain = copy.deepcopy(unet().to_json())
    change(plain)
    with pytest.raises(InputError):
        Genome.from_json(plain)


NONSENSE = {
    "norm": lambda: Conv(norm="instance"),
    "kernel": lambda: Conv(kernel=(3, 0)),
    "dropout": lambda: Conv(dropout=1.0),
    "empty body": lambda: Residual(()),
    "empty branch": lambda: Branches(((), (Conv(),))),
    "pool": lambda: Pool(size=1, stride=2),
    "skip": lambda: Skip(2, 2),
    "no loss": lambda: TrainingGenes(bce=0.0),
    "not a number": lambda: TrainingGenes(weight_decay=math.nan),
}


@pytest.mark.parametrize("make", NONSENSE.values(), ids=NONSENSE.keys())
def test_a_nonsensical_gene_says_why(make):
    with pytest.raises(GenomeError) as caught:
        make()
    assert caught.value.reason


def test_description_has_a_line_per_layer_and_one_for_the_training():
    lines = describe(Genome((Conv(32, (5, 5), stride=2), Pool())))
    assert lines[0] == "conv 5×5 /2 ×32 batch relu"
    assert lines[1] == "max pool 2×2 /2"
    assert lines[2].startswith("adamw 0.01 onecycle, 1 bce, 4 × 64² px, local 20 px")
    assert describe(bank_logistic())[:1] == ["filters 1 1.68 2.83 4.76 8 px of the mean of ±2 frames"]
    assert describe(unet())[5] == "upsample ×2 bilinear ⧺ layer 2"


def test_founders_are_what_they_are_named_after():
    plans = {name: make_plan(make()) for name, make in FOUNDERS.items()}
    assert plans["dilated_fcn"].stride == 1
    assert plans["dilated_fcn"].receptive_radius == 1 + 2 + 4 + 2 + 1
    assert plans["unet"].stride == 4
    assert 145_000 < plans["defectnet"].parameters < 155_000


def test_small_founders_are_in_the_default_space_and_defectnet_in_the_large_one():
    SearchSpace().check(FOUNDERS["dilated_fcn"]())
    SearchSpace().check(FOUNDERS["unet"]())
    for name in ("bank_logistic", "bank_mlp", "bank_fcn"):
        SearchSpace().check(FOUNDERS[name]())
    SearchSpace.large().check(FOUNDERS["defectnet"]())
    with pytest.raises(GenomeError, match="outside the search space"):
        SearchSpace().check(FOUNDERS["defectnet"]())
