"""Networks of several folds that are trained side by side, as groups of one, become what they become alone."""

import dataclasses

import numpy as np
import pytest
import torch

from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.genes import Branches, Conv, Pool, Residual, Skip, TrainingGenes, Upsample
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.network.module import Dropout, Network, stack, states
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.evaluate import evaluate
from napari_menndl.training.folds import FoldJob, FoldTrainer

GENES = TrainingGenes(batch=2, tile=24, zoom=0.3, contrast=0.3)
BRANCHES = Branches(((Conv(4), Conv(6, (1, 1))), (Pool("average", 3, 1), Conv(5, depthwise=True))))
#: Everything whose channels have to be kept apart: normalisations, depthwise convolutions, branches, both skips.
MIXED = Genome(
    (
        Conv(6, (2, 3), norm="channel"),
        BRANCHES,
        Conv(8, stride=2),
        Residual((Conv(8, norm="none"), Conv(8))),
        Upsample(2, "bilinear"),
    ),
    (Skip(0, 1, "add"), Skip(1, 4, "concat")),
    GENES,
)
GENOMES = {
    "mixed": MIXED,
    "unet": dataclasses.replace(FOUNDERS["unet"](), training=GENES),
    "filters": dataclasses.replace(FOUNDERS["bank_mlp"](), training=GENES),
    "fitted inputs": dataclasses.replace(FOUNDERS["blobs"](), training=GENES),
}


@pytest.mark.parametrize("genome", GENOMES.values(), ids=GENOMES)
def test_a_stack_computes_what_its_networks_compute(genome: Genome) -> None:
    plan = make_plan(genome, 2)
    networks = [Network(plan, seed).eval() for seed in range(3)]
    together = stack(networks)
    frames = torch.randn(3, 2, plan.nodes[0].channels, 24, 20, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = torch.cat([network(one) for network, one in zip(networks, frames, strict=True)], dim=1)
        torch.testing.assert_close(together(torch.cat(list(frames), dim=1)), expected, rtol=1e-4, atol=1e-5)


def test_states_of_a_stack_are_those_of_its_networks() -> None:
    networks = [Network(make_plan(MIXED, 2), seed) for seed in range(3)]
    for state, network in zip(states(stack(networks)), networks, strict=True):
        assert all(torch.equal(state[name], tensor) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("genome", GENOMES.values(), ids=GENOMES)
def test_folds_side_by_side_learn_what_they_learn_alone(task: TrainingTask, genome: Genome) -> None:
    trainer = FoldTrainer(genome, make_plan(genome, 2), task, (1,), torch.device("cpu"))
    jobs = [FoldJob(str(fold), task.split(0, fold), 30_000) for fold in range(3)]
    assert trainer.alike(jobs) == 1  # on a processor, where nothing is gained by it
    together, alone = trainer.train(*jobs), [trainer.train(job) for job in jobs]
    assert together.genomes == tuple(one.genomes[0] for one in alone)
    np.testing.assert_allclose(together.curves, [one.curves[0] for one in alone], rtol=2e-2, atol=1e-4)
    # Rounding grows with every step, so the first ones have to agree more closely.
    first = np.array(together.curves)[:, :4]
    np.testing.assert_allclose(first, [one.curves[0][:4] for one in alone], rtol=1e-3, atol=1e-5)


def test_trained_parameters_begin_where_gpus_can_read_them(task: TrainingTask) -> None:
    """Views of one tensor, which must not begin just anywhere: cuDNN fails at odd addresses."""
    trainer = FoldTrainer(MIXED, make_plan(MIXED, 2), task, (1,), torch.device("cpu"))
    jobs = [FoldJob(str(fold), task.split(0, fold), 5_000) for fold in range(3)]
    for trained in (trainer.train(*jobs), trainer.train(jobs[0])):
        assert all(parameter.storage_offset() % 16 == 0 for parameter in trained.network.parameters())


def test_only_folds_with_tiles_of_one_size_and_equal_budgets_go_together(
    task: TrainingTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FoldTrainer, "side_by_side", task.folds)
    large = dataclasses.replace(MIXED, training=dataclasses.replace(GENES, tile=64))
    jobs = [FoldJob(str(fold), task.split(0, fold), 30_000) for fold in range(task.folds)]
    for genome in (MIXED, large):
        trainer = FoldTrainer(genome, make_plan(genome, 2), task, (1,), torch.device("cpu"))
        sizes = [task.tile_size(job.split, genome.training.tile) for job in jobs]
        number = trainer.alike(jobs)
        assert len(set(sizes[:number])) == 1
        assert number == len(jobs) or sizes[number] != sizes[0]
    jobs[2] = dataclasses.replace(jobs[2], pixels=20_000)
    assert FoldTrainer(MIXED, make_plan(MIXED, 2), task, (1,), torch.device("cpu")).alike(jobs) == 2


def test_an_evaluation_side_by_side_scores_the_same(task: TrainingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_menndl.genome.evaluation import Rung

    rung = Rung("0", 60_000)
    alone, _ = evaluate(GENOMES["filters"], task, rung, 0)
    monkeypatch.setattr(FoldTrainer, "side_by_side", task.folds)
    together, weights = evaluate(GENOMES["filters"], task, rung, 0)
    assert together.fitness == pytest.approx(alone.fitness, abs=0.02)
    assert together.train_flops == alone.train_flops
    # ... and can be trained further, alone again.
    monkeypatch.setattr(FoldTrainer, "side_by_side", 1)
    further, _ = evaluate(GENOMES["filters"], task, Rung("1", 120_000), 0, weights)
    assert further.failure is None
    assert further.train_flops == pytest.approx(together.train_flops, rel=0.2)


def test_short_of_memory_the_folds_are_trained_one_by_one(task: TrainingTask, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_menndl.genome.evaluation import Rung

    trained, real = [], FoldTrainer.train

    def train(self: FoldTrainer, *jobs: FoldJob, seconds: float):
        trained.append(len(jobs))
        if len(jobs) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, *jobs, seconds=seconds)

    monkeypatch.setattr(FoldTrainer, "side_by_side", task.folds)
    monkeypatch.setattr(FoldTrainer, "train", train)
    evaluation, _ = evaluate(GENOMES["filters"], task, Rung("0", 60_000), 0)
    assert evaluation.failure is None
    assert trained == [task.folds, *[1] * task.folds]


def test_dropout_follows_its_own_stream() -> None:
    dropout, values = Dropout(0.5), torch.ones(4, 32, 3, 3)
    outputs = []
    for _ in range(2):
        dropout.generator = torch.Generator().manual_seed(7)
        outputs.append(dropout(values))
    assert torch.equal(*outputs)
    assert set(outputs[0].unique().tolist()) == {0.0, 2.0}
    assert torch.equal(dropout.eval()(values), values)
