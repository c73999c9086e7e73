"""Networks that see more than the frame learn, and inputs are fitted to what a fold is trained on."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS, blobs
from napari_menndl.genome.genes import Blob, TrainingGenes
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.network.inputs import fit_inputs
from napari_menndl.network.weights import from_bytes
from napari_menndl.predict.trained import TrainedNetwork
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.augment import AMOUNTS, augment, blurred
from napari_menndl.training.evaluate import evaluate
from napari_menndl.training.folds import FoldJob, FoldTrainer

AMOUNTS_OF_THREE = torch.rand(AMOUNTS, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1
RUNG = Rung("first", 120_000, (0,), split=0)


@pytest.mark.parametrize("name", ["bank_logistic", "bank_mlp", "blobs", "fourier"])
def test_founders_on_filters_learn_in_a_blink(task: TrainingTask, name: str) -> None:
    evaluation, _ = evaluate(FOUNDERS[name](), task, RUNG, 1)
    assert evaluation.failure is None
    assert evaluation.fitness is not None
    assert evaluation.fitness > 0.9


def test_the_fitted_genome_of_each_fold_travels_with_its_weights(task: TrainingTask) -> None:
    rung = dataclasses.replace(RUNG, folds=(0, 1))
    _, weights = evaluate(blobs(), task, rung, 1)
    _, remarks = from_bytes(weights)
    assert remarks["genome"] == blobs().digest
    for fold in rung.folds:
        train = task.split(0, fold).train
        stream = np.random.default_rng(0)
        fitted = fit_inputs(blobs(), task.frames, task.labels, train, task.match_rules, stream)
        assert Genome.from_json(json.loads(remarks[f"resolved/{fold}"])) == fitted
        network = TrainedNetwork.from_evaluation(blobs(), task, weights, (0.5, 0.5), fold)
        assert network.genome == fitted
        assert network.predict_frame(task.frames[0]).shape == (2, *task.frames.shape[1:])


def test_what_is_not_fitted_has_no_genome_of_its_own(task: TrainingTask) -> None:
    _, weights = evaluate(FOUNDERS["bank_logistic"](), task, RUNG, 1)
    assert not any(key.startswith("resolved/") for key in from_bytes(weights)[1])


def test_a_network_that_goes_on_is_shown_what_it_was(task: TrainingTask) -> None:
    genome, device = FOUNDERS["fourier"](), torch.device("cpu")
    plan, split = make_plan(genome, 2), task.split(0, 0)
    first, second = (
        FoldTrainer(genome, plan, task, (1, rung), device).train(FoldJob("0", split, 0)) for rung in (7, 8)
    )
    assert first.genomes == second.genomes
    assert np.array_equal(first.frames, second.frames)


def test_labels_that_a_fold_validates_on_have_no_say_in_its_inputs(task: TrainingTask) -> None:
    genome, split = blobs(), task.split(0, 0)
    other = dataclasses.replace(task, labels=task.labels * ~split.validate)
    first, same = (
        FoldTrainer(genome, make_plan(genome, 2), one, (1,), torch.device("cpu")).train(FoldJob("0", split, 0))
        for one in (task, other)
    )
    assert first.genomes == same.genomes


def test_a_head_alone_ranks_pixels_as_the_blob_response_does(task: TrainingTask) -> None:
    labels = (task.labels == 2).astype(np.uint8)
    bright = TrainingTask(task.frames, labels, task.known, ("bright",), task.match_rules[:1])
    genome = Genome((), training=FOUNDERS["blobs"]().training, inputs=(Blob(2.0, "bright"),))
    trainer = FoldTrainer(genome, make_plan(genome, 1), bright, (1,), torch.device("cpu"))
    trained = trainer.train(FoldJob("0", bright.split(0, 0), 200_000))
    with torch.no_grad():
        logits = trained.network(torch.from_numpy(trained.frames[0])).numpy().ravel()
    by_response = np.argsort(trained.frames[0].ravel(), kind="stable")
    assert (np.diff(logits[by_response]) >= 0).all()
    assert np.ptp(logits) > 1


def test_all_channels_of_a_tile_are_blurred_zoomed_and_shifted_alike() -> None:
    one = torch.randn(3, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(3, 24, 24, dtype=torch.uint8)
    genes = TrainingGenes(contrast=1.0, gamma=1.0, blur=1.0, zoom=1.0)
    (alone, moved), (twice, same) = (
        augment(tiles, target, genes, AMOUNTS_OF_THREE, torch.Generator()) for tiles in (one, one.repeat(1, 2, 1, 1))
    )
    assert torch.equal(moved, same)
    for channel in range(2):
        torch.testing.assert_close(twice[:, channel], alone[:, 0])


def test_a_tile_of_several_channels_is_blurred_channel_by_channel() -> None:
    tiles = torch.randn(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    sigma = torch.tensor([0.7, 1.5])
    together = blurred(tiles, sigma, 4)
    for channel in range(3):
        torch.testing.assert_close(
            together[:, channel : channel + 1], blurred(tiles[:, channel : channel + 1], sigma, 4)
        )


def test_noise_differs_from_channel_to_channel() -> None:
    tiles, _ = augment(
        torch.zeros(2, 2, 16, 16),
        torch.zeros(2, 16, 16, dtype=torch.uint8),
        TrainingGenes(noise=1.0),
        AMOUNTS_OF_THREE[:, :2],
        torch.Generator().manual_seed(0),
    )
    assert not torch.equal(tiles[:, 0], tiles[:, 1])
