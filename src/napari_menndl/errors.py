"""`InputError` for unusable input, and `Failure`, the record of a failed evaluation."""

from __future__ import annotations

from dataclasses import dataclass

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
