"""Monitoring of a search through its run folder, with immutable snapshots for views."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_menndl.search.views.curves import CURVES
from napari_menndl.search.views.reader import Leader, RunReader
from napari_menndl.search.views.totals import OriginTotals, Rate, seconds_left

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from napari_menndl.search.facts import AnswerChosen, Finished
    from napari_menndl.search.lock import WriterLock

#: Number of best networks in the summary, and the fields of each.
_LEADERS, _PLAIN = 10, ("id", "key", "fitness", "error", "parameters", "latency", "share")
#: Interval between checks whether the search is alive; each takes a tenth of a second [s].
_LIVENESS = 1.0
#: Longest time since the latest fact that is added to the time searched [s].
_SILENCE = 10.0


@dataclass(frozen=True)
class RunSnapshot:
    """State of a search at one moment.

    Attributes
    ----------
    state : str
        ``"running"``, ``"stopped"``, ``"finished"``, ``"interrupted"`` or ``"new"``.
    phase : str
        ``"searching"`` while it runs; otherwise as the journal ends.
    note : str
        What the running search waits for, if anything.
    reason : str
        Why it ended.
    whole : bool
        Whether the journal was read to its end; at first a long one takes several calls.
    stopping : bool
        Whether a stop was requested and the search has not ended yet.
    budget : str
    holder : dict or None
        ``pid`` and ``host`` of the search process, while it runs.
    learns : dict
        `Totals.learns`.
    births, networks, evaluations, promotions, slots, in_flight : int
        Candidates born; those evaluated at least once; evaluations that ended; promotions.
    elapsed : float [s]
        Time searched.
    left : float or None [s]
        Estimated time until the budget is used up; None if unknown.
    rate : Rate
        Over the last minutes.
    mean : Rate
        Over the whole search.
    failures, lost : dict of str to int
        Counts by kind: failures charged to networks; evaluations that are tried again.
    origins : dict of str to OriginTotals
        `Totals.origins`.
    best : Leader or None
        The best network.
    best_fitness : float or None
        `RunReader.best_fitness`.
    median : float or None
    leaders : tuple of Leader
    curves : dict of str to (n, 4) float64
        `Curves` by name: births, time [s], fitness, rung.
    log : tuple of (time [unix s], str)
    answer : AnswerChosen or None
        The networks that predict best together.
    finished : Finished or None
        The end of the search, if it reached its goal.
    gain : float or None
        `Totals.gain`.
    pool : dict
        `Totals.pool_summary`: workers, waits, bytes and others; empty if the journal does not say.
    """

    state: str
    phase: str
    note: str
    reason: str
    whole: bool
    stopping: bool
    budget: str
    holder: dict[str, Any] | None
    learns: dict[str, Any]
    births: int
    networks: int
    evaluations: int
    promotions: int
    slots: int
    in_flight: int
    elapsed: float
    left: float | None
    rate: Rate
    mean: Rate
    failures: dict[str, int]
    lost: dict[str, int]
    origins: dict[str, OriginTotals]
    best: Leader | None
    best_fitness: float | None
    median: float | None
    leaders: tuple[Leader, ...]
    curves: dict[str, NDArray[np.float64]]
    log: tuple[tuple[float, str], ...]
    answer: AnswerChosen | None
    finished: Finished | None
    gain: float | None
    pool: dict[str, Any]

    @property
    def version(self) -> str:
        """Text that changes whenever `Run.best` is another network."""
        if self.answer:
            members = (f"{one.key} {'+'.join(one.classes or ())}" for one in self.answer.members)
            return f"answer {' '.join(members)}"
        return self.best.key if self.best else ""

    def summary(self) -> dict[str, Any]:
        """Return plain numbers that JSON can hold, as `Run.status` returns them.

        The attributes by their names, without curves and log; ``median_fitness``; over the whole search
        ``networks_per_hour``, ``slots_busy`` and ``flops_per_second``; the fitness of each network is in ``leaders``.
        """
        plain = (
            *("state", "stopping", "note", "budget", "holder", "phase", "reason", "learns", "births", "networks"),
            *("evaluations", "promotions", "in_flight", "failures", "lost", "elapsed", "slots", "gain", "pool"),
            "best_fitness",
        )
        best = self.best
        return {
            **{name: getattr(self, name) for name in plain},
            "median_fitness": self.median,
            "networks_per_hour": self.mean.networks_per_hour,
            "slots_busy": self.mean.slots_busy,
            "flops_per_second": self.mean.flops_per_second,
            "answer": self.answer.to_json() if self.answer else None,
            "finished": self.finished.to_json() if self.finished else None,
            "best": {"id": best.id, "key": best.key, "fitness": best.fitness} if best else None,
            "origins": {name: vars(one) for name, one in self.origins.items()},
            "leaders": [{name: getattr(one, name) for name in _PLAIN} for one in self.leaders[:_LEADERS]],
        }


class RunMonitor:
    """Monitor of a run folder, to be polled by one thread at a time.

    Parameters
    ----------
    folder, journal : Path
    lock : WriterLock
        Lock of the folder.
    budget : callable
        Returns the current budget of the search.

    Attributes
    ----------
    reader : RunReader
    """

    def __init__(self, folder: Path, journal: Path, lock: WriterLock, budget: Callable[[], str]) -> None:
        self.reader = RunReader(journal)
        self._stop = folder / "requests" / "stop"
        self._lock = lock
        self._budget = budget
        self._asked_at = -math.inf
        self._running = False

    def snapshot(self, seconds: float = 0.1, *, fresh: bool = False) -> RunSnapshot:
        """Read new facts for a limited time and return a snapshot of the search.

        Parameters
        ----------
        seconds : float [s]
        fresh : bool
            Whether to check now if the search is alive; otherwise at most once a second.
        """
        if fresh or time.monotonic() - self._asked_at >= _LIVENESS:
            # Checked before the journal is read: a search that ends in between is then still "running", not
            # "interrupted".
            self._running, self._asked_at = self._lock.is_held, time.monotonic()
        running, reader = self._running, self.reader
        whole = reader.read(seconds)
        status, curves = reader.status, reader.curves
        rate, budget = reader.rates.now(), self._budget()
        holder = self._lock.holder() if running else {}
        elapsed = curves.elapsed
        note = str(holder.get("state", ""))
        if note == "running" and whole and reader.last:  # it is not waiting
            elapsed += min(_SILENCE, max(0.0, time.time() - reader.last))
        state = state_of(running, status.phase, begun=reader.last > 0)
        return RunSnapshot(
            state=state,
            phase=status.phase,
            note="" if note == "running" else note,
            reason=status.reason,
            whole=whole,
            stopping=running and (status.phase == "stopped" or self._stop.exists()),
            budget=budget,
            holder={name: holder.get(name) for name in ("pid", "host")} if running else None,
            learns=status.learns,
            births=status.births,
            networks=status.networks,
            evaluations=status.evaluations,
            promotions=status.promotions,
            slots=status.slots,
            in_flight=status.in_flight,
            elapsed=elapsed,
            left=seconds_left(budget, elapsed, status.births, rate) if running else None,
            rate=rate if running else status.mean,
            mean=status.mean,
            failures=dict(status.failures),
            lost=dict(status.lost),
            origins={name: replace(one) for name, one in status.origins.items()},
            best=reader.best,
            best_fitness=reader.best_fitness,
            median=status.median,
            leaders=tuple(reader.leaders()),
            curves={name: getattr(curves, name).array() for name in CURVES},
            log=tuple(reader.log),
            answer=status.answer,
            finished=status.finished,
            gain=status.gain,
            pool=status.pool_summary(),
        )


def state_of(running: bool, phase: str, *, begun: bool) -> str:
    """Return the state of a search, from whether its process is alive and how its journal ends.

    Parameters
    ----------
    running : bool
    phase : str
        `Totals.phase`.
    begun : bool
        Whether the journal contains any fact.

    Returns
    -------
    str
        ``"running"``, ``"stopped"``, ``"finished"``, ``"interrupted"`` or ``"new"``.
    """
    if running:
        return "running"
    if not begun:
        return "new"
    return phase if phase in ("stopped", "finished") else "interrupted"
