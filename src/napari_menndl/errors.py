"""`InputError` for unusable input, and `Failure`, the record of a failed evaluation."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

#: Failures caused by the genome, which count against it.
GENOME_FAILURES = frozenset({"unbuildable", "constant", "diverged", "out_of_memory", "timeout", "crashed"})
#: Failures of the pool: the evaluation is repeated, and they do not count against the genome.
POOL_FAILURES = frozenset({"worker_lost", "scheduler_lost", "disk_full", "cancelled", "error"})


class InputError(ValueError):
    """Input that cannot be used, with what was expected, what was found, and a remedy.

    Parameters
    ----------
    expected : str
        The expected input, as a noun phrase: ``"frames of (T, Y, X)"``.
    found : str
        The input found instead: ``"an array of shape (3,)"``.
    remedy : str
        What to do about it, as an imperative sentence: ``"Open one signal of the file."``
    """

    def __init__(self, expected: str, found: str, remedy: str) -> None:
        super().__init__(f"Expected {expected}; found {found.rstrip('.')}. {remedy}")
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        return type(self), (self.expected, self.found, self.remedy)


def frame_number(t: Any, count: int, remedy: str, *, of: str = "", from_end: bool = False) -> int:
    """Return the number of one of `count` frames, from 0; with `from_end` negative numbers count from the end.

    Raises
    ------
    InputError
        For a frame that does not exist, and for anything but a whole number: there is no frame 1.5.
    """
    try:
        number = int(t) if isinstance(t, float) and t.is_integer() else operator.index(t)
    except TypeError:
        number = count
    if not (-count if from_end else 0) <= number < count:
        raise InputError(f"a frame from 0 to {count - 1}{of}", f"frame {t}", remedy)
    return number % count


def as_number(value: Any) -> float:
    """Return a number as a float; NaN, which no range contains, for anything else."""
    try:
        return float("nan" if isinstance(value, str | bytes) else value)
    except (TypeError, ValueError):
        return float("nan")


@dataclass(frozen=True)
class Failure:
    """Reason why an evaluation has no fitness.

    Attributes
    ----------
    kind : str
        One of `GENOME_FAILURES` or `POOL_FAILURES`.
    message, traceback : str
        Human-readable details.
    """

    kind: str
    message: str
    traceback: str = ""

    @property
    def blames_genome(self) -> bool:
        return self.kind in GENOME_FAILURES
