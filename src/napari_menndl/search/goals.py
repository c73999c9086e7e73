"""Budget of a search as text, and the limits it sets."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from napari_menndl.errors import InputError

_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(s|sec|seconds?|min|minutes?|h|hours?|d|days?)")
_NETWORKS = re.compile(r"(\d+)\s*(?:networks?|births?)")
_FITNESS = re.compile(r"fitness\s*(\d*\.?\d+)")
_PLATEAU = re.compile(r"plateau\s*(\d+)")


@dataclass(frozen=True)
class Goal:
    """Limits that end a search, whichever is reached first.

    Attributes
    ----------
    seconds : float [s]
        Time the search may take, over all resumes.
    networks : float
        Number of births; promotions that are due still follow.
    fitness : float
        Fitness of the best candidate.
    plateau : float
        Births without a better candidate.
    """

    seconds: float = math.inf
    networks: float = math.inf
    fitness: float = math.inf
    plateau: float = math.inf

    def reached(self, elapsed: float, best: float | None, stale: int) -> str:
        """Return why the search should end now; empty if it should go on.

        Parameters
        ----------
        elapsed : float [s]
        best : float or None
            Fitness of the best candidate.
        stale : int
            Births since the best candidate was found.
        """
        if elapsed >= self.seconds:
            return f"{elapsed:.0f} s are over"
        if best is not None and best >= self.fitness:
            return f"fitness {best:.3f} reached"
        if stale >= self.plateau:
            return f"no better network in {stale} births"
        return ""

    def births_left(self, births: int) -> float:
        """Return the number of candidates that may still be born."""
        return max(0, self.networks - births)


def parse_budget(budget: str) -> Goal:
    """Read a budget: ``"10min"``, ``"500networks"``, ``"fitness 0.9"``, ``"plateau 200"``, or several with commas.

    Raises
    ------
    InputError
        For any other text, a limit of zero, a fitness above 1, and two limits of one kind.
    """
    limits: dict[str, float] = {}
    for part in budget.lower().split(","):
        kind, value = _parse(part.strip(), budget)
        if kind in limits:
            raise _unknown(budget, f"two limits of {kind}")
        if value <= 0 or (kind == "fitness" and value > 1):
            raise _unknown(budget, f"a limit of {value:g}")
        limits[kind] = value
    return Goal(**limits)


def _parse(part: str, budget: str) -> tuple[str, float]:
    if found := _TIME.fullmatch(part):
        unit = found[2] if found[2] in _SECONDS else "min" if found[2].startswith("min") else found[2][0]
        return "seconds", float(found[1]) * _SECONDS[unit]
    for kind, pattern in (("networks", _NETWORKS), ("fitness", _FITNESS), ("plateau", _PLATEAU)):
        if found := pattern.fullmatch(part):
            return kind, float(found[1])
    raise _unknown(budget, f"{part!r}" if part else "nothing")


def _unknown(budget: str, found: str) -> InputError:
    forms = 'a budget like "10min", "500networks", "fitness 0.9", "plateau 200", or several joined by commas'
    where = f" in {budget!r}" if found != repr(budget) else ""
    return InputError(forms, found + where, "Write the budget in one of these forms.")
