"""The answer of a search at any moment: the networks whose mean predicts best out of fold.

Every evaluation leaves the networks of its folds and the probabilities that each labelled pixel was given by the network
that had not seen it. From those of the best candidates an ensemble is chosen, anew whenever they change: nothing has to
be trained for it, and whatever ends the search, the best known is there.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from napari_menndl.metrics.codes import decode
from napari_menndl.metrics.detection import Fitness, fitness
from napari_menndl.network.checksum import is_intact
from napari_menndl.search.results import NEVER, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_menndl.metrics.scores import ClassScore
    from napari_menndl.search.candidate import Candidate
    from napari_menndl.task.task import TrainingTask

Codes = NDArray[np.uint8]
#: Candidates to choose from, and the memory that their probabilities may take [byte].
CANDIDATES, MEMORY = 12, 2**29
#: What a further member must add to the fitness to be worth the time it takes in every prediction.
MINIMAL_GAIN = 0.002


@dataclass(frozen=True, eq=False)
class Entry:
    """A candidate that was evaluated on all folds.

    Attributes
    ----------
    candidate : Candidate
        At the rung of the evaluation.
    fitness, error : float
    scores : tuple of ClassScore
    oof : (N, C, Y, X) uint8
        Its out-of-fold probabilities, as `metrics.codes.encode` writes them.
    """

    candidate: Candidate
    fitness: float
    error: float
    scores: tuple[ClassScore, ...]
    oof: Codes

    @property
    def rank(self) -> tuple[float, int]:
        """Smaller is better; ties go to the earlier birth."""
        return -self.fitness, self.candidate.id


class Judge:
    """Scores out-of-fold probabilities against the task's labels, as `training.evaluate` does.

    Parameters
    ----------
    task : TrainingTask
    seed : int
        Of the standard error's bootstrap.
    """

    def __init__(self, task: TrainingTask, seed: int) -> None:
        self._task = task
        self._seed = seed
        self._inside = np.logical_or.reduce([task.split(0, fold).validate for fold in range(task.folds)])

    def __call__(self, probabilities: NDArray[np.float32]) -> Fitness:
        """Return the fitness of probabilities (N, C, Y, X) float32."""
        task, rng = self._task, np.random.default_rng(self._seed)
        return fitness(probabilities, task.labels, self._inside, task.class_names, task.detectors, rng)


@dataclass(frozen=True)
class Answer:
    """Members to be averaged, and how good their mean is out of fold.

    Attributes
    ----------
    members : tuple of Entry
        The best candidate first.
    fitness : Fitness
        Of their mean. It was chosen on these labels, and so is optimistic by some of its standard error.
    """

    members: tuple[Entry, ...]
    fitness: Fitness

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(one.candidate.key for one in self.members)

    def conclusion(self, class_names: Sequence[str], folds: int) -> dict[str, Any]:
        """Return what the journal keeps: members with their networks and thresholds, thresholds of the mean, scores."""
        return {
            "members": [
                {
                    "id": one.candidate.id,
                    "key": one.candidate.key,
                    "networks": [(one.candidate.key, fold) for fold in range(folds)],
                    "genome": one.candidate.genome.to_json(),
                    "thresholds": _thresholds(one.scores, class_names),
                }
                for one in self.members
            ],
            "thresholds": _thresholds(self.fitness.scores, class_names),
            "fitness": self.fitness.value,
            "error": self.fitness.error,
            "scores": [asdict(score) for score in self.fitness.scores],
        }


class AnswerKeeper:
    """The best candidates with their out-of-fold probabilities, and the ensemble chosen from them.

    Parameters
    ----------
    judge : callable
        Probabilities (N, C, Y, X) float32 to `Fitness`.
    most : int
        Members at most; each takes as long to predict as it takes alone.

    Attributes
    ----------
    answer : Answer or None
        The latest chosen.
    """

    def __init__(self, judge: Callable[[NDArray[np.float32]], Fitness], most: int) -> None:
        self.answer: Answer | None = None
        self._judge = judge
        self._most = most
        self._entries: dict[int, Entry] = {}
        self._changed = False

    def take(self, entry: Entry) -> None:
        """Take in an evaluation; it stands in for an earlier one of the same candidate."""
        identity = entry.candidate.id
        known = self._entries.pop(identity, None)
        places = max(1, min(CANDIDATES, MEMORY // max(1, entry.oof.nbytes)))
        ranked = sorted([*self._entries.values(), entry], key=lambda one: one.rank)[:places]
        self._changed |= known is not None or entry in ranked
        self._entries = {one.candidate.id: one for one in ranked}

    @property
    def wanted_weights(self) -> set[str]:
        """Keys of the evaluations whose networks are in the answer, or may come into it."""
        return {one.candidate.key for one in self._entries.values()} | set(self.answer.keys if self.answer else ())

    def renew(self) -> bool:
        """Choose anew where something has changed.

        Returns
        -------
        bool
            Whether the answer is another one now.
        """
        if not self._changed or not self._entries:
            return False
        self._changed = False
        before, self.answer = self.answer, choose(list(self._entries.values()), self._judge, self._most)
        return before is None or before.keys != self.answer.keys


def choose(entries: Sequence[Entry], judge: Callable[[NDArray[np.float32]], Fitness], most: int) -> Answer:
    """Take the best, then whichever adds most to the mean, while it adds enough.

    Greedy forward selection without repetition (Caruana et al. 2004, doi:10.1145/1015330.1015432). The mean is never
    worse out of fold than the best candidate alone.

    Parameters
    ----------
    entries : sequence of Entry
        One at least.
    judge : callable
    most : int
        Members at most.
    """
    ranked = sorted(entries, key=lambda one: one.rank)
    members, others = ranked[:1], ranked[1:]
    total = decode(members[0].oof)
    reached = judge(total)
    while others and len(members) < most:
        share = np.float32(1 / (len(members) + 1))
        tried = [(judge((total + decode(one.oof)) * share), one) for one in others]
        found, added = max(tried, key=lambda pair: _value(pair[0]))
        if _value(found) < _value(reached) + MINIMAL_GAIN:
            break
        members.append(added)
        others.remove(added)
        total, reached = total + decode(added.oof), found
    return Answer(tuple(members), reached)


def read_oof(weights: bytes) -> Codes | None:
    """Read the out-of-fold probabilities (N, C, Y, X) uint8 that an evaluation left, where they are whole."""
    try:
        return load(weights)["oof"] if is_intact(weights) else None
    except (SafetensorError, KeyError):
        return None


def _thresholds(scores: Sequence[ClassScore], class_names: Sequence[str]) -> dict[str, float]:
    by_class = {score.name: min(score.cutoff, NEVER) for score in scores}
    return {name: by_class.get(name, UNKNOWN) for name in class_names}


def _value(found: Fitness) -> float:
    return -math.inf if found.value is None else found.value
