"""A look at a search from outside, as often as a view likes: one frozen record of how it stands."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_menndl.search.lock import WriterLock
from napari_menndl.search.rates import Rate, seconds_left
from napari_menndl.search.standings import Leader, Standings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_menndl.search.folder import RunFolder
    from napari_menndl.search.journal import Fact

#: Whether the search is alive is asked so often; it takes a tenth of a second [s].
_LIVENESS = 1.0
#: A clock that stands still for longer than from one telemetry to the next is not guessed at [s].
_SILENCE = 10.0


@dataclass(frozen=True)
class Sight:
    """How a search stands.

    Attributes
    ----------
    state : str
        ``"running"``, ``"stopped"``, ``"finished"``, ``"interrupted"`` or ``"new"``.
    phase : str
        While running: ``"searching"``; else as the journal ends.
    note : str
        What the running search waits for, if it does.
    reason : str
        Why it ended.
    whole : bool
        Whether the journal was read to its end; at first a long one takes several looks.
    stopping : bool
        Whether it was asked to stop and has not ended yet.
    births, networks, evaluations, slots, in_flight : int
    elapsed : float [s]
        Time searched.
    left : float or None [s]
        Until the budget is used up, as far as can be told.
    rate : Rate
        Of the last minutes.
    mean : Rate
        Of the whole search.
    failures, lost : dict of str to int
        By kind: what counts against networks; what was tried again.
    best : dict or None
        ``id``, ``key`` and ``fitness`` of the best network.
    best_fitness : float or None
        `Standings.best_fitness`.
    median : float or None
    leaders : tuple of Leader
    curves : dict of str to (n, 3) float64
        ``best``, ``median``, ``evaluations``: births, time [s], fitness.
    log : tuple of (time [unix s], str)
    answer : dict or None
        The journal's latest fact about which networks predict best together: ``members``, ``fitness``, ``error``.
    gain : float or None
        `Status.gain`.
    pool : dict
        `Status.pool_summary`: workers, waits, bytes and the like; empty where the journal does not say.
    """

    state: str
    phase: str
    note: str
    reason: str
    whole: bool
    stopping: bool
    births: int
    networks: int
    evaluations: int
    slots: int
    in_flight: int
    elapsed: float
    left: float | None
    rate: Rate
    mean: Rate
    failures: dict[str, int]
    lost: dict[str, int]
    best: dict[str, Any] | None
    best_fitness: float | None
    median: float | None
    leaders: tuple[Leader, ...]
    curves: dict[str, NDArray[np.float64]]
    log: tuple[tuple[float, str], ...]
    answer: Fact | None
    gain: float | None
    pool: dict[str, Any]

    @property
    def version(self) -> str:
        """Changes whenever `Run.best` is another network."""
        if self.answer:
            members = (f"{one['key']} {'+'.join(one.get('classes', ()))}" for one in self.answer["members"])
            return f"answer {' '.join(members)}"
        return str(self.best["key"]) if self.best else ""


class Outlook:
    """Looks at a run folder again and again; for one thread at a time.

    Parameters
    ----------
    folder : RunFolder

    Attributes
    ----------
    standings : Standings
    """

    def __init__(self, folder: RunFolder) -> None:
        self.standings = Standings(folder)
        self._folder = folder
        self._lock = WriterLock(folder.path)
        self._asked_at = -_LIVENESS
        self._running = False

    def look(self, seconds: float = 0.1) -> Sight:
        """Read what is new, for so long at most [s], and say how the search stands."""
        if time.monotonic() - self._asked_at >= _LIVENESS:
            # Before the journal: a search that ends in between is then still "running", not "interrupted".
            self._running, self._asked_at = self._lock.is_held, time.monotonic()
        running, standings = self._running, self.standings
        whole = standings.read(seconds)
        status, curves = standings.status, standings.curves
        rate, mean = standings.rates.now(), self._mean()
        elapsed = curves.elapsed
        note = str(self._lock.holder().get("state", "")) if running else ""
        if note == "running" and whole and standings.last:  # it waits for nothing
            elapsed += min(_SILENCE, max(0.0, time.time() - standings.last))
        ended = status.phase if status.phase in ("stopped", "finished") else "interrupted"
        return Sight(
            state="running" if running else ended if standings.last else "new",
            phase=status.phase,
            note="" if note == "running" else note,
            reason=status.reason,
            whole=whole,
            stopping=running and (ended == "stopped" or self._folder.requested("stop")),
            births=status.births,
            networks=status.networks,
            evaluations=status.evaluations,
            slots=status.slots,
            in_flight=status.in_flight,
            elapsed=elapsed,
            left=seconds_left(self._folder.settings.budget, elapsed, status.births, rate) if running else None,
            rate=rate if running else mean,
            mean=mean,
            failures=dict(status.failures),
            lost=dict(status.lost),
            best=standings.best,
            best_fitness=standings.best_fitness,
            median=status.median,
            leaders=tuple(standings.leaders()),
            curves={name: getattr(curves, name).array() for name in ("best", "median", "evaluations")},
            log=tuple(standings.log),
            answer=status.answer,
            gain=status.gain,
            pool=status.pool_summary(),
        )

    def _mean(self) -> Rate:
        summary = self.standings.status.summary()
        births = summary["births"] / summary["elapsed"] if summary["elapsed"] else 0.0
        return Rate(summary["networks_per_hour"], births, summary["slots_busy"], summary["flops_per_second"])
