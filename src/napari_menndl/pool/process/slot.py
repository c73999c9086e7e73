"""A slot for one job at a time: owns a trainer, replaces it when it dies, and assigns failures to jobs."""

from __future__ import annotations

import itertools
import os
import platform
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import Failure
from napari_menndl.pool.process.trainer import (
    Trainer,
    TrainerDiedError,
    TrainerTimedOutError,
    TrainerTooLargeError,
    TrainerUnwantedError,
)
from napari_menndl.pool.protocol import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Attempts to start a trainer: one that dies before its first job fails for external reasons.
_STARTS = 5
_CANCELLED = Failure("cancelled", "The job was cancelled.")
_numbers = itertools.count()


class Slot:
    """Runs jobs one after another in its own child process, which is started when first needed.

    Parameters
    ----------
    entry : str
        ``"module:function"`` with the signature of `napari_menndl.pool.protocol.Entry`, importable in the child.
    threads : int
        Threads of BLAS and OpenMP in the child.
    env : mapping of str to str, optional
        Environment variables of the child, added to those of this process, such as ``CUDA_VISIBLE_DEVICES``.
    nice : bool
        Whether to run the child at low priority, so that a desktop stays usable.
    name : str, optional
        Name in `Outcome.slot`; host, process id and a number by default.
    memory : int, optional
        Memory limit of the child [byte]; beyond it the child is killed (``"out_of_memory"``).
    max_jobs : int
        Number of jobs after which the child is replaced, to free what libraries have leaked or cached. Starting torch
        takes about 2 s: at this number that is negligible, and so are leaks.
    idle, start_timeout : float
        Time without a job after which the child exits, and time limit for importing the entry [s].
    """

    def __init__(
        self,
        entry: str,
        *,
        threads: int = 1,
        env: Mapping[str, str] | None = None,
        nice: bool = True,
        name: str | None = None,
        memory: int | None = None,
        max_jobs: int = 1000,
        idle: float = 120.0,
        start_timeout: float = 180.0,
    ) -> None:
        self.name = name or f"{platform.node()}/{os.getpid()}/{next(_numbers)}"
        self._new_trainer = lambda: Trainer(entry, threads=threads, env=env, nice=nice, idle=idle)
        self._start_timeout = start_timeout
        self._memory = memory
        self._max_jobs = max_jobs
        self._jobs = 0
        self._trainer: Trainer | None = None
        self._closed = threading.Event()
        self._one_job = threading.Lock()
        self._guard = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Process id of the trainer, None while there is none."""
        trainer = self._trainer
        return trainer.pid if trainer is not None and trainer.alive else None

    def run(
        self,
        key: str,
        payload: dict[str, Any],
        attachment: bytes = b"",
        timeout: float | None = None,
        wanted: Callable[[], bool] | None = None,
    ) -> Outcome:
        """Run one job; an outcome is returned whatever happens.

        If the child dies, the job is run again in a new one; if that dies too, the job is at fault (``"crashed"``). A
        SIGKILL usually has an external cause, so a job whose child was killed gets one more attempt.

        Parameters
        ----------
        payload : dict
            The entry finds one more field in it, ``"waited"``: time that the job has waited for a child [s].
        timeout : float, optional
            Time limit of the job, without the start of the child [s]; then the child is killed (``"timeout"``).
        wanted : callable, optional
            Polled while waiting; if it returns False, the child is killed (``"cancelled"``).
        """
        with self._one_job:
            started = time.time()
            try:
                result = self._attempts(payload, attachment, timeout, wanted)
            except TrainerUnwantedError:
                self._discard()
                result = None, b"", _CANCELLED
            except BaseException:
                # On Ctrl-C while waiting: the pending answer must not be taken for that of the next job.
                self._discard()
                raise
            return Outcome(key, *result, self.name, started, time.time())

    def close(self) -> None:
        """Kill the child, from any thread at any time; its job ends as ``"cancelled"``. Idempotent."""
        self._closed.set()
        self._discard()

    def _attempts(
        self, payload: dict[str, Any], attachment: bytes, timeout: float | None, wanted: Callable[[], bool] | None
    ) -> tuple[dict[str, Any] | None, bytes, Failure | None]:
        deaths, allowed = 0, 2
        asked = time.monotonic()
        while True:
            trainer, failure = self._ready_trainer(wanted)
            if trainer is None:
                return None, b"", failure
            began = time.monotonic()
            try:
                trainer.send({"payload": {**payload, "waited": began - asked}, "timeout": timeout}, attachment)
                reply, blob = trainer.receive(timeout, wanted, self._memory)
            except TrainerTooLargeError as error:
                self._discard()
                return None, b"", _too_large(error.args[0], self._memory or 0)
            except (TrainerDiedError, TrainerTimedOutError) as error:
                late = isinstance(error, TrainerTimedOutError)
                if late:
                    trainer.dump_tracebacks()
                elif not hasattr(signal, "SIGUSR1"):  # on systems without it the child ends itself
                    late = timeout is not None and time.monotonic() - began >= timeout
                self._discard()
                if self._closed.is_set():
                    return None, b"", _CANCELLED
                if late:
                    message = f"The job was stopped at its time limit of {timeout:g} s."
                    return None, b"", Failure("timeout", message, trainer.tail)
                deaths += 1
                allowed = 3 if trainer.was_killed else allowed
                if deaths >= allowed:
                    message = f"The trainer died {deaths} times on this job, alone each time: {trainer.exit_words}."
                    return None, b"", Failure("crashed", message, trainer.tail)
            else:
                self._jobs += 1
                if reply["recycle"] or self._jobs == self._max_jobs:
                    self._discard()
                return reply["payload"], blob, None if reply["failure"] is None else Failure(*reply["failure"])

    def _ready_trainer(self, wanted: Callable[[], bool] | None) -> tuple[Trainer | None, Failure | None]:
        """Return a trainer that has imported the entry, or a failure."""
        if self._trainer is not None and not self._trainer.alive:
            self._discard()
        failure = _CANCELLED
        for _ in range(_STARTS):
            if self._trainer is not None:
                break
            with self._guard:
                if self._closed.is_set():
                    return None, _CANCELLED
                self._jobs = 0
                try:
                    trainer = self._trainer = self._new_trainer()
                except OSError as error:
                    return None, Failure("error", f"The trainer cannot be started: {error}")
            try:
                failed = trainer.receive(self._start_timeout, wanted)[0]["failure"]
            except TrainerTimedOutError:
                self._discard()
                message = f"The trainer did not come up within {self._start_timeout:g} s."
                return None, Failure("error", message, trainer.tail)
            except TrainerDiedError:
                self._discard()
                failure = Failure("error", f"The trainer did not come up: {trainer.exit_words}.", trainer.tail)
            else:
                if failed is not None:
                    self._discard()
                    return None, Failure(*failed)
        return self._trainer, failure

    def _discard(self) -> None:
        with self._guard:
            trainer, self._trainer = self._trainer, None
        if trainer is not None:
            trainer.kill()


def _too_large(held: int, allowed: int) -> Failure:
    words = f"The job took {held / 2**30:.1f} GiB of memory; a slot of this machine has {allowed / 2**30:.1f} GiB."
    return Failure("out_of_memory", words)
