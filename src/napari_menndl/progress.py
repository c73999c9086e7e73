"""Text of durations, sizes and scores, and an estimate of the remaining time."""

from __future__ import annotations

import time


class Pace:
    """Estimate of the remaining time from the time that the steps so far have taken."""

    def __init__(self) -> None:
        self.begin(0)

    def begin(self, done: int) -> None:
        """Start measuring now, with `done` steps done already."""
        self._began, self._first = time.monotonic(), done

    def left(self, done: int, steps: int) -> float | None:
        """Return the time until all steps are done [s]; None before a step is done."""
        taken = done - self._first
        return (time.monotonic() - self._began) / taken * (steps - done) if taken > 0 else None


def number(value: float) -> str:
    """Return a score with three decimals; a dash for NaN, where there is nothing to score."""
    return "–" if value != value else f"{value:.3f}"


def size(count: float) -> str:
    """Return ``"412 B"``, ``"3.1 kB"`` or ``"12 MB"``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"


def duration(seconds: float) -> str:
    """Return ``"1 h 02 min"``, ``"3 min 20 s"`` or ``"12 s"``."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def short_duration(seconds: float) -> str:
    """Return ``"0.21 s"`` or ``"45 ms"``."""
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"
