"""Which of the finalists are taken: the best, and whichever makes its average with others better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_menndl.metrics.detection import Fitness, fitness

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_menndl.task.task import TrainingTask

Probabilities = NDArray[np.floating]
#: What a further member must add to the fitness to be worth the time it takes in every prediction.
MINIMAL_GAIN = 0.005
_MOST_MEMBERS = 5


class Judge:
    """Scores out-of-fold probabilities against the task's labels.

    Parameters
    ----------
    task : TrainingTask
    split : int
        Whose folds the probabilities were left out of.
    seed : int
    """

    def __init__(self, task: TrainingTask, split: int, seed: int) -> None:
        self._task = task
        self._seed = seed
        folds = [task.split(split, fold).validate for fold in range(task.folds)]
        self._inside = np.logical_or.reduce(folds)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._task.class_names)

    def __call__(self, oof: Probabilities) -> Fitness:
        """Return the fitness of probabilities (N, C, Y, X) float."""
        rng = np.random.default_rng(self._seed)
        task = self._task
        return fitness(oof.astype(np.float32), task.labels, self._inside, task.class_names, task.detectors, rng)


@dataclass(frozen=True)
class Choice:
    """The members that are best on average.

    Attributes
    ----------
    members : tuple of int
        Ids; one, or up to five to be averaged.
    fitness : Fitness
        Of their average, out of fold; its thresholds are those to predict with.
    alone : dict of int to Fitness
        Of each finalist.
    """

    members: tuple[int, ...]
    fitness: Fitness
    alone: dict[int, Fitness]


def choose(oof: dict[int, Probabilities], judge: Callable[[Probabilities], Fitness]) -> Choice:
    """Take the best, then whichever adds most to the average, while it adds enough.

    Greedy forward selection (Caruana et al. 2004, 10.1145/1015330.1015432) without repetition, among the five best.

    Parameters
    ----------
    oof : dict of int to (N, C, Y, X) float
        Out-of-fold probabilities; at least one.
    judge : callable
    """
    alone = {identity: judge(one) for identity, one in oof.items()}
    ranked = sorted(alone, key=lambda identity: (-_value(alone[identity]), identity))
    members, reached = [ranked[0]], alone[ranked[0]]
    total: Probabilities = oof[ranked[0]].astype(np.float32)
    others = ranked[1:_MOST_MEMBERS]
    while others:
        tried = {one: judge((total + oof[one]) / (len(members) + 1)) for one in others}
        added = max(others, key=lambda one: _value(tried[one]))
        if _value(tried[added]) < _value(reached) + MINIMAL_GAIN:
            break
        members.append(added)
        others.remove(added)
        total, reached = total + oof[added], tried[added]
    return Choice(tuple(members), reached, alone)


def _value(found: Fitness) -> float:
    return -math.inf if found.value is None else found.value
