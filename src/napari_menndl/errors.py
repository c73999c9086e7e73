"""The one error a person meets, and the failure that is data."""

from __future__ import annotations

from dataclasses import dataclass

#: Failures that a genome itself causes and that count against it.
GENOME_FAILURES = frozenset({"unbuildable", "constant", "diverged", "out_of_memory", "timeout", "crashed"})
#: Failures of the machinery: retried, and they cost the genome nothing.
POOL_FAILURES = frozenset({"worker_lost", "scheduler_lost", "disk_full", "cancelled", "error"})


class InputError(ValueError):
    """Input that cannot be used, said so that a person can put it right.

    Parameters
    ----------
    expected : str
        What would have been right, as a noun phrase: ``"frames of (T, Y, X)"``.
    found : str
        What was there instead: ``"an array of shape (3,)"``.
    remedy : str
        What to do now, as an imperative sentence: ``"Open one signal of the file."``
    """

    def __init__(self, expected: str, found: str, remedy: str) -> None:
        super().__init__(f"Expected {expected}; found {found.rstrip('.')}. {remedy}")
        self.expected = expected
        self.found = found
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[InputError], tuple[str, str, str]]:
        return type(self), (self.expected, self.found, self.remedy)


@dataclass(frozen=True)
class Failure:
    """Why there is no fitness.

    Attributes
    ----------
    kind : str
        One of `GENOME_FAILURES` or `POOL_FAILURES`.
    message, traceback : str
        For a person to read.
    """

    kind: str
    message: str
    traceback: str = ""

    @property
    def blames_genome(self) -> bool:
        return self.kind in GENOME_FAILURES
