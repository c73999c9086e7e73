"""Queue that keeps a pool busy with candidates and separates failures of genomes from losses of the pool."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import Failure, InputError
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.network.checksum import is_intact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from napari_menndl.pool.protocol import Outcome, Pool
    from napari_menndl.search.candidate import Candidate

#: Losses after which a candidate is given up: if others succeeded meanwhile; if it ends with an error.
_LOSSES_AMONG_SUCCESSES, _ERRORS = 3, 5
#: First and longest wait before a lost candidate is submitted again; doubled each time [s].
_WAIT, _LONGEST_WAIT = 0.25, 30.0
#: Longest sleep while nothing is in flight [s].
_IDLE = 0.02


@dataclass(frozen=True)
class Result:
    """Result of a candidate's job.

    Attributes
    ----------
    candidate : Candidate
    evaluation : Evaluation
    attachment : bytes
    outcome : Outcome
    lost : Failure or None
        Loss that is not the genome's failure: the evaluation does not count, and the candidate is submitted again.
    """

    candidate: Candidate
    evaluation: Evaluation
    attachment: bytes
    outcome: Outcome
    lost: Failure | None = None

    @property
    def key(self) -> str:
        return self.candidate.key


@dataclass
class _Losses:
    count: int
    successes_before: int


class EvaluationQueue:
    """Queue of candidates that a pool evaluates.

    Parameters
    ----------
    pool : Pool
    job : callable
        Returns payload and attachment of a candidate's job; called when the pool takes the candidate.
    """

    def __init__(self, pool: Pool, job: Callable[[Candidate], tuple[dict[str, Any], bytes]]) -> None:
        self.pool = pool
        self.in_flight: dict[str, Candidate] = {}
        self._job = job
        self._queue: deque[tuple[float, Candidate]] = deque()
        self._losses: dict[str, _Losses] = {}
        self._successes = 0
        self._lost_in_a_row = 0

    @property
    def free(self) -> int:
        """Number of candidates that the pool would take now, beyond those already queued.

        A candidate that waits after a loss takes no slot from others, unless the latest result was a loss.
        """
        now, queue = time.monotonic(), self._queue
        waiting = len(queue) if self._lost_in_a_row else sum(due <= now for due, _ in queue)
        return max(0, self.pool.free - waiting)

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight."""
        return not self.in_flight

    @property
    def waits(self) -> bool:
        """Whether no slot is busy and none is free: no worker has joined yet, or all have left."""
        at_work = self.pool.slots > 0 and len(self._queue) < len(self.in_flight)
        return not at_work and not self.pool.free

    def submit(self, candidates: Iterable[Candidate]) -> None:
        """Submit candidates to the pool, or queue them until it has room; those already in flight are skipped."""
        for candidate in candidates:
            if candidate.key not in self.in_flight:
                self.in_flight[candidate.key] = candidate
                self._queue.append((0.0, candidate))
        self._send()

    def _send(self) -> None:
        now, free = time.monotonic(), self.pool.free
        for _ in range(len(self._queue)):
            due, candidate = self._queue.popleft()
            if free > 0 and due <= now:
                self.pool.submit(candidate.key, *self._job(candidate))
                free -= 1
            else:
                self._queue.append((due, candidate))

    def finished(self, timeout: float) -> list[Result]:
        """Wait for results; late and duplicate results are dropped.

        Parameters
        ----------
        timeout : float [s]

        Raises
        ------
        InputError
            If the pool loses every job.
        """
        self._send()
        if self.idle:
            time.sleep(min(timeout, _IDLE))
            return []
        if len(self._queue) == len(self.in_flight):
            # Nothing is running; the pool would return at once.
            time.sleep(min(timeout, max(0.0, min(due for due, _ in self._queue) - time.monotonic())))
            self._send()
        outcomes = [one for one in self.pool.finished(timeout) if one.key in self.in_flight]
        return [self._judge(one) for one in outcomes if one.key in self.in_flight]

    def cancel(self) -> None:
        """Give up all candidates in flight; they can be submitted again."""
        for key in self.in_flight:
            self.pool.cancel(key)
        self.in_flight.clear()
        self._queue.clear()

    def _judge(self, outcome: Outcome) -> Result:
        candidate = self.in_flight[outcome.key]
        evaluation = _evaluation(outcome, candidate)
        failure = evaluation.failure
        if failure is None or failure.blames_genome:
            self._successes += 1
            self._lost_in_a_row = 0
        elif self._tries_again(candidate, failure):
            return Result(candidate, evaluation, b"", outcome, lost=failure)
        self._losses.pop(outcome.key, None)
        del self.in_flight[outcome.key]
        return Result(candidate, evaluation, outcome.attachment, outcome)

    def _tries_again(self, candidate: Candidate, failure: Failure) -> bool:
        self._check_pool(failure)
        losses = self._losses.setdefault(candidate.key, _Losses(0, self._successes))
        losses.count += 1
        if losses.count >= _LOSSES_AMONG_SUCCESSES and self._successes > losses.successes_before:
            return False
        if losses.count >= _ERRORS and self._successes and failure.kind == "error":
            return False
        wait = 0.0 if losses.count == 1 else min(_LONGEST_WAIT, _WAIT * 2.0 ** (losses.count - 2))
        self._queue.append((time.monotonic() + wait, candidate))
        return True

    def _check_pool(self, failure: Failure) -> None:
        """Raise InputError after too many losses in a row; fewer are tolerated if nothing has succeeded yet."""
        self._lost_in_a_row += 1
        slots = self.pool.slots
        broken = failure.kind == "error" and not self._successes
        if self._lost_in_a_row > (5 + slots if broken else 10 + 3 * slots):
            raise InputError(
                "a pool that trains networks",
                f"{self._lost_in_a_row} losses in a row, the last one {failure.kind}: {failure.message}",
                "See search.log, put the pool right and resume: nothing was counted against a network.",
            )


def _evaluation(outcome: Outcome, candidate: Candidate) -> Evaluation:
    failure = outcome.failure
    if failure is None:
        try:
            found = Evaluation.from_json((outcome.payload or {})["evaluation"])
            if found.fitness is not None and not math.isfinite(found.fitness):
                found = replace(found, fitness=None, failure=Failure("diverged", "The fitness is not finite."))
            if not outcome.attachment or is_intact(outcome.attachment):
                return replace(found, rung=candidate.rung.name)
            failure = Failure("error", "The weights that came back are damaged.")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            failure = Failure("error", f"no evaluation came back: {error!r}")
    return Evaluation(candidate.rung.name, seconds=max(0.0, outcome.finished - outcome.started), failure=failure)
