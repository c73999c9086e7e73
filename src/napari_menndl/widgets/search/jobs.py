"""Work in threads of its own, apart from the few that all docks share: it may wait for minutes."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from collections.abc import Callable


class Job(QObject):
    """Calls a function in a thread; whoever began it hears the outcome on the thread of this object.

    Parameters
    ----------
    parent : QObject

    Attributes
    ----------
    done : Signal(outcome)
    failed : Signal(exception)
        One of the two, unless a later call was begun meanwhile: then only that one is heard of.
    """

    done = Signal(object)
    failed = Signal(object)
    _ended = Signal(int, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._number = 0
        self.busy = False
        self._ended.connect(self._on_ended)

    def begin(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function; what an earlier call still brings is dropped."""
        self._number += 1
        self.busy = True
        # A daemon: a window that closes does not wait for an answer from far away.
        threading.Thread(target=self._run, args=(self._number, function, arguments), daemon=True).start()

    def forget(self) -> None:
        """Drop what the call at work will bring."""
        self._number += 1
        self.busy = False

    def _run(self, number: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        outcome, error = None, None
        try:
            outcome = function(*arguments)
        except Exception as problem:
            error = problem
        with suppress(RuntimeError):  # the dock was closed, and this object with it
            self._ended.emit(number, outcome, error)

    def _on_ended(self, number: int, outcome: Any, error: Exception | None) -> None:
        if number != self._number:
            return
        self.busy = False
        if error is None:
            self.done.emit(outcome)
        else:
            self.failed.emit(error)
