import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.genes import Conv, FilterBank
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.network.module import Network
from napari_menndl.network.weights import from_bytes
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.evaluate import evaluate
from napari_menndl.training.inheritance import inherit

RUNG = Rung("0", 100_000)
MakeGenome = Callable[..., Genome]


@pytest.fixture(scope="module")
def parent(make_genome: MakeGenome) -> Genome:
    return make_genome()


@pytest.fixture(scope="module")
def weights(task: TrainingTask, parent: Genome) -> bytes:
    return evaluate(parent, task, RUNG, 1)[1]


def start(weights: bytes, offspring: Genome, split: int = 0) -> dict[int, dict[str, torch.Tensor]]:
    return inherit(weights, split, offspring, make_plan(offspring, 2), seed=5)


def of_fold(weights: bytes, fold: int) -> dict[str, torch.Tensor]:
    return {n.removeprefix(f"{fold}/"): t for n, t in from_bytes(weights)[0].items() if n.startswith(f"{fold}/")}


def test_with_the_same_layers_every_fold_begins_as_its_parents_ended(parent: Genome, weights: bytes) -> None:
    training = dataclasses.replace(parent.training, learning_rate=0.005)
    found = start(weights, dataclasses.replace(parent, training=training))
    assert set(found) == {0, 1, 2, 3}
    for fold, tensors in found.items():
        old = of_fold(weights, fold)
        assert tensors.keys() == old.keys()
        assert all(torch.equal(tensors[name], old[name]) for name in old)


def test_of_a_wider_layer_the_channels_that_both_have_are_kept(parent: Genome, weights: bytes) -> None:
    wider = dataclasses.replace(parent.layers[0], filters=12)  # type: ignore[type-var]
    tensors = start(weights, dataclasses.replace(parent, layers=(wider, *parent.layers[1:])))[2]
    old = of_fold(weights, 2)
    assert torch.equal(tensors["steps.layer0_conv.weight"][:8], old["steps.layer0_conv.weight"])
    assert torch.equal(tensors["steps.layer1_conv.weight"][:, :8], old["steps.layer1_conv.weight"])
    assert tensors["steps.layer1_conv.weight"].shape[1] == 12
    assert torch.equal(tensors["steps.head_conv.weight"], old["steps.head_conv.weight"])


def test_a_layer_put_in_between_passes_on_what_it_is_given(parent: Genome, weights: bytes) -> None:
    deeper = dataclasses.replace(parent, layers=(parent.layers[0], Conv(8, norm="none"), parent.layers[1]))
    plan = make_plan(deeper, 2)
    frame = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 1, 40, 40)).astype(np.float32))
    for fold, tensors in start(weights, deeper).items():
        networks = Network(plan), Network(make_plan(parent, 2))
        networks[0].load_state_dict(tensors)
        networks[1].load_state_dict(of_fold(weights, fold))
        with torch.no_grad():
            said, before = (network.eval()(frame) for network in networks)
        # The layer before it ends in a rectifier: what is passed on is rectified once more, which changes nothing.
        torch.testing.assert_close(said, before)


def test_another_split_or_other_inputs_inherit_nothing(parent: Genome, weights: bytes) -> None:
    assert start(weights, parent, split=1) == {}
    assert start(weights, dataclasses.replace(parent, inputs=(FilterBank(),))) == {}


def test_an_offspring_that_inherits_is_ahead_of_one_that_begins_with_nothing(
    task: TrainingTask, parent: Genome, weights: bytes
) -> None:
    wider = dataclasses.replace(parent.layers[0], filters=10)  # type: ignore[type-var]
    offspring = dataclasses.replace(parent, layers=(wider, *parent.layers[1:]))
    short = Rung("0", 20_000)
    heir, _ = evaluate(offspring, task, short, 1, weights)
    fresh, _ = evaluate(offspring, task, short, 1)
    assert heir.fitness is not None
    assert heir.loss[-1] < fresh.loss[-1]
    assert heir.train_flops == fresh.train_flops
