"""The search itself: evolution proposes, the pool evaluates, the journal remembers."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.search.answer import Answer, AnswerKeeper, Entry, Judge, read_oof, thresholds_of
from napari_menndl.search.evaluation_queue import EvaluationQueue
from napari_menndl.search.events import SearchEvents
from napari_menndl.search.evolution import Evolution
from napari_menndl.search.facts import AnswerChosen, Arrived, Best, Finished, Resumed, Retired, Started, Stopped
from napari_menndl.search.goals import parse_budget
from napari_menndl.search.islands.exchange import Exchange, open_exchange
from napari_menndl.search.replay import replay
from napari_menndl.search.run_writer import RunWriter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.genome.evaluation import Evaluation
    from napari_menndl.pool.protocol import Pool
    from napari_menndl.search.candidate import Candidate
    from napari_menndl.search.folder import RunFolder

log = logging.getLogger(__name__)
#: Between two telemetry facts; between two looks for requests [s].
_TELEMETRY, _REQUESTS = 5.0, 0.2
#: The answer is renewed so seldom that it takes no more than this share of the time.
_RENEWAL = 0.05
#: So many networks at least predict together, where they have seen all labels: fewer are noisier, and thresholds, which
#: are chosen on single networks of each member, hold less for the mean of more (docs/benchmarks.md).
_LEAST_NETWORKS = 8
#: Pixels of a refit, in those of the first rung: the networks know most already.
_REFIT = 0.5
#: A refit may take so much longer than its share of the evaluation did.
_REFIT_MARGIN = 1.25
_PAUSED, WAITING = "paused: disk full", "waiting for workers; the budget does not run meanwhile"
REFITTING = "training the chosen networks on all labels"


class SearchRunner:
    """Runs the search of a run folder, from its start or from where its journal ends.

    Parameters
    ----------
    folder : RunFolder
    pool : Pool
        Its jobs are `training.job.run` or something of the same shape.
    evolution : Evolution, optional
        Left out: that of the folder's space and settings.
    grace : float [s]
        When asked to stop, what is being evaluated may take so long to end; the rest is evaluated when resumed.
    stop : threading.Event, optional
        Set by whoever wants the search to stop, such as a signal's handler.

    Attributes
    ----------
    events : SearchEvents
    state : str
        ``"new"``, ``"searching"``, `WAITING`, `REFITTING`, ``"paused: disk full"``, ``"stopped"``, ``"finished"``.
    """

    def __init__(
        self,
        folder: RunFolder,
        pool: Pool,
        evolution: Evolution | None = None,
        *,
        grace: float = 2.0,
        stop: threading.Event | None = None,
    ) -> None:
        self.folder = folder
        self.settings = folder.settings
        self.evolution = evolution or Evolution(folder.space, folder.settings)
        self.goal = parse_budget(self.settings.budget)
        self.events = SearchEvents()
        self.state = "new"
        self._pool = pool
        self._jobs = EvaluationQueue(pool, self._job)
        self._grace = grace
        self._stop = stop or threading.Event()
        self._looked_at = 0.0
        self._paused_from = ""
        self._renewed_at = self._renewal_took = 0.0
        self._exchange: Exchange | None = None

    @cached_property
    def _keeper(self) -> AnswerKeeper:
        judge = Judge(self.folder.task, self.settings.seed)
        return AnswerKeeper(judge, self.settings.members, lambda key: read_oof(self.folder.read_weights(key)))

    def stop(self) -> None:
        """Ask for an end at the next opportunity; from a signal handler or another thread."""
        self._stop.set()

    def run(self) -> str:
        """Search until the goal is reached, or until asked to stop.

        Returns
        -------
        str
            The state: ``"finished"`` or ``"stopped"``.

        Raises
        ------
        InputError
            When another process searches in the folder, the journal is damaged, or the pool trains nothing.
        """
        exchange = open_exchange(self.folder, self.evolution)
        recorder = RunWriter(self.folder, self._pool.telemetry, self._pause, lambda: self._jobs.waits)
        with self.folder.lock(), recorder as self._record, exchange as self._exchange:
            for candidate, evaluation in replay(self._record.replay(), self.evolution):
                self._consider(candidate, evaluation)
            if (fact := self._record.status.answer) and (answer := Answer.from_fact(fact, self.settings.ladder)):
                self._keeper.restore(answer)
            if self._record.status.finished and (self._goal_reached() or not self._births_left()):
                self._change_state("finished")
                return self.state
            try:
                try:
                    self._begin()
                    if reason := self._search():
                        self._finish(reason)
                except InputError as error:
                    self._leave(str(error))
                    raise
                except KeyboardInterrupt:
                    self.stop()
                if self.state != "finished":
                    self._leave("asked to stop")
            except _StillFullError:
                self.state = "stopped"  # views, for which nothing could be recorded, see it as interrupted
            return self.state

    # ------------------------------------------------------------------ the heart

    def _search(self) -> str:
        """Evolve until the goal is reached; returns why it ended, or nothing where it was asked to stop."""
        reason = ""
        while not self._stopping():
            if self.state != (state := self._doing):
                self._change_state(state)
            if not reason and (reason := self._goal_reached()):
                self._jobs.cancel()
            free, seconds = self._jobs.free, self.goal.seconds - self._record.elapsed
            if seconds <= 0:
                return reason
            candidates = [] if reason else self._candidates(free, seconds)
            if candidates:
                self._record.announce(candidates)
            elif free:
                candidates = self._refits(free, seconds)
            self._jobs.submit(candidates)
            # A pool without a free slot, such as one that no worker has joined yet, is waited for.
            if self._jobs.idle and (free or not self._births_left()):
                return reason or self._nothing_left(seconds)
            self._collect()
        return ""

    @property
    def _doing(self) -> str:
        """What views are told while the search runs."""
        if self._jobs.waits:
            return WAITING
        at_work = self._jobs.in_flight.values()
        return REFITTING if at_work and all(one.rung.all_labels for one in at_work) else "searching"

    def _candidates(self, free: int, seconds: float) -> list[Candidate]:
        """What comes from other islands and from evolution, as far as it leaves time for the refits."""
        welcome = self._welcome(free)
        left = seconds - sum(self._refit_takes(one) for one in self._to_refit()) / max(1, self._pool.slots)
        return welcome + self.evolution.ask(free - len(welcome), self._births_left(), left)

    def _to_refit(self) -> list[Candidate]:
        """Members of the answer whose networks were not trained on all labels yet."""
        members = self._keeper.answer.members if self._keeper.answer else ()
        networks = math.ceil(_LEAST_NETWORKS / max(1, len(members)))
        failed = {key for key, folds in self._record.status.refits.items() if not folds}
        done = self._record.kept | self._jobs.in_flight.keys() | failed
        pixels = math.ceil(_REFIT * self.settings.pixels)
        return [
            one.candidate.refit(pixels, min(networks, self.folder.task.folds))
            for one in members
            if one.key.refit not in done
        ]

    def _refits(self, free: int, seconds: float) -> list[Candidate]:
        """Trainings of the answer's members on all labels, once nothing else fits into the time that is left."""
        self._renew_answer()
        return [one for one in self._to_refit() if self._refit_takes(one) <= seconds][:free]

    def _refit_takes(self, candidate: Candidate) -> float:
        """Time for its networks, at the pace of the candidate's evaluations [s]."""
        share = len(candidate.rung.folds or ()) / self.folder.task.folds
        return _REFIT_MARGIN * share * candidate.rung.pixels * self.evolution.seconds_per_pixel(candidate.id)

    def _welcome(self, most: int) -> list[Candidate]:
        """What comes from other islands; the births themselves are announced with all others."""
        arrived = self._exchange.arrivals(min(most, self._births_left())) if self._exchange else []
        for candidate, island, elite in arrived:
            fact = Arrived(id=candidate.id, island=island, theirs=elite.id, rung=elite.rung, fitness=elite.fitness)
            self._record.note(fact)
        return [candidate for candidate, _, _ in arrived]

    def _nothing_left(self, seconds: float) -> str:
        if not self._births_left():
            return f"{self.evolution.births} networks tried"
        return "no new genome left" if seconds == math.inf else f"{seconds:.0f} s left are too few for another network"

    def _finish(self, reason: str) -> None:
        """Give the answer; what is still being evaluated is evaluated again if the search is resumed."""
        self._jobs.cancel()
        self._renew_answer()
        self._send_telemetry()
        self._record.note(Finished(reason=reason, elapsed=self._record.elapsed, **self._answer_fact().values()))
        self._commit()
        self._change_state("finished")

    def _answer_fact(self) -> AnswerChosen:
        answer, task = self._keeper.answer, self.folder.task
        return answer.fact(task.class_names, task.folds, self._usable_refits()) if answer else AnswerChosen()

    def _usable_refits(self) -> dict[str, Sequence[int]]:
        return {key: folds for key, folds in self._record.status.refits.items() if key in self._record.kept}

    def _consider(self, candidate: Candidate, evaluation: Evaluation) -> None:
        """Let an evaluation take part in the answer."""
        if evaluation.fitness is not None:
            thresholds = thresholds_of(evaluation.scores, self.folder.task.class_names)
            self._keeper.take(Entry(candidate, evaluation.fitness, thresholds))

    def _renew_answer(self, refit: bool = False) -> None:
        """Choose the answer anew, and record it where it is another one, or predicts with other networks."""
        began = time.monotonic()
        if self._keeper.renew() or refit:
            self._record.note(self._answer_fact())
            self._commit()  # before the weights that the last answer counted on may go
        self._renewed_at = time.monotonic()
        self._renewal_took = self._renewed_at - began

    def _collect(self) -> None:
        """Wait for evaluations; as many as have ended are on disk, at one go, before they are bred from or shown."""
        results = self._jobs.finished(timeout=_REQUESTS)
        for result in results:
            self._record.result(result)
        self._commit()
        retired: list[int] = []
        refit = False
        for result in results:
            if result.lost is not None:
                continue
            if result.candidate.rung.all_labels:
                refit |= result.evaluation.failure is None
            else:
                retired += self._tell(result.key, result.evaluation)
                self._consider(result.candidate, result.evaluation)
        if retired:
            self._record.note(Retired(ids=tuple(retired)))
        if refit or time.monotonic() - self._renewed_at > self._renewal_took / _RENEWAL:
            self._renew_answer(refit)
        if results and self._record.kept:  # not before all are told: until then nobody wants their weights
            self._record.keep(self.evolution.wanted_weights | self._keeper.wanted_weights)
        self._send_telemetry(every=_TELEMETRY)

    def _tell(self, key: str, evaluation: Evaluation) -> tuple[int, ...]:
        before = self.evolution.best
        retired = self.evolution.tell(key, evaluation)
        best = self.evolution.best
        if best is not None and best is not before:
            self._record.note(Best(id=best.id, key=best.key, fitness=best.fitness))
            self.events.best_improved.emit(best)
        self.events.evaluation_finished.emit(key, evaluation)
        return retired

    def _job(self, candidate: Candidate) -> tuple[dict[str, Any], bytes]:
        """What `training.job.run` is called with."""
        payload = {
            "genome": candidate.genome.to_json(),
            "rung": candidate.rung.to_json(),
            "seed": candidate.seed(self.settings.root),
            "task": str(self.folder.task_path),
            "digest": self.folder.task_digest,
        }
        return payload, self._record.weights_for(candidate)

    # ------------------------------------------------------------------ beginning and end

    def _begin(self) -> None:
        kind = Resumed if self._record.status.phase else Started
        task = self.folder.task
        learns = {"frames": len(task.frames), "defects": task.counts}
        self._record.note(kind(slots=self._pool.slots, budget=self.settings.budget, learns=learns))
        self._commit()
        if not self._goal_reached():
            self._jobs.submit(list(self.evolution.in_flight.values()))

    def _leave(self, reason: str) -> None:
        """End cleanly what can be ended soon; the rest is evaluated when resumed."""
        deadline = time.monotonic() + self._grace
        with suppress(InputError):
            while not self._jobs.idle and time.monotonic() < deadline:
                self._collect()
        self._jobs.cancel()
        self._renew_answer()
        self._send_telemetry()
        self._record.note(Stopped(reason=reason, elapsed=self._record.elapsed))
        self._commit()
        self.folder.clear_requests()
        self._change_state("stopped")

    def _stopping(self) -> bool:
        if time.monotonic() - self._looked_at >= _REQUESTS:
            self._looked_at = time.monotonic()
            if self.folder.requested("stop"):
                self._stop.set()
        return self._stop.is_set()

    def _goal_reached(self) -> str:
        # What views show is the answer's, as soon as there is one.
        known = [self.evolution.best.fitness] if self.evolution.best else []
        best = max([*known, self._keeper.answer.value] if self._keeper.answer else known, default=None)
        return self.goal.reached(self._record.elapsed, best, self.evolution.stale)

    def _births_left(self) -> float:
        return self.goal.births_left(self.evolution.births)

    def _send_telemetry(self, every: float = 0.0) -> None:
        if self._record.since_telemetry >= every:
            self._record.telemetry(self.evolution.median)

    # ------------------------------------------------------------------ state

    def _commit(self) -> None:
        self._record.commit()
        if self.state == _PAUSED:
            self._change_state(self._paused_from)

    def _pause(self, error: OSError) -> None:
        """Wait for room on the disk."""
        if self.state != _PAUSED:
            log.warning("the disk is full (%s); the search goes on when there is room", error)
            self._paused_from = self.state
            self._change_state(_PAUSED)
        if self._stopping():
            raise _StillFullError
        time.sleep(1.0)

    def _change_state(self, state: str) -> None:
        self.state = state
        self.folder.note(state if state in (_PAUSED, WAITING, REFITTING) else "running")
        self.events.state_changed.emit(state)


class _StillFullError(Exception):
    """Asked to stop while the disk is full: nothing more can be recorded."""
