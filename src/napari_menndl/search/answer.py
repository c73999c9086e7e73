"""Ensemble answer of a search: the networks whose mean predicts best out of fold.

Every evaluation leaves the networks of its folds and, for every labelled pixel, the probabilities predicted by the
network that had not seen it. The ensemble is chosen from the best candidates, class by class, and again whenever they
change: this needs no training, and however the search ends, its best answer so far is available.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from napari_menndl.genome.genome import Genome
from napari_menndl.metrics.detection import Fitness, Truth, mean_over_classes
from napari_menndl.metrics.ranking import decode_probabilities
from napari_menndl.network.checksum import is_intact
from napari_menndl.search.candidate import Candidate
from napari_menndl.search.facts import AnswerChosen, AnswerMember
from napari_menndl.search.results import NEVER, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from napari_menndl.genome.evaluation import Rung
    from napari_menndl.metrics.scores import ClassScore
    from napari_menndl.search.candidate import EvaluationKey
    from napari_menndl.task.task import TrainingTask

Probabilities = NDArray[np.float32]
Codes = NDArray[np.uint8]
#: Number of candidates to choose from, and limit of the memory for their probabilities [byte].
CANDIDATES, MEMORY = 12, 2**29
#: A member is clearly better at a class than the mean if its score is higher by this value over the root of the number
#: of labelled defects (by a fifth for two defects). It then predicts the class alone. A clearly worse member does not
#: take part in the class, even if the few labelled defects do not show the harm.
CLEARLY = 0.3


@dataclass(frozen=True, eq=False)
class Entry:
    """A candidate that was evaluated on all folds.

    Attributes
    ----------
    candidate : Candidate
        At the rung of the evaluation.
    fitness : float
    thresholds : mapping of str to float
        By class, for this candidate alone.
    """

    candidate: Candidate
    fitness: float
    thresholds: Mapping[str, float | None]

    @property
    def key(self) -> EvaluationKey:
        return self.candidate.key

    @property
    def rank(self) -> tuple[float, int]:
        """Sort key: smaller is better; ties go to the earlier birth."""
        return -self.fitness, self.candidate.id


class Judge:
    """Judge of out-of-fold probabilities against the task's labels, as in `training.evaluate`.

    Parameters
    ----------
    task : TrainingTask
    seed : int
        Seed of the bootstrap that gives the standard error.
    """

    def __init__(self, task: TrainingTask, seed: int) -> None:
        self._task = task
        self._seed = seed
        inside = np.logical_or.reduce([task.split(0, fold).validate for fold in range(task.folds)])
        self._alone: dict[str, tuple[Codes, Fitness]] = {}
        self._truth = Truth.of(task.labels, inside, task.class_names, task.match_rules)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self._task.class_names)

    @property
    def places(self) -> int:
        """Number of candidates whose probabilities may be held in memory."""
        size = self._task.labels.size * len(self._task.class_names)
        return max(1, min(CANDIDATES, MEMORY // size))

    def __call__(self, probabilities: Probabilities) -> Fitness:
        """Return the fitness of probabilities (N, C, Y, X) float32."""
        return self._truth.judge(probabilities, np.random.default_rng(self._seed))

    def alone(self, codes: Mapping[str, Codes]) -> dict[str, Fitness]:
        """Return the fitness of each candidate alone, by key; results of the previous call are reused."""
        known, self._alone = self._alone, {}
        for key, one in codes.items():
            judged = known.get(key)
            self._alone[key] = judged if judged and judged[0] is one else (one, self(decode_probabilities(one)))
        return {key: found for key, (_, found) in self._alone.items()}


@dataclass(frozen=True)
class Answer:
    """Ensemble of members averaged class by class, with its fitness out of fold.

    Attributes
    ----------
    members : tuple of Entry
        Each predicts at least one class.
    votes : tuple of frozenset of str
        The classes that each member predicts; the mean of a class is over the members that do.
    fitness : Fitness
        Fitness of the means. Optimistic by part of its standard error, because the members were chosen on the same
        labels.
    """

    members: tuple[Entry, ...]
    votes: tuple[frozenset[str], ...]
    fitness: Fitness

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(one.key for one in self.members)

    @property
    def value(self) -> float:
        return -math.inf if self.fitness.value is None else self.fitness.value

    def fact(self, class_names: Sequence[str], folds: int, refits: Mapping[str, Sequence[int]]) -> AnswerChosen:
        """Return the fact for the journal: members with their networks and thresholds, thresholds of the mean, scores.

        Parameters
        ----------
        class_names : sequence of str
        folds : int
        refits : mapping of str to sequence of int
            The folds whose networks were refit on all labels, by the key of the refit. They predict instead of the
            networks that have each seen part of the labels; thresholds and scores stay those measured out of fold.
        """
        members = tuple(
            AnswerMember(
                id=one.candidate.id,
                key=one.key,
                networks=tuple((one.key.refit, fold) for fold in refits.get(one.key.refit, ()))
                or tuple((one.key, fold) for fold in range(folds)),
                genome=one.candidate.genome.to_json(),
                fitness=one.fitness,
                thresholds=dict(one.thresholds),
                classes=tuple(name for name in class_names if name in votes),
            )
            for one, votes in zip(self.members, self.votes, strict=True)
        )
        thresholds = thresholds_of(self.fitness.scores, class_names)
        return AnswerChosen(
            members=members,
            thresholds=dict(thresholds),
            fitness=self.fitness.value,
            error=self.fitness.error,
            scores=self.fitness.scores,
        )

    @classmethod
    def from_fact(cls, fact: AnswerChosen, ladder: Sequence[Rung]) -> Answer | None:
        """Read the answer from a fact; None if an earlier version chose it without classes: choose it again."""
        rungs = {rung.name: rung for rung in ladder}
        members, votes = [], []
        for one in fact.members:
            if one.classes is None:
                return None
            candidate = Candidate(one.id, Genome.from_json(one.genome), rungs[one.key.rung])
            members.append(Entry(candidate, one.fitness, one.thresholds))
            votes.append(frozenset(one.classes))
        return cls(tuple(members), tuple(votes), Fitness(fact.fitness, fact.error, fact.scores, ()))


class AnswerKeeper:
    """Keeper of the best candidates and of the ensemble chosen from them.

    Parameters
    ----------
    judge : Judge
    most : int
        Maximum number of members; each adds its own time to a prediction.
    read : callable
        Returns the out-of-fold probabilities of an evaluation by its key, (N, C, Y, X) uint8, as
        `metrics.ranking.encode_probabilities` writes them; None if there are none.

    Attributes
    ----------
    answer : Answer or None
        The latest choice.
    """

    def __init__(self, judge: Judge, most: int, read: Callable[[str], Codes | None]) -> None:
        self.answer: Answer | None = None
        self._judge = judge
        self._most = most
        self._read = read
        self._entries: list[Entry] = []
        self._codes: dict[str, Codes] = {}
        self._changed = self._outdated = False

    def take(self, entry: Entry) -> None:
        """Add an evaluation; it replaces an earlier one of the same candidate."""
        others = [one for one in self._entries if one.candidate.id != entry.candidate.id]
        ranked = sorted([*others, entry], key=lambda one: one.rank)[: self._judge.places]
        self._changed |= ranked != self._entries
        self._entries = ranked
        if self.answer and any(one.candidate.id == entry.candidate.id for one in self.answer.members):
            self._outdated |= entry.key not in self.answer.keys

    def restore(self, answer: Answer) -> None:
        """Continue with an earlier answer; the evaluations up to it must have been added already."""
        self.answer = answer
        now = {one.candidate.id: one.key for one in self._entries}
        self._outdated = any(now.get(one.candidate.id, one.key) != one.key for one in answer.members)

    @property
    def wanted_weights(self) -> set[str]:
        """Keys of the evaluations whose networks are in the answer or may enter it, and of their refits."""
        members = self.answer.members if self.answer else ()
        return {one.key for one in (*self._entries, *members)} | {one.key.refit for one in members}

    def renew(self) -> bool:
        """Choose again if something has changed; accept a worse answer only if a member was evaluated again.

        Returns
        -------
        bool
            Whether a new answer was chosen.
        """
        if not (self._changed or self._outdated):
            return False
        known, self._codes = self._codes, {}
        for one in self._entries:
            if (codes := known[one.key] if one.key in known else self._read(one.key)) is not None:
                self._codes[one.key] = codes
        usable = [one for one in self._entries if one.key in self._codes]
        if not usable:
            return False
        before, chosen = self.answer, choose(usable, self._codes, self._judge, self._most)
        if before is None or self._outdated or chosen.value > before.value:
            self.answer = chosen
        self._changed = self._outdated = False
        return self.answer is chosen


def choose(entries: Sequence[Entry], codes: Mapping[str, Codes], judge: Judge, most: int) -> Answer:
    """Choose the best candidate, then add whichever helps most, as long as one helps.

    Greedy forward selection without repetition (Caruana et al. 2004, doi:10.1145/1015330.1015432). The mean of each
    class is decided separately: a further member joins it, stays out of it, or replaces it if clearly better
    (`CLEARLY`). The answer is never worse out of fold than the best candidate alone.

    Parameters
    ----------
    entries : sequence of Entry
        At least one.
    codes : mapping of str to (N, C, Y, X) uint8
        Out-of-fold probabilities by key.
    judge : Judge
    most : int
        Maximum number of members.
    """
    ranked = sorted(entries, key=lambda one: one.rank)
    alone = judge.alone({one.key: codes[one.key] for one in ranked})
    mean = _Mean(judge.names, ranked[0], decode_probabilities(codes[ranked[0].key]), alone[ranked[0].key])
    others = ranked[1:]
    while others and len(mean.members) < most:
        found = [mean.joined_by(one, decode_probabilities(codes[one.key]), alone[one.key], judge) for one in others]
        best = max(found, key=lambda one: one.value)
        if best.value <= mean.value:
            break
        mean = best
        others = [one for one in others if one not in mean.members]
    members = [one for one in mean.members if any(one in votes for votes in mean.votes.values())]
    votes = tuple(frozenset(name for name in judge.names if one in mean.votes[name]) for one in members)
    return Answer(tuple(members), votes, judge(mean.probabilities))


class _Mean:
    """Members whose probabilities are averaged, class by class.

    Attributes
    ----------
    members : list of Entry
    votes : dict of str to list of Entry
        The members in the mean of each class.
    probabilities : (N, C, Y, X) float32
        The means.
    scores : dict of str to ClassScore
        Scores of the classes that were judged.
    """

    def __init__(self, names: Sequence[str], first: Entry, probabilities: Probabilities, found: Fitness) -> None:
        self.members = [first]
        self.votes = {name: [first] for name in names}
        self.probabilities = probabilities
        self.scores = {score.name: score for score in found.scores}

    @property
    def value(self) -> float:
        return mean_over_classes(list(self.scores.values())) if self.scores else -math.inf

    def joined_by(self, entry: Entry, probabilities: Probabilities, alone: Fitness, judge: Judge) -> _Mean:
        """Return this mean with one more member, which joins the classes where it helps."""
        shares = np.array([1 / (len(votes) + 1) for votes in self.votes.values()], np.float32)[:, None, None]
        both = self.probabilities + (probabilities - self.probabilities) * shares
        together = {score.name: score for score in judge(both).scores}
        by_itself = {score.name: score for score in alone.scores}
        joined = copy(self)
        joined.members = [*self.members, entry]
        joined.votes, joined.scores, joined.probabilities = dict(self.votes), dict(self.scores), both.copy()
        for c, name in enumerate(self.votes):
            if name not in self.scores:  # nothing is known of the class: every member takes part
                joined.votes[name] = [*self.votes[name], entry]
                continue
            before, now, own = (scores[name].worth for scores in (self.scores, together, by_itself))
            margin = CLEARLY / math.sqrt(self.scores[name].tp + self.scores[name].fn)
            if own > max(before, now) + margin:
                joined.votes[name], joined.scores[name] = [entry], by_itself[name]
                joined.probabilities[:, c] = probabilities[:, c]
            elif now >= before and own >= before - margin:
                joined.votes[name], joined.scores[name] = [*self.votes[name], entry], together[name]
            else:
                joined.probabilities[:, c] = self.probabilities[:, c]
        return joined


def read_oof(weights: bytes) -> Codes | None:
    """Read the out-of-fold probabilities (N, C, Y, X) uint8 that an evaluation left; None if absent or damaged."""
    try:
        return load(weights)["oof"] if is_intact(weights) else None
    except (SafetensorError, KeyError):
        return None


def thresholds_of(scores: Sequence[ClassScore], class_names: Sequence[str]) -> dict[str, float]:
    """Return the threshold of each class by name; `UNKNOWN` for a class without labelled defects."""
    by_class = {score.name: min(score.cutoff, NEVER) for score in scores}
    return {name: by_class.get(name, UNKNOWN) for name in class_names}
