"""Work beside the window, and how it ends with it.

Work is done in threads of its own. What a thread has to say reaches the window through one object that outlives every
dock (`in_window`): it is said in the window's thread, or not at all where whoever was to hear it has gone. A process
that ends has its threads stop first, and its closed docks go (`end_all`): a thread that still computes while Python
takes itself apart brings the process down, and so does PyQt, which takes apart last what nobody owns.
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

#: Threads at work, and whether a process that ends waits for what they do.
_threads: dict[threading.Thread, bool] = {}
#: How long a process that ends waits: for what is to be finished, and for a step of what is not [s].
_FINISH, _STEP = 30.0, 60.0


class _Left(SystemExit):
    """Ends a thread at its next step, without a word; no ``except Exception`` takes it for a failure."""


def begin(
    function: Callable[..., Any], *arguments: Any, niceness: int | None = None, to_finish: bool = False
) -> threading.Thread:
    """Call a function in a thread of its own.

    Parameters
    ----------
    function, *arguments
    niceness : int, optional
        Leave the processor to the window, and to what is less nice. Where the system knows priorities of threads
        (Linux), torch's threads that it starts inherit them. A search on the same computer is as nice as can be.
    to_finish : bool
        Have a process that ends wait until the function returns; otherwise it ends at its next step.
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

    # A daemon: Python would wait for any other one before anything could tell it to end.
    thread = threading.Thread(target=run, name=getattr(function, "__qualname__", "work"), daemon=True)
    _threads[thread] = to_finish
    thread.start()
    return thread


@atexit.register
def end_all() -> None:
    """Wait for what is to be finished, end all other threads, delete closed docks; called where the process ends."""
    for thread in [one for one, to_finish in _threads.copy().items() if to_finish]:
        thread.join(_FINISH)
    end = time.monotonic() + _STEP
    while (left := [one for one in _threads.copy() if one.is_alive()]) and time.monotonic() < end:
        for thread in left:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Left))
        left[0].join(5.0)  # what it leaves behind is put in order undisturbed
    _delete_closed_docks()


def _delete_closed_docks() -> None:
    """Delete docks that were taken out of their window, which napari leaves to whoever opened them.

    PyQt (6.11) deletes at exit, while it goes through a table of all objects, those that have no parent: one with so
    many parts as a dock changes the table under it, and the process ends with a segmentation fault.
    """
    app = QCoreApplication.instance()
    if not isinstance(app, QApplication):
        return
    for widget in app.topLevelWidgets():
        if type(widget).__module__.startswith(f"{__package__}."):
            widget.deleteLater()
    QCoreApplication.sendPostedEvents(None, int(QEvent.Type.DeferredDelete.value))


class _Post(QObject):
    """Takes what threads say to the window's thread."""

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
    """A method of a Qt object, to be called from any thread: it is called in the window's, while the object is alive.

    Parameters
    ----------
    method : bound method
    """
    if not _post:
        _post.append(_Post())
    post, there = _post[0], WeakMethod(method)

    def say(*arguments: Any) -> None:
        with suppress(RuntimeError):  # Qt itself has gone
            post.came.emit(there, arguments)

    return say


class LatestTask(QObject):
    """Answers questions one at a time in a thread; a new question replaces the one that waits.

    Parameters
    ----------
    answer : callable
        Called in the thread with a question; never by two threads at once.
    niceness : int, optional
        As for `begin`.

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
    """Calls a function in a thread; whoever began it hears the outcome on the thread of this object.

    Parameters
    ----------
    parent : QObject
    to_finish : bool
        As for `begin`.

    Attributes
    ----------
    done : Signal(outcome)
    failed : Signal(exception)
        One of the two, unless a later call was begun meanwhile: then only that one is heard of.
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
        """Call a function; what an earlier call still brings is dropped."""
        self._number += 1
        self.busy = True
        begin(_call, self._say_end, self._number, function, arguments, to_finish=self._to_finish)

    def forget(self) -> None:
        """Drop what the call at work will bring."""
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
