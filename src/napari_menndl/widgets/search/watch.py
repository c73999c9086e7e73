"""Watching of a run folder from the window: read in a thread, shown at the window's own pace."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal  # type: ignore[attr-defined]

from napari_menndl.widgets.background import begin, in_window

if TYPE_CHECKING:
    from napari_menndl.run import Run
    from napari_menndl.search.views.monitor import RunSnapshot

#: Interval between snapshots while the search is running, and otherwise [s].
_PAUSE, _LONG_PAUSE = 0.15, 1.0
#: Interval between parts of a long journal, because parsing slows down the window's own thread [s].
_BREATH = 0.02


class Watch(QObject):
    """Watcher that takes a snapshot of a run several times a second, from `start` until closed.

    Parameters
    ----------
    run : Run

    Attributes
    ----------
    seen : Signal(RunSnapshot)
        The next one comes after `shown` was called, so that a busy window is not flooded.
    failed : Signal(exception)
        The run folder cannot be read; watching continues.
    """

    seen = Signal(object)
    failed = Signal(object)

    def __init__(self, run: Run, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.run = run
        self.monitor = run.folder.monitor()
        self._closed = threading.Event()
        self._shown = threading.Event()
        self._hurry = threading.Event()
        self._see, self._fail = in_window(self._on_seen), in_window(self._on_failure)

    def start(self) -> None:
        """Start watching; the receivers of the signals should be connected already."""
        begin(self._poll)

    def shown(self) -> None:
        """Confirm that the latest snapshot was shown."""
        self._shown.set()

    def hurry(self) -> None:
        """Take the next snapshot at once, because something is about to happen."""
        self._hurry.set()

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        self._hurry.set()
        self._shown.set()

    def _poll(self) -> None:
        pause = _PAUSE
        while not self._closed.is_set():
            try:
                snapshot = self.monitor.snapshot()
            except Exception as error:
                pause = _LONG_PAUSE
                self._fail(error)
            else:
                pause = _pause_after(snapshot)
                self._shown.clear()
                self._see(snapshot)
                self._wait(self._shown)
            self._hurry.wait(pause)
            self._hurry.clear()

    def _wait(self, event: threading.Event) -> None:
        # In steps: at the end of the process a thread can be ended only between them.
        while not event.wait(1.0) and not self._closed.is_set():
            pass

    def _on_seen(self, snapshot: RunSnapshot) -> None:
        self.seen.emit(snapshot)

    def _on_failure(self, error: Exception) -> None:
        self.failed.emit(error)


def _pause_after(snapshot: RunSnapshot) -> float:
    if not snapshot.whole:
        return _BREATH
    return _PAUSE if snapshot.state in ("running", "new") else _LONG_PAUSE
