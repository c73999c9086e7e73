"""Handle of a trainer process: start, send, receive, kill; no call blocks longer than its timeout."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from napari_menndl.interpreter import python_command, python_environment
from napari_menndl.pool.process.hardware import held_memory
from napari_menndl.pool.process.messages import Message, read_message, write_message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TAIL = 16_384
_POLL = 0.25
#: Delay of a wake-up beyond which this process, and probably the child, was suspended [s].
_ASLEEP = 1.0
#: Time for the child to dump its traceback [s].
_WHERE = 0.5
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
#: OpenBLAS, of numpy and scipy, is used for small problems only, such as a fit of two numbers, where its threads spend
#: their time waiting for each other: with two threads calibration took fifteen times as long, on a busy machine longer
#: than the training.
_BLAS = {"OPENBLAS_NUM_THREADS": "1"}
#: Makes glibc keep freed memory for the next step. Dask workers return it at once (MALLOC_TRIM_THRESHOLD_=65536), and
#: trainers would inherit that: two fifths of the training time went into page faults.
_MEMORY_VARIABLES = {
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TOP_PAD_": str(2**26),
}


class TrainerDiedError(Exception):
    """The trainer's process has ended."""


class TrainerTimedOutError(Exception):
    """The trainer did not answer in time."""


class TrainerUnwantedError(Exception):
    """The answer is no longer wanted."""


class TrainerTooLargeError(Exception):
    """The trainer exceeds its memory limit."""


class Trainer:
    """A child process, started at once and used by one thread at a time.

    Parameters
    ----------
    entry : str
        ``"module:function"``, importable in the child.
    threads : int
        Threads of BLAS and OpenMP.
    env : mapping of str to str
        Environment variables, which override those of this process.
    nice : bool
        Whether to run at low priority.
    idle : float
        Time without a job after which the child exits.
    """

    def __init__(
        self,
        entry: str,
        *,
        threads: int = 1,
        env: Mapping[str, str] | None = None,
        nice: bool = True,
        idle: float = 120.0,
    ) -> None:
        command = python_command("napari_menndl.pool.process.child", entry, "--idle", str(idle))
        variables = dict.fromkeys(_THREAD_VARIABLES, str(threads)) | _BLAS | _MEMORY_VARIABLES
        variables["PYTHONFAULTHANDLER"] = "1"
        options: dict[str, Any] = {}
        if sys.platform == "win32":
            priority = subprocess.BELOW_NORMAL_PRIORITY_CLASS if nice else 0
            options["creationflags"] = priority | subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        else:
            # Its own process group, so that processes it starts are killed with it.
            options["process_group"] = 0
            command += ["--nice", "10"] if nice else []
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=python_environment(**(variables | dict(env or {}))),
            **options,
        )
        self._tail = bytearray()
        self._requests: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._replies: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._drainer = threading.Thread(target=self._drain, daemon=True)
        self._drainer.start()
        threading.Thread(target=self._converse, daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def receive(
        self, timeout: float | None, wanted: Callable[[], bool] | None = None, memory: int | None = None
    ) -> Message:
        """Wait for the child's next message.

        Parameters
        ----------
        timeout : float or None
            Time limit [s]; does not advance while this process is stopped or the machine is suspended.
        wanted : callable, optional
            Polled a few times a second; if it returns False, waiting ends.
        memory : int, optional
            Memory limit of the child [byte].

        Raises
        ------
        TrainerDiedError, TrainerTimedOutError, TrainerTooLargeError, TrainerUnwantedError
            After all but the first, the child is still running.
        """
        left, dead = timeout, False
        while True:
            asked = _POLL if left is None else max(0.0, min(_POLL, left))
            began = time.monotonic()
            try:
                message = self._replies.get(timeout=asked)
            except queue.Empty:
                took = time.monotonic() - began
                if left is not None:
                    left -= asked if took > asked + _ASLEEP else took
                    if left <= 0:
                        raise TrainerTimedOutError from None
                if memory is not None and (held := held_memory(self.pid)) > memory:
                    raise TrainerTooLargeError(held) from None
                # Processes started by a dead child may keep its pipe open, so that the stream does not end.
                if dead:
                    raise TrainerDiedError from None
                dead = not self.alive
                if wanted is not None and not wanted():
                    raise TrainerUnwantedError from None
            else:
                if message is None:
                    raise TrainerDiedError
                return message

    def send(self, header: dict[str, Any], attachment: bytes = b"") -> None:
        """Queue a message and return at once."""
        self._requests.put((header, attachment))

    def dump_tracebacks(self) -> None:
        """Make the child dump its threads' tracebacks to standard error, if the system supports it."""
        words = b"most recent call first"
        if hasattr(signal, "SIGUSR1") and self.alive:
            said = self._tail.count(words)
            self._process.send_signal(signal.SIGUSR1)
            deadline = time.monotonic() + _WHERE
            while self._tail.count(words) == said and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.05)  # for the lines that follow

    def kill(self) -> None:
        """Kill the child and all processes it started, in whatever state. Idempotent."""
        self._requests.put(None)
        if sys.platform == "win32":
            self._process.kill()
        else:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                # PermissionError: raised by macOS for a group with only zombies left.
                self._process.kill()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # blocked in the kernel (driver, network file system): cannot be killed
            return
        self._drainer.join(0.5)

    @property
    def exit_words(self) -> str:
        """Description of how the process ended."""
        code = self._process.poll()
        if code is None:
            return "still running"
        if code >= 0:
            return f"exit code {code}"
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"

    @property
    def was_killed(self) -> bool:
        """Whether it ended by SIGKILL, hence by an external cause: programs do not kill themselves by mistake."""
        return sys.platform != "win32" and self._process.poll() == -signal.SIGKILL

    @property
    def tail(self) -> str:
        """The end of its standard output and error."""
        return self._tail.decode(errors="replace")

    def _converse(self) -> None:
        """Write and read in a separate thread, since a stopped child blocks both."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            while (message := read_message(self._process.stdout)) is not None:
                self._replies.put(message)
                request = self._requests.get()
                if request is None:
                    break
                write_message(self._process.stdin, *request)
        except (OSError, ValueError):
            pass
        finally:
            self._replies.put(None)
            for stream in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):
                    stream.close()

    def _drain(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as stream:
            while chunk := stream.read1(65536):  # type: ignore[attr-defined]
                self._tail += chunk
                del self._tail[:-_TAIL]
