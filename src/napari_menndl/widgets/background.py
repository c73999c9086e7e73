"""Background threads of the window, and how they end with it.

Threads report to the window through one object that outlives every dock (`in_window`): the call is made in the window's
thread, or dropped if its receiver is gone. When the process ends, its threads are stopped first and closed docks are
deleted (`end_all`): a thread that still computes while Python shuts down crashes the process, and so does PyQt, which
deletes objects without an owner last.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import time
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEvent, QObject, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Callable

#: Running threads, and whether the end of the process waits until they have finished.
_threads: dict[threading.Thread, bool] = {}
#: Longest waits at the end of the process: for threads to finish, and for a step of the others [s].
_FINISH, _STEP = 30.0, 60.0


class _Left(SystemExit):
    """Silent end of a thread at its next step; no ``except Exception`` catches it."""


def begin(
    function: Callable[..., Any], *arguments: Any, niceness: int | None = None, to_finish: bool = False
) -> threading.Thread:
    """Call a function in a thread of its own.

    Parameters
    ----------
    function, *arguments
    niceness : int, optional
        Leave the processor to the window, and to threads of lower niceness. Where threads have priorities (Linux),
        torch's threads that it starts inherit them. The trainers of a search on the same computer have 10.
    to_finish : bool
        Whether the end of the process waits until the function returns; otherwise the thread ends at its next step.
    """

    def run() -> None:
        if niceness is not None and sys.platform == "linux":
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        try:
            with suppress(_Left):
                function(*arguments)
        finally:
            _threads.pop(threading.current_thread(), None)

    # A daemon thread: Python would wait for any other before it could be told to end.
    thread = threading.Thread(target=run, name=getattr(function, "__qualname__", "work"), daemon=True)
    _threads[thread] = to_finish
    thread.start()
    return thread


@atexit.register
def end_all() -> None:
    """Wait for threads to finish, end all others, delete closed docks; called at the end of the process."""
    for thread in [one for one, to_finish in _threads.copy().items() if to_finish]:
        thread.join(_FINISH)
    end = time.monotonic() + _STEP
    while (left := [one for one in _threads.copy() if one.is_alive()]) and time.monotonic() < end:
        for thread in left:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Left))
        left[0].join(5.0)  # its cleanup is not interrupted
    _delete_closed_docks()


def _delete_closed_docks() -> None:
    """Delete docks that were taken out of their window, which napari leaves to their owners.

    At exit PyQt (6.11) deletes the objects without a parent while it goes through a table of all objects: a dock with
    its many parts changes that table, and the process ends with a segmentation fault.
    """
    app = QCoreApplication.instance()
    if not isinstance(app, QApplication):
        return
    for widget in app.topLevelWidgets():
        if type(widget).__module__.startswith(f"{__package__}."):
            widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, int(QEvent.Type.DeferredDelete.value))


class _Post(QObject):
    """Messenger from other threads to the window's thread."""

    came = Signal(object, tuple)

    def __init__(self) -> None:
        super().__init__()
        if (app := QCoreApplication.instance()) is not None:
            self.moveToThread(app.thread())
        self.came.connect(self._deliver)

    def _deliver(self, method: WeakMethod[Any], arguments: tuple[Any, ...]) -> None:
        heard = method()
        if heard is not None and isalive(heard.__self__):
            heard(*arguments)


_post: list[_Post] = []


def in_window(method: Callable[..., Any]) -> Callable[..., None]:
    """Return a function for any thread that calls a Qt object's method in the window's thread, while the object lives.

    Parameters
    ----------
    method : bound method
    """
    if not _post:
        _post.append(_Post())
    post, there = _post[0], WeakMethod(method)

    def call(*arguments: Any) -> None:
        with suppress(RuntimeError):  # Qt itself is gone
            post.came.emit(there, arguments)

    return call


class LatestTask(QObject):
    """Task that answers questions in a thread, one at a time; a new question replaces the one that waits.

    Parameters
    ----------
    answer : callable
        Called in the thread with a question; never by two threads at once.
    niceness : int, optional
        See `begin`.

    Attributes
    ----------
    answered : Signal(question, answer)
    failed : Signal(question, exception)
        One of the two for every question started, in the thread of this object.
    warned : Signal(text)
        A warning issued while answering.
    """

    answered = Signal(object, object)
    failed = Signal(object, object)
    warned = Signal(str)

    def __init__(
        self, answer: Callable[[Any], Any], parent: QObject | None = None, niceness: int | None = None
    ) -> None:
        super().__init__(parent)
        self._answer, self._niceness = answer, niceness
        self._waiting: list[Any] = []
        self._at_work: Any = None
        self._say_warning, self._say_end = in_window(self._on_warned), in_window(self._on_ended)

    @property
    def busy(self) -> bool:
        return self._at_work is not None

    def ask(self, question: Any) -> None:
        """Start now, or after the current question is answered."""
        self._waiting = [question]
        self._next()

    def forget(self) -> None:
        """Drop the question that waits."""
        self._waiting = []

    def _next(self) -> None:
        if self.busy or not self._waiting:
            return
        self._at_work = self._waiting.pop()
        begin(_answer, self._answer, self._at_work, self._say_warning, self._say_end, niceness=self._niceness)

    def _on_warned(self, warning: str) -> None:
        self.warned.emit(warning)

    def _on_ended(self, answer: Any, error: Exception | None) -> None:
        question, self._at_work = self._at_work, None
        if error is None:
            self.answered.emit(question, answer)
        else:
            self.failed.emit(question, error)
        self._next()


def _answer(
    function: Callable[[Any], Any], question: Any, warn: Callable[[str], None], end: Callable[..., None]
) -> None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.showwarning = lambda warning, *_: warn(str(warning))
            answer = function(question)
    except Exception as error:
        end(None, error)
    else:
        end(answer, None)


class BackgroundTask(QObject):
    """Task that calls a function in a thread; its outcome is signalled in the thread of this object.

    Parameters
    ----------
    parent : QObject
    to_finish : bool
        See `begin`.

    Attributes
    ----------
    done : Signal(outcome)
    failed : Signal(exception)
        One of the two, unless a later call was started meanwhile: then only that of the later call.
    """

    done = Signal(object)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None, to_finish: bool = False) -> None:
        super().__init__(parent)
        self._to_finish = to_finish
        self._number = 0
        self.busy = False
        self._say_end = in_window(self._on_ended)

    def begin(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function; the outcome of an earlier call is dropped."""
        self._number += 1
        self.busy = True
        begin(_call, self._say_end, self._number, function, arguments, to_finish=self._to_finish)

    def forget(self) -> None:
        """Drop the outcome of the current call."""
        self._number += 1
        self.busy = False

    def _on_ended(self, number: int, outcome: Any, error: Exception | None) -> None:
        if number != self._number:
            return
        self.busy = False
        if error is None:
            self.done.emit(outcome)
        else:
            self.failed.emit(error)


def _call(end: Callable[..., None], number: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        outcome = function(*arguments)
    except Exception as error:
        end(number, None, error)
    else:
        end(number, outcome, None)
