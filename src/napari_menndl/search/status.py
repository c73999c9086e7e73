"""Where a search stands, summed up from the facts of its journal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.search.journal import Fact


class Status:
    """Running sums over a journal's facts; the search and its views add them up the same way.

    Attributes
    ----------
    phase, reason : str
        ``""`` before the start, ``"searching"``, ``"stopped"``, ``"finished"``; why it ended.
    learns : dict
        ``"frames"``, how many are learned from, and ``"defects"``, how many are labelled of each class; empty in
        journals of versions that did not say.
    slots, births, evaluations, promotions : int
    networks : int
        Candidates evaluated at least once.
    failures, lost : Counter of str
        By kind: what counts against networks; what was tried again.
    elapsed : float [s]
        Time the search has run, over all resumes.
    slot_seconds, busy_seconds, gpu_seconds : float [s]
        Slot time there was over that time; that went into evaluations; GPU time there was.
    pool : dict
        The pool's own account at the latest telemetry, its sums over all resumes (`pool.telemetry.PoolTelemetry`);
        empty in journals of versions that kept none.
    median : float or None
        Fitness of the population.
    answer : dict or None
        The latest fact that says which networks predict best together.
    refits : dict of str to sequence of int
        The folds whose networks were trained on with all labels, by key; none where that failed.
    finished : dict or None
        The fact that ends the search; what the latest answer says, it says, too.
    """

    def __init__(self) -> None:
        self.phase = self.reason = ""
        self.slots = self.births = self.networks = self.evaluations = self.promotions = 0
        self.failures: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.refits: dict[str, Sequence[int]] = {}
        self.elapsed = self.slot_seconds = self.busy_seconds = self.gpu_seconds = self.train_flops = 0.0
        self.learns: dict[str, Any] = {}
        self.pool: dict[str, Any] = {}
        self.median: float | None = None
        self.answer: Fact | None = None
        self.finished: Fact | None = None
        self._settled = 0
        self._answers: list[tuple[float, float]] = []

    @property
    def in_flight(self) -> int:
        """Evaluations of the evolution that were asked for and have not ended."""
        return max(0, self.births + self.promotions - self._settled)

    @property
    def gain(self) -> float | None:
        """Gain of the answer's fitness in the latter half of the time searched; None if there was none by then."""
        before = [fitness for elapsed, fitness in self._answers if elapsed <= self.elapsed / 2]
        return self._answers[-1][1] - before[-1] if before else None

    def take(self, fact: Fact) -> None:
        """Add one fact; kinds that say nothing about the status are passed over."""
        match fact["kind"]:
            case "born":
                self.births += 1
            case "promoted":
                self.promotions += 1
            case "evaluated":
                self._settle(fact)
            case "failed":
                self._settle(fact)
                self.failures[fact["evaluation"]["failure"]["kind"]] += 1
            case "refit":
                self._add_effort(fact)
                self.refits[fact["key"]] = [] if fact["evaluation"]["failure"] else fact["folds"]
            case "lost":
                self.lost[fact["failure"]["kind"]] += 1
            case "telemetry":
                self._take_telemetry(fact)
            case "started" | "resumed":
                self.phase, self.reason, self.finished, self.slots = "searching", "", None, fact["slots"]
                self.learns = fact.get("learns", self.learns)
            case "answer":
                self.answer = fact
                self._answers.append((self.elapsed, fact["fitness"]))
            case "stopped" | "finished" as phase:
                self.phase, self.reason, self.elapsed = phase, fact["reason"], fact.get("elapsed", self.elapsed)
                if phase == "finished":
                    self.finished = fact
                    self.answer = fact if fact["members"] else self.answer

    def _settle(self, fact: Fact) -> None:
        rung = fact["key"].rpartition("/")[2]
        self.evaluations += 1
        self.networks += rung == "0"
        self._settled += rung.isdigit()
        self._add_effort(fact)

    def _add_effort(self, fact: Fact) -> None:
        self.train_flops += fact["evaluation"]["train_flops"]
        if not self.pool:
            self.busy_seconds += fact["finished"] - fact["started"]

    def _take_telemetry(self, fact: Fact) -> None:
        self.elapsed, self.slots, self.median = fact["elapsed"], fact["slots"], fact["median"]
        self.slot_seconds = fact["slot_seconds"]
        self.pool = fact.get("pool", self.pool)
        if self.pool:
            # By the clock of the slots, that knows of what is running, not only of what has ended.
            self.busy_seconds, self.gpu_seconds = self.pool["busy_seconds"], fact["gpu_seconds"]

    def summary(self) -> dict[str, Any]:
        """Return plain numbers for views: JSON-able.

        ``networks`` counts candidates evaluated at least once; ``slots_busy`` is the share of slot time spent on
        evaluations; ``flops_per_second`` is training arithmetic sustained over the elapsed time [FLOP/s]; ``pool``
        is what `pool_summary` says.
        """
        hours = self.elapsed / 3600
        return {
            "phase": self.phase,
            "reason": self.reason,
            "learns": self.learns,
            "births": self.births,
            "networks": self.networks,
            "evaluations": self.evaluations,
            "promotions": self.promotions,
            "in_flight": self.in_flight,
            "failures": dict(self.failures),
            "lost": dict(self.lost),
            "median_fitness": self.median,
            "elapsed": self.elapsed,
            "networks_per_hour": self.networks / hours if hours else 0.0,
            "slots": self.slots,
            "slots_busy": min(1.0, self.busy_seconds / self.slot_seconds) if self.slot_seconds else 0.0,
            "flops_per_second": self.train_flops / self.elapsed if self.elapsed else 0.0,
            "answer": self.answer,
            "gain": self.gain,
            "finished": self.finished,
            "pool": self.pool_summary(),
        }

    def pool_summary(self) -> dict[str, Any]:
        """Return what the pool did over the whole search; empty where the journal does not say.

        ``waited`` is the share of slot time in which a job was there and did not run yet; ``networks_per_gpu_hour`` is
        None without GPUs; ``bytes_per_network`` went to the slots and back for each, without what was staged.
        """
        if not self.pool:
            return {}
        moved = self.pool["sent_bytes"] + self.pool["received_bytes"]
        return {
            "workers": self.pool["workers"],
            "gpus": self.pool["gpus"],
            "quarantined": list(self.pool["quarantined"]),
            "waited": min(1.0, self.pool["waited_seconds"] / self.slot_seconds) if self.slot_seconds else 0.0,
            "networks_per_gpu_hour": 3600 * self.networks / self.gpu_seconds if self.gpu_seconds else None,
            "bytes_per_network": moved / self.networks if self.networks else 0.0,
            "staged_bytes": self.pool["staged_bytes"],
            "staged_seconds": self.pool["staged_seconds"],
        }
