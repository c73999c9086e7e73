import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np
import pytest
import torch

from napari_menndl.errors import InputError
from napari_menndl.genome.evaluation import Evaluation, Rung
from napari_menndl.genome.genes import Conv, Upsample
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.plan import make_plan
from napari_menndl.metrics.components import label_components
from napari_menndl.metrics.detection import fitness
from napari_menndl.metrics.ranking import decode_probabilities
from napari_menndl.network.weights import from_bytes
from napari_menndl.predict.trained import TrainedNetwork
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.evaluate import check_informative, evaluate
from napari_menndl.training.folds import FoldJob, FoldTrainer, Trained
from napari_menndl.training.job import run
from napari_menndl.training.loop import MIN_STEPS, STRETCHES, TrainingStopped, plan_steps
from napari_menndl.training.step import rate

SHORT = Rung("0", 40_000, (0,))
MakeGenome = Callable[..., Genome]


def same_weights(one: bytes, other: bytes) -> bool:
    (first, about), (second, remarks) = from_bytes(one), from_bytes(other)
    return about == remarks and first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def test_it_learns_what_is_easy(task: TrainingTask, make_genome: MakeGenome) -> None:
    evaluation, _ = evaluate(make_genome(), task, Rung("0", 1_500_000, (0,)), seed=1)
    assert evaluation.failure is None
    assert {score.name for score in evaluation.scores} == {"dark", "bright"}
    assert min(score.f1 for score in evaluation.scores) > 0.8
    assert evaluation.fitness is not None
    assert evaluation.fitness > 0.8
    assert evaluation.loss[-1] < 0.5 * evaluation.loss[0]


def test_an_evaluation_is_told_in_full(task: TrainingTask, make_genome: MakeGenome) -> None:
    genome = make_genome(batch=2)
    evaluation, _ = evaluate(genome, task, SHORT, seed=1, device="cpu")
    plan = make_plan(genome, 2)
    steps, batch = plan_steps(SHORT.pixels, 2, 32)
    assert evaluation.parameters == plan.parameters
    assert evaluation.flops == plan.flops_per_pixel
    assert evaluation.train_flops == pytest.approx(3 * plan.flops_per_pixel * steps * batch * 32**2)
    assert len(evaluation.loss) == min(steps, STRETCHES)
    assert evaluation.seconds > 0 < evaluation.latency
    assert evaluation.device == "cpu"
    assert evaluation.error is not None
    assert Evaluation.from_json(evaluation.to_json()) == evaluation


def test_the_same_arguments_give_the_same_weights(task: TrainingTask, make_genome: MakeGenome) -> None:
    layers = (Conv(filters=4, dropout=0.3), Conv(filters=4))
    genes = make_genome(noise=0.3, blur=0.2, zoom=0.2, contrast=0.2, gamma=0.1, jitter=1.0).training
    genome = Genome(layers, (), genes)
    torch.manual_seed(0)
    first, weights = evaluate(genome, task, SHORT, seed=3, device="cpu")
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again, same = evaluate(genome, task, SHORT, seed=3, device="cpu")
    assert torch.equal(before, torch.get_rng_state())
    assert same_weights(weights, same)
    assert (first.fitness, first.loss) == (again.fitness, again.loss)
    assert not same_weights(evaluate(genome, task, SHORT, seed=4, device="cpu")[1], weights)


def test_a_promoted_network_goes_on_where_it_was(task: TrainingTask, make_genome: MakeGenome) -> None:
    genome = make_genome(batch=2)
    low, weights = evaluate(genome, task, SHORT, seed=1)
    seen = int(from_bytes(weights)[1]["seen/0"])
    assert seen >= SHORT.pixels
    high = Rung("1", 3 * SHORT.pixels, (0,))
    promoted, more = evaluate(genome, task, high, 1, weights)
    fresh, _ = evaluate(genome, task, high, 1)
    assert promoted.train_flops < fresh.train_flops
    assert promoted.loss[0] < fresh.loss[0]
    assert high.pixels <= int(from_bytes(more)[1]["seen/0"]) < high.pixels + 2 * 32**2
    # A rung that was reached already costs no training.
    idle, _ = evaluate(genome, task, SHORT, 1, weights)
    assert idle.train_flops == 0
    assert idle.fitness == pytest.approx(low.fitness, abs=1e-3)


LONG = Rung("0", 20_000_000)  # minutes


def seen(weights: bytes) -> list[int]:
    """Pixels that each fold was trained on."""
    about = from_bytes(weights)[1]
    return [int(about[name]) for name in sorted(about) if name.startswith("seen/")]


def test_where_there_is_no_time_for_a_rung_all_folds_are_trained_on_a_share(
    task: TrainingTask, make_genome: MakeGenome
) -> None:
    evaluation, weights = evaluate(make_genome(batch=2), task, LONG, seed=1, seconds=4.0)
    assert evaluation.failure is None
    assert 0 < evaluation.share < 1
    assert len(seen(weights)) == task.folds
    assert min(seen(weights)) == round(evaluation.share * LONG.pixels)


def test_folds_after_one_that_took_longer_than_it_should_are_trained_on_less(
    task: TrainingTask, make_genome: MakeGenome, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, began = FoldTrainer.train, []

    def interrupted(self: FoldTrainer, *jobs: FoldJob, seconds: float) -> Trained:
        began.append(seconds)
        trained = train(self, *jobs, seconds=seconds)
        time.sleep(3.0 if len(began) == 2 else 0.0)  # the first one only measured the pace
        return trained

    monkeypatch.setattr(FoldTrainer, "train", interrupted)
    evaluation, weights = evaluate(make_genome(batch=2), task, LONG, seed=1, device="cpu", seconds=6.0)
    assert evaluation.failure is None
    first, *others = seen(weights)
    assert max(others) < first / 2
    assert evaluation.seconds < 9.0


def test_time_that_suffices_changes_nothing(task: TrainingTask, make_genome: MakeGenome) -> None:
    evaluation, weights = evaluate(make_genome(), task, SHORT, seed=1, device="cpu", seconds=3600)
    assert evaluation.share == 1
    assert same_weights(weights, evaluate(make_genome(), task, SHORT, seed=1, device="cpu")[1])


def test_networks_go_on_with_all_labels(task: TrainingTask, make_genome: MakeGenome) -> None:
    genome = make_genome()
    low, weights = evaluate(genome, task, SHORT, 1)
    everything = Rung("0+", SHORT.pixels, (0,), all_labels=True)
    refit, more = evaluate(genome, task, everything, 1, weights)
    assert (refit.fitness, refit.failure) == (None, None)
    assert refit.loss[0] < low.loss[0]
    assert {name.partition("/")[0] for name in from_bytes(more)[0]} == {"0"}
    # What the fold left out is learned from.
    split = task.split(0, 0)
    less = dataclasses.replace(task, labels=np.where(split.validate, 0, task.labels).astype(np.uint8))
    assert not same_weights(evaluate(genome, less, everything, 1, weights)[1], more)


def test_without_networks_of_its_folds_nothing_goes_on_with_all_labels(
    task: TrainingTask, make_genome: MakeGenome
) -> None:
    """They would be trained for too short a time."""
    genome = make_genome()
    _, weights = evaluate(genome, task, SHORT, 1)
    both = Rung("0+", SHORT.pixels, (0, 1), all_labels=True)
    for given in (b"", weights):
        evaluation, none = evaluate(genome, task, both, 1, given)
        assert evaluation.failure is not None
        assert evaluation.failure.kind == "unbuildable"
        assert none == b""


def test_weights_of_another_split_are_not_used(task: TrainingTask, make_genome: MakeGenome) -> None:
    genome = make_genome()
    _, weights = evaluate(genome, task, SHORT, 1)
    rung = dataclasses.replace(SHORT, split=1)
    assert same_weights(evaluate(genome, task, rung, 1, weights)[1], evaluate(genome, task, rung, 1)[1])


def test_validation_pixels_teach_nothing(task: TrainingTask, make_genome: MakeGenome) -> None:
    split, genome = task.split(0, 0), make_genome()
    # Shuffled grey values keep the frame's median and spread, which are all that a global normalisation passes on.
    frames = task.frames.copy()
    frames[split.validate] = np.random.default_rng(0).permutation(frames[split.validate])
    other = dataclasses.replace(task, frames=frames, labels=task.labels * ~split.validate)
    plan, device = make_plan(genome, 2), torch.device("cpu")
    networks = [
        FoldTrainer(genome, plan, one, (1,), device).train(FoldJob("0", split, SHORT.pixels)).network
        for one in (task, other)
    ]
    first, same = (network.state_dict() for network in networks)
    assert all(torch.equal(first[name], same[name]) for name in first)


def test_all_folds_validate_what_is_known_once(task: TrainingTask, make_genome: MakeGenome) -> None:
    evaluation, weights = evaluate(make_genome(), task, Rung("0", 40_000), 1)
    tensors, metadata = from_bytes(weights)
    assert evaluation.fitness is not None
    assert sum(score.tp + score.fn for score in evaluation.scores) == sum(
        len(label_components(task.labels[0] == c, 1)) for c in (1, 2)
    )
    assert tensors["oof"].shape == (1, 2, *task.frames.shape[1:])
    assert tensors["oof"].dtype == torch.uint8
    assert {f"seen/{fold}" for fold in range(4)} <= set(metadata)
    assert len({name.split("/")[0] for name in tensors}) == 5


def test_it_is_judged_by_the_probabilities_that_are_kept(task: TrainingTask, make_genome: MakeGenome) -> None:
    evaluation, weights = evaluate(make_genome(), task, Rung("0", 40_000), 1)
    oof = decode_probabilities(from_bytes(weights)[0]["oof"].numpy())
    again = fitness(oof, task.labels, task.known, task.class_names, task.match_rules, np.random.default_rng(0))
    assert again.value == evaluation.fitness
    assert again.scores == evaluation.scores


def test_each_pixel_is_predicted_by_the_network_that_has_not_seen_it(
    task: TrainingTask, make_genome: MakeGenome
) -> None:
    genome = make_genome()
    _, weights = evaluate(genome, task, Rung("0", 20_000), 1)
    oof = decode_probabilities(from_bytes(weights)[0]["oof"].numpy())
    for fold in range(task.folds):
        network = TrainedNetwork.from_evaluation(genome, task, weights, (0.5, 0.5), fold)
        inside = task.split(0, fold).validate[0]
        said = network.predict_frame(task.frames[0])[:, inside]
        assert np.abs(oof[0][:, inside] - said).max() < 0.01


def test_a_network_that_learned_nothing_is_not_trained_on_every_fold(
    task: TrainingTask, make_genome: MakeGenome
) -> None:
    genome = stubborn(make_genome)
    steps, batch = plan_steps(20_000, genome.training.batch, 32)
    evaluation, _ = evaluate(genome, task, Rung("0", 20_000), 1)
    assert evaluation.failure is not None
    assert evaluation.failure.kind == "constant"
    assert evaluation.train_flops <= 3 * evaluation.flops * steps * batch * 32**2


@pytest.fixture
def trained(task: TrainingTask, make_genome: MakeGenome) -> tuple[FoldTrainer, Trained]:
    genome = make_genome()
    trainer = FoldTrainer(genome, make_plan(genome, 2), task, (1,), torch.device("cpu"))
    return trainer, trainer.train(FoldJob("whole", task.everything(), 20_000))


def test_calibrated_probabilities_are_on_average_the_share_of_each_class(
    task: TrainingTask, trained: tuple[FoldTrainer, Trained]
) -> None:
    trainer, one = trained
    trainer.predict(one)
    with torch.no_grad():
        probabilities = one.network(torch.from_numpy(one.frames[0])).sigmoid().numpy()
    for c in range(2):
        assert probabilities[:, c].mean() == pytest.approx((task.labels == c + 1).mean(), rel=0.05)


def test_calibrating_what_is_not_finite_is_a_divergence(
    task: TrainingTask, trained: tuple[FoldTrainer, Trained]
) -> None:
    trainer, one = trained
    one.network.rescale(torch.full((2,), math.nan), torch.zeros(2))
    with pytest.raises(TrainingStopped) as stopped:
        trainer.predict(one)
    assert stopped.value.failure.kind == "diverged"


def stubborn(make_genome: MakeGenome) -> Genome:
    """All its activations die, so that every pixel gets the same logit."""
    layers = (Conv(filters=1, kernel=(1, 1), activation="relu", norm="none"),) * 12
    return Genome(layers, (), make_genome(learning_rate=1e-6).training)


FAILURES = {
    "diverged": lambda make: Genome(
        (Conv(filters=8, norm="none", activation="linear"),) * 3,
        (),
        make(learning_rate=1.0, optimiser="sgd", schedule="constant", class_weight=1000.0, bce=1.0).training,
    ),
    "constant": stubborn,
    "unbuildable": lambda make: Genome((Conv(filters=4), Upsample(factor=2)), (), make().training),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_is_data(task: TrainingTask, make_genome: MakeGenome, kind: str) -> None:
    evaluation, weights = evaluate(FAILURES[kind](make_genome), task, Rung("0", 200_000, (0,)), seed=0)
    assert evaluation.failure is not None
    assert evaluation.failure.kind == kind
    assert evaluation.failure.blames_genome
    assert evaluation.failure.message
    assert evaluation.fitness is None
    assert weights == b""
    assert all(map(math.isfinite, evaluation.loss))


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_short_memory_is_the_genomes_failure(
    task: TrainingTask, make_genome: MakeGenome, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(*_: object) -> None:
        raise error

    monkeypatch.setattr("napari_menndl.training.folds.train", burst)
    failure = evaluate(make_genome(), task, SHORT, 0)[0].failure
    assert failure is not None
    assert failure.kind == "out_of_memory"


CONSTANTS = {
    "the same everywhere": lambda truth, rng: np.full_like(truth, 0.3),
    "the opposite": lambda truth, rng: 1 - truth,
    "noise around a constant": lambda truth, rng: 0.3 + 1e-6 * rng.random(truth.shape),
}


@pytest.mark.parametrize("answer", CONSTANTS.values(), ids=CONSTANTS)
def test_no_better_than_a_constant_is_a_failure(task: TrainingTask, answer: Callable[..., np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    inside = task.split(0, 0).validate
    truth = np.stack([task.labels == c + 1 for c in range(2)], 1).astype(np.float32)
    with pytest.raises(TrainingStopped) as stopped:
        check_informative(answer(truth, rng), inside, task)
    assert stopped.value.failure.kind == "constant"
    check_informative(truth, inside, task)


@pytest.mark.parametrize(("pixels", "batch", "tile"), [(1, 8, 64), (40_000, 8, 64), (10**6, 32, 64), (10**6, 4, 128)])
def test_the_budget_is_reached_and_hardly_exceeded(pixels: int, batch: int, tile: int) -> None:
    steps, used = plan_steps(pixels, batch, tile)
    assert steps >= MIN_STEPS
    assert 1 <= used <= batch
    shown = steps * used * tile**2
    assert pixels <= shown
    assert shown < pixels + used * tile**2 or steps == MIN_STEPS


@pytest.mark.parametrize("schedule", ["constant", "cosine", "onecycle"])
def test_a_learning_rate_stays_below_its_peak(schedule: str) -> None:
    rates = [rate(schedule, step / 100) for step in range(100)]
    assert all(0 < r <= 1 for r in rates)
    assert max(rates) == pytest.approx(1, abs=1e-3)


def test_a_job_is_an_evaluation_of_the_task_it_names(
    task: TrainingTask, make_genome: MakeGenome, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("run") / "task.zarr"
    task.save(path)
    genome = make_genome()
    payload = {
        "genome": genome.to_json(),
        "rung": SHORT.to_json(),
        "seed": 5,
        "task": str(path),
        "digest": task.digest,
    }
    answer, weights = run(payload, b"")
    expected, same = evaluate(genome, task, SHORT, 5)
    assert same_weights(weights, same)
    assert Evaluation.from_json(answer["evaluation"]).fitness == expected.fitness
    with pytest.raises(InputError, match="digest"):
        run(payload | {"digest": "0" * 64}, b"")
