"""A made-up landscape, so that a search takes no time: fitness is a function of the genome and of nothing else."""

from dataclasses import replace

import numpy as np
from safetensors.numpy import save

from napari_menndl.errors import Failure
from napari_menndl.genome.evaluation import Evaluation, Rung
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.space import SearchSpace
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.metrics.ranking import encode_probabilities
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.settings import SearchSettings
from napari_menndl.task.task import TrainingTask

SETTINGS = SearchSettings(
    budget="30networks", pool="serial", population=8, pixels=1000, rungs=3, eta=3, founders=("dilated_fcn", "unet")
)


def landscape(genome, rung):
    """Best: six layers and a learning rate of 0.01. More pixels help a little; one genome in eight is useless."""
    if int(genome.digest, 16) % 8 == 0:
        return Evaluation(rung.name, failure=Failure("constant", "predicts the same everywhere"))
    distance = abs(len(genome.layers) - 6) / 6 + abs(np.log10(genome.training.learning_rate) + 2) / 4
    noise = int(genome.digest, 16) % 997 / 997
    fitness = float(np.clip(0.8 - distance / 3 + 0.1 * noise + 0.02 * int(rung.name), 0, 1))
    return Evaluation(rung.name, fitness, 0.01, parameters=100, train_flops=1e6, seconds=0.01)


def evaluate(payload, attachment):
    """Stand in for `training.job.run`."""
    genome, rung = Genome.from_json(payload["genome"]), Rung.from_json(payload["rung"])
    if rung.all_labels:
        evaluation = Evaluation(rung.name, train_flops=1e5, seconds=0.01)
        return {"evaluation": evaluation.to_json()}, save({f"{fold}/a": np.ones(3, np.float32) for fold in rung.folds})
    tensors = {
        "oof": encode_probabilities(guesses(genome.digest)),
        **{f"{fold}/a": np.ones(3, np.float32) for fold in range(4)},
    }
    return {"evaluation": landscape(genome, rung).to_json()}, save(tensors, {"genome": genome.digest})


def labels():
    """Nine 3×3 defects on a lattice.

    Every third of 48 pixels holds three: . . . ▪ ▪ ▪ . . .
    """
    frame = np.zeros((1, 48, 48), np.uint8)
    for y in range(6, 48, 16):
        for x in range(6, 48, 16):
            frame[0, y : y + 3, x : x + 3] = 1
    return frame


def guesses(digest):
    """Noisy probabilities (N, C, Y, X): each network sees two of three defects, its own."""
    rng = np.random.default_rng(int(digest, 16))
    seen = labels()[:, None].astype(np.float32) * (rng.random((1, 1, 3, 3)) < 0.67).repeat(16, 2).repeat(16, 3)
    return (0.8 * seen + 0.1 * rng.random(seen.shape)).astype(np.float32)


def make_task():
    frames = np.random.default_rng(0).normal(size=(1, 48, 48)).astype(np.float32)
    return TrainingTask(frames, labels(), np.ones(frames.shape, bool), ("vacancy",), (MatchRule(4.0),), guard=4)


def make_folder(path, **changes):
    return RunFolder.create(path, replace(SETTINGS, **changes), SearchSpace(), make_task())


class Crash(BaseException):
    """The search process dies here."""


class UnreliablePool(SerialPool):
    """The serial pool, where several jobs finish at once and things go wrong.

    `spoil(key)` is called with every finished job: what it returns is the job's failure instead; or it raises.
    The keys of all jobs that were run are in `ran`.
    """

    def __init__(self, function=evaluate, slots=1, spoil=lambda key: None):
        super().__init__(function)
        self.slots, self.spoil, self.ran, self._given = slots, spoil, [], 0

    @property
    def free(self):
        return max(0, self.slots - self._given)

    def submit(self, key, payload, attachment=b""):
        super().submit(key, payload, attachment)
        self._given += 1

    def finished(self, timeout=None):
        outcomes = [one for _ in range(self._given) for one in super(UnreliablePool, self).finished(timeout)]
        self._given -= len(outcomes)
        self.ran += [one.key for one in outcomes]
        failures = [self.spoil(one.key) for one in outcomes]
        return [replace(one, payload=None, failure=f) if f else one for one, f in zip(outcomes, failures, strict=True)]
