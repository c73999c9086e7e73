"""Where a search stands, summed up from the facts of its journal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_menndl.search.journal import Fact

#: Candidates listed as the best.
_LEADERS = 10


class Status:
    """Running sums over a journal's facts; the search and its views add them up the same way.

    Attributes
    ----------
    phase : str
        ``""`` before the start, ``"searching"``, ``"finishing"``, ``"stopped"``, ``"finished"``.
    elapsed, slot_seconds : float [s]
        Time the search has run, over all resumes; the same times the slots it had.
    """

    def __init__(self) -> None:
        self.phase = ""
        self.reason = ""
        self.slots = 0
        self.births = 0
        self.networks = 0
        self.evaluations = 0
        self.promotions = 0
        self.failures: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.elapsed = 0.0
        self.slot_seconds = 0.0
        self.busy_seconds = 0.0
        self.train_flops = 0.0
        self.median: float | None = None
        self.leaders: list[dict[str, Any]] = []
        self.best: dict[str, Any] | None = None
        self.finished: Fact | None = None
        self._in_flight: dict[str, str] = {}

    def take(self, fact: Fact) -> None:
        """Add one fact; kinds that say nothing about the status are passed over."""
        kind = fact["kind"]
        for name in ("elapsed", "slot_seconds", "median", "slots"):
            if name in fact:
                setattr(self, name, fact[name])
        if handler := getattr(self, f"_take_{kind}", None):
            handler(fact)

    def _take_started(self, fact: Fact) -> None:
        self.phase, self.reason, self.finished = "searching", "", None

    _take_resumed = _take_started

    def _take_born(self, fact: Fact) -> None:
        self.births += 1
        self._in_flight[f"{fact['id']}/{fact['rung']['name']}"] = fact["origin"]

    def _take_promoted(self, fact: Fact) -> None:
        self.promotions += 1
        self._in_flight[f"{fact['id']}/{fact['rung']}"] = "promotion"

    def _take_finalists(self, fact: Fact) -> None:
        self.phase = "finishing"

    def _take_evaluated(self, fact: Fact) -> None:
        key, evaluation = fact["key"], fact["evaluation"]
        self._in_flight.pop(key, None)
        self.evaluations += 1
        self.networks += key.endswith("/0")
        self.busy_seconds += fact["finished"] - fact["started"]
        self.train_flops += evaluation["train_flops"]
        if evaluation["fitness"] is not None and key.rpartition("/")[2].isdigit():
            self._rank(key, evaluation)

    def _take_failed(self, fact: Fact) -> None:
        self._take_evaluated(fact)
        self.failures[fact["evaluation"]["failure"]["kind"]] += 1

    def _take_lost(self, fact: Fact) -> None:
        self.lost[fact["failure"]["kind"]] += 1

    def _take_best(self, fact: Fact) -> None:
        self.best = {name: fact[name] for name in ("id", "key", "fitness")}

    def _take_stopped(self, fact: Fact) -> None:
        self.phase, self.reason = "stopped", fact["reason"]

    def _take_finished(self, fact: Fact) -> None:
        self.phase, self.reason, self.finished = "finished", fact["reason"], fact

    def _rank(self, key: str, evaluation: dict[str, Any]) -> None:
        entry = {"id": int(key.partition("/")[0]), "key": key}
        entry |= {name: evaluation[name] for name in ("fitness", "error", "parameters", "latency")}
        others = [one for one in self.leaders if one["id"] != entry["id"]]
        self.leaders = sorted([*others, entry], key=lambda one: (-one["fitness"], one["id"]))[:_LEADERS]

    def summary(self) -> dict[str, Any]:
        """Return plain numbers for views: JSON-able.

        ``networks`` counts candidates evaluated at least once; ``slots_busy`` is the share of slot time spent on
        evaluations; ``flops_per_second`` is training arithmetic sustained over the elapsed time [FLOP/s].
        """
        hours = self.elapsed / 3600
        return {
            "phase": self.phase,
            "reason": self.reason,
            "births": self.births,
            "networks": self.networks,
            "evaluations": self.evaluations,
            "promotions": self.promotions,
            "in_flight": len(self._in_flight),
            "failures": dict(self.failures),
            "lost": dict(self.lost),
            "best": self.best,
            "best_fitness": self.best["fitness"] if self.best else None,
            "median_fitness": self.median,
            "leaders": self.leaders,
            "elapsed": self.elapsed,
            "networks_per_hour": self.networks / hours if hours else 0.0,
            "slots": self.slots,
            "slots_busy": min(1.0, self.busy_seconds / self.slot_seconds) if self.slot_seconds else 0.0,
            "flops_per_second": self.train_flops / self.elapsed if self.elapsed else 0.0,
            "finished": self.finished,
        }
