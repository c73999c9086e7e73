"""Search loop: evolution proposes, the pool evaluates, the journal records."""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from psygnal import Signal, SignalGroup

from napari_menndl.errors import InputError
from napari_menndl.search.answer import Answer, AnswerKeeper, Entry, Judge, read_oof, thresholds_of
from napari_menndl.search.evaluation_queue import EvaluationQueue
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


class SearchEvents(SignalGroup):
    """Signals that a search emits after it has recorded the event.

    ``evaluation_finished(key, Evaluation)``, ``best_improved(Scored)``, ``state_changed(str)``.
    """

    evaluation_finished = Signal(str, object)
    best_improved = Signal(object)
    state_changed = Signal(str)


log = logging.getLogger(__name__)
#: Interval between telemetry facts; interval between checks for requests [s].
_TELEMETRY, _REQUESTS = 5.0, 0.2
#: Largest share of the time that renewing the answer may take.
_RENEWAL = 0.05
#: Smallest number of networks that predict together after a refit: fewer are noisier, and the thresholds, which are
#: chosen on single networks of each member, fit the mean of more networks less well (docs/experiments.md).
_LEAST_NETWORKS = 8
#: Pixels of a refit, as a share of those of the first rung: the networks are trained already.
_REFIT = 0.5
#: Factor by which a refit may exceed its estimated time.
_REFIT_MARGIN = 1.25
_PAUSED, WAITING = "paused: disk full", "waiting for workers; the budget does not run meanwhile"
REFITTING = "training the chosen networks on all labels"
OVERTIME = "the budget is used up; waiting for the first network"
#: Factor by which a budget of time may be exceeded as long as no network has been judged: late is better than nothing.
_LATEST = 1.5


class SearchRunner:
    """Runner of the search of a run folder, from its start or from the end of its journal.

    Parameters
    ----------
    folder : RunFolder
    pool : Pool
        Its jobs are `training.job.run` or a function with the same signature.
    evolution : Evolution, optional
        By default that of the folder's space and settings.
    grace : float [s]
        Time that running evaluations have to end after a stop; the others are evaluated when the search is resumed.
    stop : threading.Event, optional
        Set from outside to stop the search, for example by a signal handler.

    Attributes
    ----------
    events : SearchEvents
    state : str
        ``"new"``, ``"searching"``, `WAITING`, `REFITTING`, `OVERTIME`, ``"paused: disk full"``, ``"stopped"``,
        ``"finished"``.
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
        self.evolution = evolution or Evolution(folder.space, folder.settings, folder.founders)
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
        """Request an end at the next opportunity; safe from a signal handler or another thread."""
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
            If another process searches in the folder, the journal is damaged, or the pool trains nothing.
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
                self.state = "stopped"  # nothing could be recorded: views see the search as interrupted
            return self.state

    # ------------------------------------------------------------------ loop

    def _search(self) -> str:
        """Evolve until the goal is reached; return why the search ended, or "" if it was asked to stop."""
        reason = ""
        while not self._stopping():
            if self.state != (state := self._doing):
                self._change_state(state)
            if not reason and (reason := self._goal_reached()):
                self._jobs.cancel()
            free, seconds = self._jobs.free, self.goal.seconds - self._record.elapsed
            if reason and seconds <= 0:
                return reason
            candidates = [] if reason or seconds <= 0 else self._candidates(free, seconds)
            if candidates:
                self._record.announce(candidates)
            elif free:
                candidates = self._refits(free, seconds)
            self._jobs.submit(candidates)
            # A pool without a free slot, for example before the first worker has joined, is waited for.
            if self._jobs.idle and (free or not self._births_left()):
                return reason or self._nothing_left(seconds)
            self._collect()
        return ""

    @property
    def _doing(self) -> str:
        """State that views show while the search runs."""
        if self._jobs.waits:
            return WAITING
        if self._record.elapsed >= self.goal.seconds and self._awaits_first:
            return OVERTIME
        at_work = self._jobs.in_flight.values()
        return REFITTING if at_work and all(one.rung.all_labels for one in at_work) else "searching"

    def _candidates(self, free: int, seconds: float) -> list[Candidate]:
        """Return candidates from other islands and from evolution, as far as they leave time for the refits."""
        immigrants = self._immigrants(free)
        left = seconds - sum(self._refit_takes(one) for one in self._to_refit()) / max(1, self._pool.slots)
        return immigrants + self.evolution.ask(free - len(immigrants), self._births_left(), left)

    def _to_refit(self) -> list[Candidate]:
        """Return the refits of the answer's members that are still to be done."""
        members = self._keeper.answer.members if self._keeper.answer else ()
        networks = math.ceil(_LEAST_NETWORKS / max(1, len(members)))
        failed = {key for key, folds in self._record.status.refits.items() if not folds}
        done = self._record.kept | self._jobs.in_flight.keys() | failed
        pixels = math.ceil(_REFIT * self.settings.ladder[0].pixels)
        return [
            one.candidate.refit(pixels, min(networks, self.folder.task.folds))
            for one in members
            if one.key.refit not in done
        ]

    def _refits(self, free: int, seconds: float) -> list[Candidate]:
        """Return the refits of the answer's members that fit into the time left; called when nothing else does."""
        self._renew_answer()
        return [one for one in self._to_refit() if self._refit_takes(one) <= seconds][:free]

    def _refit_takes(self, candidate: Candidate) -> float:
        """Return the time of a refit, estimated from the candidate's evaluations [s]."""
        share = len(candidate.rung.folds or ()) / self.folder.task.folds
        return _REFIT_MARGIN * share * candidate.rung.pixels * self.evolution.seconds_per_pixel(candidate.id)

    def _immigrants(self, most: int) -> list[Candidate]:
        """Admit immigrants and record their arrival; their births are recorded with all others."""
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
        """Record the final answer; evaluations in flight are repeated if the search is resumed."""
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
        """Let an evaluation take part in the choice of the answer."""
        if evaluation.fitness is not None:
            thresholds = thresholds_of(evaluation.scores, self.folder.task.class_names)
            self._keeper.take(Entry(candidate, evaluation.fitness, thresholds))

    def _renew_answer(self, refit: bool = False) -> None:
        """Choose the answer again; record it if it has changed, or predicts with other networks."""
        began = time.monotonic()
        if self._keeper.renew() or refit:
            self._record.note(self._answer_fact())
            self._commit()  # before weights of the previous answer may be deleted
        self._renewed_at = time.monotonic()
        self._renewal_took = self._renewed_at - began

    def _collect(self) -> None:
        """Wait for evaluations; all that have ended are committed together before they breed or are shown."""
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
        if results and self._record.kept:  # not before all are told: until then their weights are not wanted
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
        """Return the arguments of `training.job.run`."""
        payload = {
            "genome": candidate.genome.to_json(),
            "rung": candidate.rung.to_json(),
            "seed": candidate.seed(self.settings.root),
            "task": str(self.folder.task_path),
            "digest": self.folder.task_digest,
        }
        if not candidate.rung.all_labels:
            payload["seconds"] = min(self.goal.seconds - self._record.elapsed, self.settings.timeout)
        return payload, self._record.weights_for(candidate)

    # ------------------------------------------------------------------ start and end

    def _begin(self) -> None:
        kind = Resumed if self._record.status.phase else Started
        task = self.folder.task
        learns = {"frames": len(task.frames), "defects": task.counts}
        self._record.note(kind(slots=self._pool.slots, budget=self.settings.budget, learns=learns))
        self._commit()
        if not self._goal_reached():
            self._jobs.submit(list(self.evolution.in_flight.values()))

    def _leave(self, reason: str) -> None:
        """Stop; wait briefly for running evaluations, the others are repeated when the search is resumed."""
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
        # Views show the fitness of the answer as soon as there is one.
        known = [self.evolution.best.fitness] if self.evolution.best else []
        best = max([*known, self._keeper.answer.value] if self._keeper.answer else known, default=None)
        elapsed = self._record.elapsed
        if self._awaits_first and elapsed < _LATEST * self.goal.seconds:
            elapsed = 0.0
        return self.goal.reached(elapsed, best, self.evolution.stale)

    @property
    def _awaits_first(self) -> bool:
        """Whether no network has been judged yet, but one is being trained."""
        return self.evolution.best is None and not self._jobs.idle

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
        """Wait for space on the disk."""
        if self.state != _PAUSED:
            log.warning("the disk is full (%s); the search goes on when there is room", error)
            self._paused_from = self.state
            self._change_state(_PAUSED)
        if self._stopping():
            raise _StillFullError
        time.sleep(1.0)

    def _change_state(self, state: str) -> None:
        self.state = state
        self.folder.note(state if state in (_PAUSED, WAITING, REFITTING, OVERTIME) else "running")
        self.events.state_changed.emit(state)


class _StillFullError(Exception):
    """Stop requested while the disk is full: nothing more can be recorded."""
