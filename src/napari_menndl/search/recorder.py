"""The search's pen: facts into the journal, weights into the folder, sums and rates beside them."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from napari_menndl.search.journal import Fact, Journal
from napari_menndl.search.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from napari_menndl.search.candidate import Candidate
    from napari_menndl.search.disk import Pause
    from napari_menndl.search.dispatch import Result
    from napari_menndl.search.folder import RunFolder

log = logging.getLogger(__name__)
#: How the rungs of the last step begin: "final0", one per fold, and "whole".
LAST_STEP = ("final", "whole")
_SHOWN = ("networks", "evaluations", "networks_per_hour", "slots_busy", "flops_per_second", "failures", "lost")


def is_last_step(key: str) -> bool:
    """Whether an evaluation belongs to the last step, not to the evolution."""
    return key.rpartition("/")[2].startswith(LAST_STEP)


class Recorder:
    """Everything that the search writes into its folder. The folder's lock must be held.

    Parameters
    ----------
    folder : RunFolder
    pause : callable
        Called with the error while the disk is full.

    Attributes
    ----------
    status : Status
        Sums over all facts so far.
    """

    def __init__(self, folder: RunFolder, pause: Pause) -> None:
        self.status = Status()
        self._folder = folder
        self._pause = pause
        self._journal = Journal(folder.journal_path, pause)
        self._kept = folder.kept_weights()
        self._began = self._telemetry_at = time.monotonic()
        self._elapsed_before = self._slot_seconds = 0.0

    def replay(self) -> Iterator[Fact]:
        """Yield every fact of the journal, adding it to the sums; time is counted on from there."""
        for fact in self._folder.facts():
            self.status.take(fact)
            yield fact
        self._began = self._telemetry_at = time.monotonic()
        self._elapsed_before, self._slot_seconds = self.status.elapsed, self.status.slot_seconds

    @property
    def elapsed(self) -> float:
        """Time the search has run, over all resumes [s]."""
        return self._elapsed_before + time.monotonic() - self._began

    def fact(self, kind: str, **facts: Any) -> None:
        """Note a fact; it is on the disk after the next `commit`."""
        self.status.take(self._journal.record(kind, **facts))

    def commit(self) -> None:
        """Bring everything noted to the disk."""
        self._journal.commit()

    def announce(self, candidates: Iterable[Candidate]) -> None:
        """Show births and promotions; they are committed with the first evaluation that follows.

        Should they be lost before, nothing that counted on them was recorded either.
        """
        for one in candidates:
            if one.weights_of is None:
                self.fact("born", **one.to_json())
            else:
                self.fact("promoted", id=one.id, rung=one.rung.name, weights_of=one.weights_of)
        self._journal.show()

    def result(self, result: Result) -> None:
        """Keep the weights, then note the evaluation that counts on them."""
        where = {name: getattr(result.outcome, name) for name in ("slot", "started", "finished")}
        if result.lost is not None:
            self.fact("lost", key=result.key, failure=vars(result.lost), **where)
            log.warning("%s was lost (%s: %s) and is tried again", result.key, result.lost.kind, result.lost.message)
            return
        failed = result.evaluation.failure is not None
        if result.attachment and not failed:
            self._folder.write_weights(result.key, result.attachment, self._pause)
            self._kept.add(result.key)
        self.fact("failed" if failed else "evaluated", key=result.key, evaluation=result.evaluation.to_json(), **where)

    def weights_for(self, candidate: Candidate) -> bytes:
        """Return the weights a candidate starts from; empty, and noted, where they are gone."""
        weights = self._folder.read_weights(candidate.weights_of) if candidate.weights_of else b""
        if candidate.weights_of and not weights:
            self.fact("weights_missing", key=candidate.key, weights_of=candidate.weights_of)
        return weights

    def keep(self, wanted: set[str]) -> None:
        """Drop the evolution's weights save those wanted; what the last step left stays."""
        for key in [one for one in self._kept - wanted if not is_last_step(one)]:
            self._folder.remove_weights(key)
            self._kept.discard(key)

    def telemetry(self, median: float | None, slots: int, every: float = 0.0) -> None:
        """Note time and rates, unless that was done less than `every` [s] ago.

        Parameters
        ----------
        median : float or None
            Fitness of the population.
        slots : int
            Of the pool now.
        every : float [s]
        """
        now = time.monotonic()
        if now - self._telemetry_at < every:
            return
        self._slot_seconds += (now - self._telemetry_at) * slots
        self._telemetry_at = now
        self.fact("telemetry", elapsed=self.elapsed, slot_seconds=self._slot_seconds, slots=slots, median=median)
        rates = self.status.summary()
        log.info("%s", {name: rates[name] for name in _SHOWN})
        self._folder.note("running")

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()
