"""Asynchronous steady-state evolution: ask for candidates and tell their evaluations in any order, at any time.

There are no generations: `ask` returns offspring of the population as it is now. Ageing follows Real et al. 2019,
"Regularized evolution for image classifier architecture search", arXiv:1802.01548.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.genes import GenomeError
from napari_menndl.genome.variation import crossover, mutate, sample_genome
from napari_menndl.search.asha import Bracket
from napari_menndl.search.candidate import IMMIGRANT, Candidate, Founder, Scored

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_menndl.genome.evaluation import Evaluation
    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.space import SearchSpace
    from napari_menndl.search.candidate import EvaluationKey
    from napari_menndl.search.settings import SearchSettings

#: Attempts at one birth before the space counts as exhausted.
_ATTEMPTS = 100
#: Number of evaluations that a promotion is compared with, in populations.
_MEMORY = 4
#: Number of best candidates that are kept; some more than are asked for.
_KEPT = 48
#: A founder is born even if there is time for only this share of its training, which then ends earlier.
_LEAST_SHARE = 1 / 4
#: Number of latest first evaluations from which the time of the next is estimated.
_RECENT = 15


class Evolution:
    """Candidates of a search; pure bookkeeping without training, file access or clock.

    The n-th birth draws from ``default_rng([seed, n])``: the same evaluations in the same order give the same
    candidates, with or without interruptions. Time per birth is constant; the digest of every genome born is kept.

    Parameters
    ----------
    space : SearchSpace
    settings : SearchSettings
    given : sequence of Founder
        Founders from another search, born before those of the settings.

    Attributes
    ----------
    births, immigrants : int
        Candidates born so far, and how many of them came from other islands.
    in_flight : dict of str to Candidate
        Candidates asked for and not told yet, by key.
    population : list of Scored
        The possible parents, oldest first.
    best : Scored or None
        The candidate of highest fitness, each counting with its highest rung.
    stale : int
        Births since `best` was last surpassed.
    """

    def __init__(self, space: SearchSpace, settings: SearchSettings, given: Sequence[Founder] = ()) -> None:
        if unknown := sorted(set(settings.founders) - set(FOUNDERS)):
            raise InputError(f"founders among {', '.join(FOUNDERS)}", ", ".join(unknown), "Correct the name.")
        self.space = space
        self.settings = settings
        self.rungs = settings.ladder
        self.births = self.immigrants = 0
        self._root = settings.root
        self.in_flight: dict[str, Candidate] = {}
        self.population: list[Scored] = []
        self._hall_of_fame: list[Scored] = []
        self._record = -math.inf
        self._record_birth = 0
        self._digests: set[int] = set()
        self._levels = {rung.name: level for level, rung in enumerate(self.rungs)}
        window = _MEMORY * settings.population
        self._brackets = [Bracket(settings.eta, window) for _ in self.rungs[:-1]]
        self._newborn_seconds: deque[float] = deque(maxlen=_RECENT)
        digests = {one.genome.digest for one in given}
        own = [Founder(f"founder {name}", space.inputs.narrowed(FOUNDERS[name]())) for name in settings.founders]
        founders = [*given, *(one for one in own if one.genome.digest not in digests)]
        usable = {one.genome.digest for one in founders if self._usable(one.genome)}
        # Given founders are judged in any space, as methods without layers: the answer is never worse than they are.
        judged = usable | digests
        self._founders = [one for one in founders if not one.genome.layers or one.genome.digest in judged]
        self._outside = {one.genome.digest for one in self._founders} - usable
        self._given = {one.genome.digest: one.weights for one in given}

    # ------------------------------------------------------------------ ask

    def ask(self, number: int, births: float = math.inf, seconds: float = math.inf) -> list[Candidate]:
        """Propose candidates to evaluate: promotions first, then births.

        Parameters
        ----------
        number : int
            Maximum number of candidates; fewer if nothing is left to promote and no new genome is found.
        births : float
            Maximum number of births among them.
        seconds : float [s]
            Time left. Evaluations that would take longer are not proposed, founders excepted; if a newborn could not be
            trained as long as the best, waiting candidates are promoted instead.
        """
        asked: list[Candidate] = []
        last = self.births + births
        while len(asked) < number:
            candidate = self._promotion(seconds)
            if candidate is None and seconds < self._seconds_to_catch_up:
                candidate = self._late_promotion(seconds)
            share = _LEAST_SHARE if self.births < len(self._founders) else 1
            if candidate is None and self.births < last and share * self._seconds_of_newborn <= seconds:
                candidate = self._birth()
            if candidate is None:
                break
            self.register(candidate)
            asked.append(candidate)
        return asked

    def register(self, candidate: Candidate) -> None:
        """Register a candidate as asked for: a new one from `ask`, or one from the journal of an earlier process."""
        level = self._levels[candidate.rung.name]
        if level:
            self._brackets[level - 1].promote(candidate.id)
        else:
            self.births = candidate.id + 1
            self.immigrants += candidate.origin == IMMIGRANT
            self._digests.add(int(candidate.genome.digest, 16))
        self.in_flight[candidate.key] = candidate

    def admit(self, genome: Genome) -> Candidate | None:
        """Register a genome from another island as the next birth; None if it was born here before.

        Returns
        -------
        Candidate or None
            The candidate, in flight like those of `ask`.
        """
        if int(genome.digest, 16) in self._digests:
            return None
        candidate = Candidate(self.births, genome, self.rungs[0], (), IMMIGRANT)
        self.register(candidate)
        return candidate

    def promoted(self, identity: int, rung: str) -> Candidate:
        """Return the candidate for a promotion to `rung`."""
        level = self._levels[rung]
        below = self._brackets[level - 1].waiting(identity)
        return replace(below.candidate, rung=self.rungs[level], weights_of=below.key, inherits=None)

    def _promotion(self, seconds: float) -> Candidate | None:
        if self.births < len(self._founders):
            return None  # founders differ by design: all are compared before the first promotion
        for level, bracket in reversed(list(enumerate(self._brackets))):
            if (scored := bracket.next()) is not None and self._seconds_to_promote(scored, level) <= seconds:
                return self.promoted(scored.id, self.rungs[level + 1].name)
        return None

    def _late_promotion(self, seconds: float) -> Candidate | None:
        """Return the best waiting candidate that there is time to promote, whatever its rank at its rung."""
        if self.births < len(self._founders):
            return None
        waiting = [(level, bracket.best) for level, bracket in enumerate(self._brackets)]
        ready = [(o, level) for level, o in waiting if o is not None and self._seconds_to_promote(o, level) <= seconds]
        if not ready:
            return None
        scored, level = max(ready, key=lambda one: one[0].fitness)
        return self.promoted(scored.id, self.rungs[level + 1].name)

    def _seconds_to_promote(self, scored: Scored, level: int) -> float:
        """Return the time to train a candidate from a rung to the next [s]."""
        return scored.seconds_per_pixel * (self.rungs[level + 1].pixels - self.rungs[level].pixels)

    @property
    def _seconds_of_newborn(self) -> float:
        """Median time of the latest first evaluations [s]; 0 before the first."""
        return statistics.median(self._newborn_seconds) if self._newborn_seconds else 0.0

    @property
    def _seconds_to_catch_up(self) -> float:
        """Time to train a newborn for as long as the best candidate was [s]."""
        reached = self.best.candidate.rung.pixels if self.best else self.rungs[0].pixels
        return self._seconds_of_newborn * reached / self.rungs[0].pixels

    def _birth(self) -> Candidate | None:
        """Return the next unseen genome as a candidate; None if the space seems exhausted."""
        rng = np.random.default_rng([self._root, self.births])
        for genome, parents, origin in self._proposals(rng):
            if int(genome.digest, 16) not in self._digests:
                source = self._inherited_key(genome, parents)
                return Candidate(self.births, genome, self.rungs[0], parents, origin, inherits=source)
        return None

    def _inherited_key(self, genome: Genome, parents: tuple[int, ...]) -> EvaluationKey | None:
        """Return the key of what a newborn inherits: the latest evaluation of the first parent, or weights given."""
        if not self.settings.inherit:
            return None
        if not parents:
            return self._given.get(genome.digest)
        return next((one.key for one in self.population if one.id == parents[0]), None)

    def _proposals(self, rng: np.random.Generator) -> Iterator[tuple[Genome, tuple[int, ...], str]]:
        if self.births < len(self._founders):
            founder = self._founders[self.births]
            yield founder.genome, (), founder.origin
        if len(self.population) > 1 and rng.random() > self.settings.random:
            with suppress(InputError):  # the space may hold no genome but the parent
                for _ in range(_ATTEMPTS):
                    yield self._offspring(rng)
        for _ in range(_ATTEMPTS):
            yield sample_genome(self.space, rng), (), "random"

    def _offspring(self, rng: np.random.Generator) -> tuple[Genome, tuple[int, ...], str]:
        mother = self._tournament(rng)
        if rng.random() < self.settings.crossover:
            father = self._tournament(rng)
            if father.id != mother.id:
                child = crossover(mother.candidate.genome, father.candidate.genome, self.space, rng)
                return child, (mother.id, father.id), "crossover"
        child, words = mutate(mother.candidate.genome, self.space, rng)
        return child, (mother.id,), f"mutation: {words}"

    def _tournament(self, rng: np.random.Generator) -> Scored:
        size = min(self.settings.tournament, len(self.population))
        drawn = rng.choice(len(self.population), size=size, replace=False)
        return max((self.population[i] for i in drawn), key=lambda scored: scored.fitness)

    def _usable(self, genome: Genome) -> bool:
        try:
            self.space.check(genome)
        except GenomeError:
            return False
        return True

    # ------------------------------------------------------------------ tell

    def tell(self, key: str, evaluation: Evaluation) -> tuple[int, ...]:
        """Add an evaluation; a late or duplicate one changes nothing.

        A candidate without a fitness never becomes a parent.

        Returns
        -------
        tuple of int
            Ids of the candidates that left the population.
        """
        candidate = self.in_flight.pop(key, None)
        if candidate is None or evaluation.fitness is None or not math.isfinite(evaluation.fitness):
            return ()
        level = self._levels[candidate.rung.name]
        if level == 0:
            self._newborn_seconds.append(evaluation.seconds)
        pixels = self._pixels_trained(candidate, evaluation.share)
        scored = Scored(candidate, evaluation.fitness, evaluation.seconds / pixels)
        if level < len(self._brackets) and self._gains_by_training(scored, evaluation.error or 0.0):
            self._brackets[level].add(scored)
        self._update_hall_of_fame(scored)
        if candidate.genome.digest in self._outside:
            return ()  # a method from outside the space has no offspring in it
        return self._update_population(scored, newborn=level == 0)

    def _gains_by_training(self, scored: Scored, error: float) -> bool:
        """Whether a candidate may improve with longer training.

        A genome without layers is a regression on the inputs, which the first rung trains completely. A candidate that
        scored lower than at the rung below, by more than half a standard error, will not improve at the next.
        """
        below = next((one.fitness for one in self._hall_of_fame if one.id == scored.id), -math.inf)
        return bool(scored.candidate.genome.layers) and scored.fitness > below - error / 2

    def _pixels_trained(self, candidate: Candidate, share: float) -> float:
        """Return the labelled pixels that the training of an evaluation has shown each fold [px]."""
        level = self._levels[candidate.rung.name]
        before = self.rungs[level - 1].pixels if candidate.weights_of else 0
        return max(1.0, share * candidate.rung.pixels - before)

    def _update_population(self, scored: Scored, newborn: bool) -> tuple[int, ...]:
        if newborn:
            self.population.append(scored)
        else:
            self.population = [scored if one.id == scored.id else one for one in self.population]
        if len(self.population) <= self.settings.population:
            return ()
        # Age counts from joining, not from birth: a network that trains slowly must not be old when it arrives.
        by_age = self.settings.replacement == "age"
        leaving = 0 if by_age else min(range(len(self.population)), key=lambda i: self.population[i].fitness)
        return (self.population.pop(leaving).id,)

    def _update_hall_of_fame(self, scored: Scored) -> None:
        """Add a candidate to the best; one that scores lower at a higher rung moves down."""
        hall = [one for one in self._hall_of_fame if one.id != scored.id]
        hall = sorted([*hall, scored], key=lambda one: (-one.fitness, one.id))
        self._hall_of_fame = hall[:_KEPT]
        if scored.fitness > self._record:
            self._record, self._record_birth = scored.fitness, self.births

    # ------------------------------------------------------------------ state

    @property
    def best(self) -> Scored | None:
        return self._hall_of_fame[0] if self._hall_of_fame else None

    @property
    def median(self) -> float | None:
        """Median fitness of the population; None if it is empty."""
        fitness = sorted(one.fitness for one in self.population)
        return fitness[len(fitness) // 2] if fitness else None

    @property
    def stale(self) -> int:
        return self.births - self._record_birth

    def seconds_per_pixel(self, identity: int) -> float:
        """Return the pace of a candidate's latest evaluation [s/px of each fold]; 0 if not among the best."""
        return next((one.seconds_per_pixel for one in self._hall_of_fame if one.id == identity), 0.0)

    def leaders(self, number: int) -> list[Scored]:
        """Return the best candidates so far, best first; at most `_KEPT`."""
        return self._hall_of_fame[:number]

    @property
    def wanted_weights(self) -> set[str]:
        """Keys of the evaluations whose weights may be needed: population, best, close to promotion, in flight."""
        about_to = [one for bracket in self._brackets for one in bracket.close(besides=self.settings.eta)]
        wanted = {one.key for one in (*self.population, *self._hall_of_fame[:1], *about_to)}
        return wanted | {one.starts_from for one in self.in_flight.values() if one.starts_from}
