"""What every pool promises: jobs go in, each comes back exactly once, whatever dies in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from napari_menndl.errors import Failure
    from napari_menndl.pool.telemetry import PoolTelemetry

#: What a pool runs: payloads are JSON objects, attachments raw bytes.
Entry = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]


@dataclass(frozen=True)
class Outcome:
    """How one job ended.

    Attributes
    ----------
    key : str
        The job's key, as submitted.
    payload : dict or None
        What the job returned; None on failure.
    attachment : bytes
        The raw bytes it returned; empty on failure.
    failure : Failure or None
    slot : str
        Name of the slot it ran in; empty when it never ran.
    started, finished : float
        On the clock of the machine it ran on [s since 1970].
    """

    key: str
    payload: dict[str, Any] | None
    attachment: bytes
    failure: Failure | None
    slot: str
    started: float
    finished: float


class Pool(Protocol):
    """Room for `slots` jobs at a time. One thread submits and collects; `close` may be called from any.

    The laws, which ``tests/pool/test_pool_laws.py`` holds every pool to:

    - every submitted key comes back from `finished` exactly once, in any order;
    - an attachment arrives byte for byte;
    - whatever a job does (raise, hang, crash its process) ends as `Outcome.failure` of that job and of no other;
    - a job whose process crashes is run once more, alone in a fresh one, before it is blamed;
    - where there are several workers, one that fails a job as a sick machine might is not believed before another
      one agrees;
    - what the machinery loses is run again without being blamed; a job may therefore run more than once,
      but is reported once.
    """

    @property
    def slots(self) -> int:
        """How many jobs run at the same time now; may change, and be 0 while workers are away."""

    @property
    def free(self) -> int:
        """How many jobs would be taken now without piling up; never negative."""

    def submit(self, key: str, payload: dict[str, Any], attachment: bytes = b"") -> None:
        """Hand over one job. More than `free` are accepted and wait.

        Parameters
        ----------
        key : str
            Unlike any that has not come back yet.
        payload : dict
            JSON.
        attachment : bytes

        Raises
        ------
        ValueError
            The key is in flight already, or the job is larger than `messages.LIMIT`.
        RuntimeError
            The pool is closed.
        """

    def finished(self, timeout: float | None = None) -> list[Outcome]:
        """Return what has ended since the last call: waits for at least one job, `timeout` [s] at most.

        The list is empty when time ran out, nothing is in flight, or there are more slots than before.
        """

    def cancel(self, key: str) -> None:
        """Stop a job: it comes back as a failure ``"cancelled"``. Unknown and finished keys are ignored."""

    def telemetry(self) -> PoolTelemetry:
        """How time was spent since the pool was opened."""

    def close(self) -> None:
        """Stop everything and leave no process behind, within seconds. Jobs in flight do not come back. Idempotent."""
