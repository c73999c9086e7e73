"""Work beside the window of which only the latest question matters."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from qtpy.QtCore import QObject, QThreadPool, Signal  # type: ignore[attr-defined]
from superqt.utils import create_worker

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


@atexit.register
def _let_work_end() -> None:
    """A script that ends without Qt's event loop, under which napari waits: work must not outlive what it tells."""
    if (workers := QThreadPool.globalInstance()) is not None:
        workers.waitForDone(60_000)


class Latest(QObject):
    """Answers questions one at a time in a worker thread; a new question replaces the one that waits.

    Parameters
    ----------
    answer : callable
        Called in the worker thread with a question; never by two threads at once.

    Attributes
    ----------
    answered : Signal(question, answer)
    failed : Signal(question, exception)
        One of the two for every question that was begun, on the thread of this object.
    warned : Signal(text)
        What an answer came with.
    """

    answered = Signal(object, object)
    failed = Signal(object, object)
    warned = Signal(str)

    def __init__(self, answer: Callable[[Any], Any], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._answer = answer
        self._waiting: list[Any] = []
        self._at_work: Any = None

    @property
    def busy(self) -> bool:
        return self._at_work is not None

    def ask(self, question: Any) -> None:
        """Begin now, or when the question at work has its answer."""
        self._waiting = [question]
        self._next()

    def forget(self) -> None:
        """Drop the question that waits."""
        self._waiting = []

    def _next(self) -> None:
        if self.busy or not self._waiting:
            return
        self._at_work = self._waiting.pop()
        # Bound methods of a QObject: Qt then delivers on this object's thread, with every binding.
        connect: dict[str, Any] = {
            "returned": self._on_returned,
            "errored": self._on_errored,
            "warned": self._on_warned,
        }
        create_worker(self._answer, self._at_work, _connect=connect)

    def _on_warned(self, warning: tuple[Any, ...]) -> None:
        self.warned.emit(str(warning[0]))

    def _on_returned(self, answer: Any) -> None:
        question, self._at_work = self._at_work, None
        self.answered.emit(question, answer)
        self._next()

    def _on_errored(self, error: Exception) -> None:
        question, self._at_work = self._at_work, None
        self.failed.emit(question, error)
        self._next()


def at_low_priority(function: Callable[[], T], niceness: int = 19) -> T:
    """Call a function in a thread that leaves the processor to the window, and wait for it.

    Where the system knows priorities of threads (Linux), torch's threads that it starts inherit them. What someone
    waits for may be less nice than a search on the same computer, which is as nice as can be.
    """
    outcome: list[T] = []
    errors: list[Exception] = []

    def work() -> None:
        if sys.platform == "linux":
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        try:
            outcome.append(function())
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return outcome[0]
