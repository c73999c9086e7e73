"""The last step: the best are judged on new folds, members chosen, and trained on everything that is labelled."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from napari_menndl.genome.evaluation import Evaluation, Rung
from napari_menndl.network.checksum import is_intact
from napari_menndl.search.candidate import Candidate, Scored
from napari_menndl.search.choosing import choose
from napari_menndl.search.results import NEVER, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_menndl.metrics.detection import Fitness
    from napari_menndl.search.choosing import Choice, Judge, Probabilities
    from napari_menndl.search.settings import SearchSettings


def allot(
    best: Sequence[Scored], settings: SearchSettings, folds: int, seconds: float, slots: int
) -> tuple[list[Candidate], str]:
    """Enter the best, passing over those too costly for the time left, at the highest rung that lets one in.

    They begin anew, since a network of the search has seen what it would now be judged on; with fewer pixels than in
    the search their order says little, so that one trained in full beats a choice among many.

    Parameters
    ----------
    best : sequence of Scored
        Best first.
    settings : SearchSettings
    folds : int
        Of the task; a finalist is trained once for each, and once more on everything if it is chosen.
    seconds : float [s]
        Time left; may be infinite.
    slots : int
        Trainings at a time.

    Returns
    -------
    finalists : list of Candidate
        At the rung "final".
    note : str
        What was decided, for the journal.
    """
    pixels, entering = 0, list(best[:1])
    for rung in reversed(settings.rungs):
        pixels = rung.pixels
        fitting: list[Scored] = []
        for one in best:
            costs = [each.seconds_per_pixel * pixels for each in (*fitting, one)]
            if _takes(costs, folds, slots) <= seconds:
                fitting.append(one)
        if fitting:
            entering = fitting
            break
    final = Rung("final", pixels, tuple(range(folds)), settings.final_split)
    note = f"{len(entering)} of {len(best)} finalists on {folds} new folds, {pixels} px each"
    if len(entering) < len(best) or pixels < settings.rungs[-1].pixels:
        note += f": {max(0.0, seconds):.0f} s are left"
    return [Candidate(one.id, one.candidate.genome, final, (), "finalist") for one in entering], note


def _takes(costs: Sequence[float], folds: int, slots: int) -> float:
    """Time until all folds are trained, each on the slot that is free first, and then the costliest once more [s]."""
    busy = [0.0] * max(1, slots)
    for cost in costs:
        for _ in range(folds):
            heapq.heapreplace(busy, busy[0] + cost)
    return max(busy) + max(costs, default=0.0)


class Finalists:
    """Asks for the finalists' evaluations, then for the training of the chosen ones; the evolution's successor.

    Each fold is an evaluation of its own, at the rung "final0", "final1", …, so that all slots share in the work.

    Parameters
    ----------
    entrants : sequence of Candidate
        At the rung "final".
    judge : Judge
    oof : callable
        Key → out-of-fold probabilities (N, C, Y, X), or None when there are none.
    results : dict of str to Evaluation
        By key: what an interrupted last step has already.

    Attributes
    ----------
    done : bool
    members : list of Candidate
        The chosen ones, at the rung "whole".
    """

    def __init__(
        self,
        entrants: Sequence[Candidate],
        judge: Judge,
        oof: Callable[[str], Probabilities | None],
        results: dict[str, Evaluation],
    ) -> None:
        self._entrants = list(entrants)
        self._judge = judge
        self._oof = oof
        self._results = dict(results)
        self._choice: Choice | None = None
        self.members: list[Candidate] = []
        self.done = False
        known = {key for key, one in results.items() if one.failure or key.endswith("/whole") or oof(key) is not None}
        self._queue = deque(one for entrant in entrants for one in _folds(entrant) if one.key not in known)
        self._open: set[str] = set()
        if not self._queue:
            self._advance()

    def ask(self, number: int) -> list[Candidate]:
        """Propose up to `number` candidates to evaluate."""
        asked = [self._queue.popleft() for _ in range(min(number, len(self._queue)))]
        self._open.update(one.key for one in asked)
        return asked

    def tell(self, key: str, evaluation: Evaluation) -> tuple[int, ...]:
        """Take in an evaluation; nobody leaves a population for it."""
        if key in self._open:
            self._open.discard(key)
            self._results[key] = evaluation
            if not self._open and not self._queue:
                self._advance()
        return ()

    def hurry(self) -> None:
        """Time is over: judge those that are evaluated, once there is one."""
        if not self.members and any(self._judged(one) for one in self._entrants):
            self._queue.clear()
            if not self._open and not self.done:
                self._advance()

    def _advance(self) -> None:
        """Choose, if that is not done yet, and ask for the training of the chosen; then be done."""
        if self._choice is None:
            self._choice = self._choose()
        if self._choice is not None:
            by_id = {one.id: one for one in self._entrants}
            self.members = [_whole(by_id[identity]) for identity in self._choice.members]
            self._queue.extend(one for one in self.members if one.key not in self._results)
        self.done = not self._queue

    def _choose(self) -> Choice | None:
        oof = {}
        for entrant in self._entrants:
            if self._judged(entrant):
                parts = [self._oof(one.key) for one in _folds(entrant) if not self._results[one.key].failure]
                found = [part for part in parts if part is not None]
                if found and len(found) == len(parts):
                    # Each is 0 where its fold does not validate; where training failed, nothing is found.
                    oof[entrant.id] = np.sum(found, axis=0)
        return choose(oof, self._judge) if oof else None

    def _judged(self, entrant: Candidate) -> bool:
        """Whether all its folds are evaluated."""
        return all(one.key in self._results for one in _folds(entrant))

    def conclusion(self) -> dict[str, Any]:
        """Return what the journal keeps: members, thresholds and out-of-fold scores; no members when all failed."""
        if self._choice is None:
            return {"members": [], "thresholds": {}, "fitness": None, "error": None, "scores": [], "finalists": []}
        found, alone = self._choice.fitness, self._choice.alone
        return {
            "members": [
                {
                    "id": one.id,
                    "key": one.key,
                    "networks": self._networks(one),
                    "genome": one.genome.to_json(),
                    "thresholds": self._thresholds(alone[one.id]),
                }
                for one in self.members
            ],
            "thresholds": self._thresholds(found),
            "fitness": found.value,
            "error": found.error,
            "scores": [asdict(score) for score in found.scores],
            "finalists": [{"id": one, "fitness": fit.value, "error": fit.error} for one, fit in alone.items()],
        }

    def _networks(self, member: Candidate) -> list[tuple[str, int | str]]:
        """Key and fold of all its networks: those of the folds, which the thresholds come from, and the whole one."""
        entrant = next(one for one in self._entrants if one.id == member.id)
        trained: list[tuple[str, int | str]] = [(one.key, one.rung.folds[0]) for one in _folds(entrant)]
        trained.append((member.key, "whole"))
        return [(key, fold) for key, fold in trained if not self._results[key].failure]

    def _thresholds(self, found: Fitness) -> dict[str, float]:
        by_class = {score.name: min(score.cutoff, NEVER) for score in found.scores}
        return {name: by_class.get(name, UNKNOWN) for name in self._judge.names}


def read_oof(path: Path) -> Probabilities | None:
    """Read the out-of-fold probabilities (N, C, Y, X) that a finalist's evaluation left, if they are whole."""
    try:
        blob = path.read_bytes()
        return load(blob)["oof"] if is_intact(blob) else None
    except (OSError, SafetensorError, KeyError):
        return None


def _folds(entrant: Candidate) -> list[Candidate]:
    """One candidate for each fold of its rung."""
    rung = entrant.rung
    return [replace(entrant, rung=replace(rung, name=f"{rung.name}{fold}", folds=(fold,))) for fold in rung.folds]


def _whole(entrant: Candidate) -> Candidate:
    """As long as for the folds that its thresholds come from."""
    return Candidate(entrant.id, entrant.genome, Rung("whole", entrant.rung.pixels, ()), (), "member")
