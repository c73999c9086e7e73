"""Registry of a cluster's workers: which of them may be given jobs."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_menndl.errors import Failure

_log = logging.getLogger(__name__)

#: Number of jobs that failed on a worker and succeeded on others, with no success on it in between, after which it is
#: quarantined.
CONTRADICTIONS = 3
#: Pause of a worker that cannot store the shared input [s].
_PAUSE = 5.0


class WorkerRegistry:
    """Workers that are present, paused or quarantined.

    Parameters
    ----------
    clock : callable
        Returns the time [s].
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._threads: dict[str, int] = {}
        self._gpus: dict[str, tuple[str, int]] = {}
        self._avoided: dict[str, float] = {}
        self._contradictions: Counter[str] = Counter()
        self._quarantined: dict[str, None] = {}

    def update(self, threads: Mapping[str, int]) -> None:
        """Update the workers that are present: address to number of threads."""
        self._threads = dict(threads)
        for known in (self._gpus, self._avoided, self._contradictions):
            for gone in set(known) - set(threads):
                del known[gone]

    def on_report(self, report: Mapping[str, Any]) -> str:
        """Store a worker's report; return its address, "" if there is no such worker."""
        address = str(report["worker"])
        if address not in self._threads:
            return ""
        self._gpus[address] = str(report["host"]), int(report["gpus"])
        return address

    @property
    def present(self) -> frozenset[str]:
        return frozenset(self._threads)

    @property
    def available(self) -> frozenset[str]:
        """Workers that may be given a job now."""
        now = self._clock()
        return frozenset(
            one for one in self._threads if one not in self._quarantined and self._avoided.get(one, 0.0) <= now
        )

    @property
    def slots(self) -> int:
        """Number of slots of the available workers."""
        return sum(self._threads[one] for one in self.available)

    @property
    def gpus(self) -> int:
        """Number of GPUs of all machines that have reported."""
        return sum(dict(self._gpus.values()).values())

    @property
    def quarantined(self) -> tuple[str, ...]:
        return tuple(self._quarantined)

    def peers(self, address: str) -> frozenset[str]:
        """Return the available workers besides one, preferring those whose failures were never contradicted."""
        others = self.available - {address}
        return frozenset(one for one in others if not self._contradictions[one]) or others

    def pause(self, address: str, why: str) -> None:
        """Give a worker no jobs for a while."""
        if self._avoided.get(address, 0.0) <= self._clock():
            _log.warning("Worker %s cannot be given jobs for now: %s. Make room on its disk, or stop it.", address, why)
        self._avoided[address] = self._clock() + _PAUSE

    def succeeded(self, address: str) -> None:
        """Record that a job succeeded on a worker."""
        self._contradictions.pop(address, None)

    def contradicted(self, address: str, failure: Failure) -> None:
        """Record that a job that failed on a worker has succeeded on another."""
        if address not in self._threads or address in self._quarantined:
            return
        self._contradictions[address] += 1
        count = self._contradictions[address]
        if count >= CONTRADICTIONS and self.available - {address}:
            last = f"{failure.kind}: {failure.message}"
            why = f"{count} in a row failed on it and succeeded elsewhere (the last: {last}). Put its machine right"
            self.quarantine(address, why)

    def quarantine(self, address: str, why: str) -> None:
        """Give a worker no more jobs."""
        if address in self._threads and address not in self._quarantined:
            self._quarantined[address] = None
            _log.warning("Worker %s is given no more jobs: %s, then stop it and start another.", address, why)
