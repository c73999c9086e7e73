"""Interface of all pools: jobs are submitted, and each is returned exactly once, whatever fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from napari_menndl.errors import Failure

#: Job function of a pool: payloads are JSON objects, attachments raw bytes.
Entry = Callable[[dict[str, Any], bytes], tuple[dict[str, Any], bytes]]


@dataclass(frozen=True)
class Outcome:
    """Result of a job.

    Attributes
    ----------
    key : str
        The job's key, as submitted.
    payload : dict or None
        Payload that the job returned; None on failure.
    attachment : bytes
        Raw bytes that the job returned; empty on failure.
    failure : Failure or None
    slot : str
        Name of the slot it ran in; empty if it never ran.
    started, finished : float
        Times by the clock of the machine it ran on [s since 1970].
    """

    key: str
    payload: dict[str, Any] | None
    attachment: bytes
    failure: Failure | None
    slot: str
    started: float
    finished: float


@dataclass(frozen=True)
class PoolTelemetry:
    """Counters of a pool, since it was opened.

    Attributes
    ----------
    workers, slots, gpus : int
        Present numbers; GPUs are those of machines that have answered a job.
    busy_seconds, available_seconds : float
        Slot-seconds spent on jobs, and slot-seconds available [s].
    waited_seconds : float
        Slot-seconds in which a job was available for a slot but not running: dispatch, start of trainers, staging [s].
    staged_bytes : int
        Bytes of the shared input sent to machines without a copy [byte].
    staged_seconds : float
        Time spent on staging [s].
    sent_bytes, received_bytes : int
        Bytes of jobs sent, including repeats, and of answers received [byte].
    quarantined : tuple of str
        Workers that get no more jobs.
    """

    workers: int
    slots: int
    gpus: int = 0
    busy_seconds: float = 0.0
    available_seconds: float = 0.0
    waited_seconds: float = 0.0
    staged_bytes: int = 0
    staged_seconds: float = 0.0
    sent_bytes: int = 0
    received_bytes: int = 0
    quarantined: tuple[str, ...] = ()


class Pool(Protocol):
    """A pool with room for `slots` jobs at a time. One thread submits and collects; any thread may call `close`.

    The laws that ``tests/pool/test_pool_laws.py`` tests for every pool:

    - every submitted key comes back from `finished` exactly once, in any order;
    - an attachment arrives byte for byte;
    - whatever a job does (raise, hang, crash its process) ends as `Outcome.failure` of that job and no other;
    - a job whose process crashes is run once more, alone in a new process, before it counts as failed;
    - with several workers, a failure that a faulty machine could have caused is confirmed on another worker;
    - jobs lost by the infrastructure are run again and not counted as failed; a job may therefore run more than once,
      but is returned once.
    """

    @property
    def slots(self) -> int:
        """Number of jobs that can run at the same time now; may change, and be 0 while there are no workers."""

    @property
    def free(self) -> int:
        """Number of jobs that could be submitted now without queueing; never negative."""

    def submit(self, key: str, payload: dict[str, Any], attachment: bytes = b"") -> None:
        """Submit a job. Jobs beyond `free` are accepted and wait.

        Parameters
        ----------
        key : str
            Different from all keys in flight.
        payload : dict
            A JSON object.
        attachment : bytes

        Raises
        ------
        ValueError
            If the key is in flight already, or the job is larger than `messages.LIMIT`.
        RuntimeError
            If the pool is closed.
        """

    def finished(self, timeout: float | None = None) -> list[Outcome]:
        """Return jobs that ended since the last call, waiting for at least one, for at most `timeout` [s].

        The list is empty if time ran out, nothing is in flight, or slots were added.
        """

    def cancel(self, key: str) -> None:
        """Stop a job, which is returned as a failure ``"cancelled"``. Unknown and finished keys are ignored."""

    def telemetry(self) -> PoolTelemetry:
        """Return how time was spent since the pool was opened."""

    def close(self) -> None:
        """Stop everything within seconds, leaving no process. Jobs in flight are not returned. Idempotent."""
