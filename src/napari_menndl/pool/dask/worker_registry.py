"""The workers of a cluster, and what a pool has learned of each: which of them may be given a job now."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_menndl.errors import Failure

_log = logging.getLogger(__name__)

#: A worker is given no more jobs when so many that failed on it have succeeded on others, and none on it meanwhile.
CONTRADICTIONS = 3
#: One that cannot make its copy of what is carried is left alone for so long [s].
_PAUSE = 5.0


class WorkerRegistry:
    """Who is there, who is left alone for a while, and who is quarantined.

    Parameters
    ----------
    clock : callable
        [s]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._threads: dict[str, int] = {}
        self._gpus: dict[str, tuple[str, int]] = {}
        self._avoided: dict[str, float] = {}
        self._contradictions: Counter[str] = Counter()
        self._quarantined: dict[str, None] = {}

    def see(self, threads: Mapping[str, int]) -> None:
        """Say which workers are there, by address, and how many threads each has."""
        self._threads = dict(threads)
        for known in (self._gpus, self._avoided, self._contradictions):
            for gone in set(known) - set(threads):
                del known[gone]

    def hear(self, report: Mapping[str, Any]) -> str:
        """Take note of what a worker says of itself; return its address, "" if there is no such worker."""
        address = str(report["worker"])
        if address not in self._threads:
            return ""
        self._gpus[address] = str(report["host"]), int(report["gpus"])
        return address

    @property
    def present(self) -> frozenset[str]:
        return frozenset(self._threads)

    @property
    def fit(self) -> frozenset[str]:
        """The workers that may be given a job now."""
        now = self._clock()
        return frozenset(
            one for one in self._threads if one not in self._quarantined and self._avoided.get(one, 0.0) <= now
        )

    @property
    def slots(self) -> int:
        """Of the fit ones."""
        return sum(self._threads[one] for one in self.fit)

    @property
    def gpus(self) -> int:
        """Of all machines from which something was heard."""
        return sum(dict(self._gpus.values()).values())

    @property
    def quarantined(self) -> tuple[str, ...]:
        return tuple(self._quarantined)

    def others(self, address: str) -> frozenset[str]:
        """The fit workers besides one; those whose word was never contradicted, where there are any."""
        others = self.fit - {address}
        return frozenset(one for one in others if not self._contradictions[one]) or others

    def pause(self, address: str, why: str) -> None:
        """Leave a worker alone for a while."""
        if self._avoided.get(address, 0.0) <= self._clock():
            _log.warning("Worker %s cannot be given jobs for now: %s. Make room on its disk, or stop it.", address, why)
        self._avoided[address] = self._clock() + _PAUSE

    def succeeded(self, address: str) -> None:
        """A job succeeded on a worker."""
        self._contradictions.pop(address, None)

    def contradicted(self, address: str, failure: Failure) -> None:
        """A job that failed on one worker has succeeded on another."""
        if address not in self._threads or address in self._quarantined:
            return
        self._contradictions[address] += 1
        count = self._contradictions[address]
        if count >= CONTRADICTIONS and self.fit - {address}:
            last = f"{failure.kind}: {failure.message}"
            why = f"{count} in a row failed on it and succeeded elsewhere (the last: {last}). Put its machine right"
            self.quarantine(address, why)

    def quarantine(self, address: str, why: str) -> None:
        """Give a worker no more jobs."""
        if address in self._threads and address not in self._quarantined:
            self._quarantined[address] = None
            _log.warning("Worker %s is given no more jobs: %s, then stop it and start another.", address, why)
