"""Writer of a search's journal, weights and running totals."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from napari_menndl.network.checksum import is_intact
from napari_menndl.search.facts import Born, Evaluated, Failed, Lost, Promoted, Refit, Telemetry, WeightsMissing
from napari_menndl.search.journal import Journal
from napari_menndl.search.views.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType

    from napari_menndl.files import Pause
    from napari_menndl.pool.protocol import PoolTelemetry
    from napari_menndl.search.candidate import Candidate, EvaluationKey
    from napari_menndl.search.evaluation_queue import Result
    from napari_menndl.search.facts import Fact
    from napari_menndl.search.folder import RunFolder

log = logging.getLogger(__name__)
#: Fields of the pool's telemetry that are summed over all resumes.
_SUMS = (
    "busy_seconds",
    "available_seconds",
    "waited_seconds",
    "staged_bytes",
    "staged_seconds",
    "sent_bytes",
    "received_bytes",
)


class RunWriter:
    """Writer of a run folder; the caller holds the folder's lock.

    Parameters
    ----------
    folder : RunFolder
    usage : callable
        Returns the pool's telemetry since it was opened.
    pause : callable
        Called with the error while the disk is full.
    waits : callable
        Returns whether the search waits for workers; the budget does not run meanwhile.

    Attributes
    ----------
    status : Totals
        Totals of all facts so far.
    """

    def __init__(
        self, folder: RunFolder, usage: Callable[[], PoolTelemetry], pause: Pause, waits: Callable[[], bool]
    ) -> None:
        self.status = Totals()
        self._folder = folder
        self._usage = usage
        self._pause = pause
        self._waits = waits
        self._journal = Journal(folder.journal_path, pause)
        self._kept = folder.kept_weights()
        self._count_on()

    def replay(self) -> Iterator[Fact]:
        """Yield every fact of the journal and add it to the totals; time is counted on from there."""
        for fact in self._folder.facts():
            self.status.take(fact)
            yield fact
        self._count_on()

    def _count_on(self) -> None:
        """Continue time and the pool's sums from the end of the journal."""
        status, pool = self.status, self._usage()
        self._telemetry_at = self._seen_at = time.monotonic()
        self._elapsed, self._gpu_seconds = status.elapsed, status.gpu_seconds
        self._waited = True
        past = {**status.pool, "busy_seconds": status.busy_seconds, "available_seconds": status.slot_seconds}
        self._before = {name: past.get(name, 0) - getattr(pool, name) for name in _SUMS}

    @property
    def elapsed(self) -> float:
        """Time the search has run, over all resumes, without waits for workers [s]."""
        now = time.monotonic()
        if not self._waited:
            self._elapsed += now - self._seen_at
        self._seen_at, self._waited = now, self._waits()
        return self._elapsed

    def note(self, fact: Fact) -> None:
        """Record a fact; it is on disk after the next `commit`."""
        self._journal.record(**fact.to_json())
        self.status.take(fact)

    def commit(self) -> None:
        """Write all recorded facts to disk."""
        self._journal.commit()

    def announce(self, candidates: Iterable[Candidate]) -> None:
        """Show births and promotions to views; they are committed with the first evaluation that follows.

        If they are lost before that, no recorded fact depends on them.
        """
        for one in candidates:
            above = one.weights_of
            self.note(Promoted(id=one.id, rung=one.rung.name, weights_of=above) if above else Born.of(one))
        self._journal.flush()

    def result(self, result: Result) -> None:
        """Save the weights, then record the evaluation that refers to them."""
        where = {name: getattr(result.outcome, name) for name in ("slot", "started", "finished")}
        key, evaluation, rung = result.candidate.key, result.evaluation, result.candidate.rung
        if result.lost is not None:
            self.note(Lost(key=key, failure=result.lost, **where))
            log.warning("%s was lost (%s: %s) and is tried again", result.key, result.lost.kind, result.lost.message)
            return
        if result.attachment and evaluation.failure is None:
            self._folder.write_weights(key, result.attachment, self._pause)
            self._kept.add(key)
        if rung.all_labels:
            self.note(Refit(key=key, folds=rung.folds or (), evaluation=evaluation, **where))
        else:
            self.note((Failed if evaluation.failure else Evaluated)(key=key, evaluation=evaluation, **where))

    def weights_for(self, candidate: Candidate) -> bytes:
        """Return the weights a candidate starts from; if they are gone or damaged, record that and return nothing."""
        source = candidate.starts_from
        if not source:
            return b""
        weights = self._folder.read_weights(source)
        if is_intact(weights):
            return weights
        self.note(WeightsMissing(key=candidate.key, weights_of=source, damaged=bool(weights)))
        return b""

    @property
    def kept(self) -> set[EvaluationKey]:
        """Keys of the evaluations whose weights are in the folder."""
        return self._kept

    def keep(self, wanted: set[str]) -> None:
        """Delete all weights except those wanted."""
        for key in self._kept - wanted:
            self._folder.remove_weights(key)
            self._kept.discard(key)

    @property
    def since_telemetry(self) -> float:
        """Time since the last telemetry [s]."""
        return time.monotonic() - self._telemetry_at

    def telemetry(self, median: float | None) -> None:
        """Record time, rates and the pool's telemetry.

        Parameters
        ----------
        median : float or None
            Median fitness of the population.
        """
        pool, seconds = self._usage(), self.since_telemetry
        self._telemetry_at += seconds
        self._gpu_seconds += seconds * pool.gpus
        sums = {name: round(self._before[name] + getattr(pool, name), 3) for name in _SUMS}
        self.note(
            Telemetry(
                elapsed=self.elapsed,
                slots=pool.slots,
                slot_seconds=sums.pop("available_seconds"),
                gpu_seconds=self._gpu_seconds,
                median=median,
                pool={"workers": pool.workers, "gpus": pool.gpus, "quarantined": pool.quarantined, **sums},
            )
        )
        status = self.status
        log.info(
            "%d networks, %d evaluations; %s; failures %s, lost %s",
            status.networks,
            status.evaluations,
            status.mean,
            dict(status.failures),
            dict(status.lost),
        )
        self._folder.note()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()
