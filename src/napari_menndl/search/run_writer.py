"""What a search writes into its run folder: journal, weights and running totals."""

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

    from napari_menndl.pool.protocol import PoolTelemetry
    from napari_menndl.search.candidate import Candidate, EvaluationKey
    from napari_menndl.search.disk import Pause
    from napari_menndl.search.evaluation_queue import Result
    from napari_menndl.search.facts import Fact
    from napari_menndl.search.folder import RunFolder

log = logging.getLogger(__name__)
#: Of a pool's account, what adds up over all resumes.
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
    """Everything that the search writes into its folder. The folder's lock must be held.

    Parameters
    ----------
    folder : RunFolder
    usage : callable
        What the pool did since it was opened.
    pause : callable
        Called with the error while the disk is full.
    waits : callable
        Whether the search waits for workers now: that is no time of its budget.

    Attributes
    ----------
    status : Totals
        Sums over all facts so far.
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
        """Yield every fact of the journal, adding it to the sums; time is counted on from there."""
        for fact in self._folder.facts():
            self.status.take(fact)
            yield fact
        self._count_on()

    def _count_on(self) -> None:
        """Add what comes to what was: time and the pool's sums begin where those of the journal end."""
        status, pool = self.status, self._usage()
        self._telemetry_at = self._seen_at = time.monotonic()
        self._elapsed, self._gpu_seconds = status.elapsed, status.gpu_seconds
        self._waited = True
        past = {**status.pool, "busy_seconds": status.busy_seconds, "available_seconds": status.slot_seconds}
        self._before = {name: past.get(name, 0) - getattr(pool, name) for name in _SUMS}

    @property
    def elapsed(self) -> float:
        """Time the search has run, over all resumes [s]; while it waits for workers, none passes."""
        now = time.monotonic()
        if not self._waited:
            self._elapsed += now - self._seen_at
        self._seen_at, self._waited = now, self._waits()
        return self._elapsed

    def note(self, fact: Fact) -> None:
        """Note a fact; it is on the disk after the next `commit`."""
        self._journal.record(**fact.to_json())
        self.status.take(fact)

    def commit(self) -> None:
        """Bring everything noted to the disk."""
        self._journal.commit()

    def announce(self, candidates: Iterable[Candidate]) -> None:
        """Show births and promotions; they are committed with the first evaluation that follows.

        Should they be lost before, nothing that counted on them was recorded either.
        """
        for one in candidates:
            above = one.weights_of
            self.note(Promoted(id=one.id, rung=one.rung.name, weights_of=above) if above else Born.of(one))
        self._journal.show()

    def result(self, result: Result) -> None:
        """Keep the weights, then note the evaluation that counts on them."""
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
        """Return the weights a candidate starts from; empty, and noted, where they are gone or damaged."""
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
        """Drop all weights save those wanted."""
        for key in self._kept - wanted:
            self._folder.remove_weights(key)
            self._kept.discard(key)

    @property
    def since_telemetry(self) -> float:
        """Time since the last telemetry [s]."""
        return time.monotonic() - self._telemetry_at

    def telemetry(self, median: float | None) -> None:
        """Note time and rates, and what the pool did.

        Parameters
        ----------
        median : float or None
            Fitness of the population.
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
