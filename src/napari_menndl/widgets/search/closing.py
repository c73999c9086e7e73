"""Question before napari is closed while a search is running."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import ref

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QMessageBox, QSplitter, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

LEAVE, STOP, STAY = "leave", "stop", "stay"
_SETTLED = "menndl-settled"


class CloseGuard(QObject):
    """Guard that asks before a window is closed in which a running search is watched.

    A window closed by code (``viewer.close()``) is not held up: the search then continues, as it does by default.

    Parameters
    ----------
    window : QWidget
        The main window.
    running : callable
        Returns the name of the running search; empty if none is running.
    stop : callable
        Requests the search to stop.
    """

    def __init__(
        self,
        window: QWidget,
        running: Callable[[], str],
        stop: Callable[[], None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._window = ref(window)  # a dock that is still referenced must not keep a closed window
        self._running, self._stop = running, stop
        window.installEventFilter(self)

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 (Qt's name)
        window = self._window()
        if event.type() != QEvent.Type.Close or window is None or watched is not window or not _canvas_shown(window):
            return False
        name = self._running()
        if not name or window.property(_SETTLED) == name:
            return False
        answer = ask(window, name)
        if answer == STOP:
            self._stop()
        if answer == STAY:
            event.ignore()
        else:
            # Another dock that watches the same search must not ask again.
            window.setProperty(_SETTLED, name)
            QTimer.singleShot(0, self._forget)
        return answer == STAY

    def _forget(self) -> None:
        if (window := self._window()) is not None:
            with suppress(RuntimeError):  # the window is deleted by now
                window.setProperty(_SETTLED, None)


def _canvas_shown(window: QWidget) -> bool:
    """Whether the canvas is still visible: code that closes a viewer closes it first.

    Checked through Qt, since napari hides its own attributes from plugins.
    """
    canvases = [one for one in window.findChildren(QSplitter) if type(one).__name__ == "QtViewer"]
    return any(one.isVisible() for one in canvases)


def ask(window: QWidget, name: str) -> str:
    """Ask what to do with a running search; return `LEAVE`, `STOP` or `STAY`."""
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Question)
    box.setWindowTitle("A search is running")
    box.setText(f"The search {name} is running.")
    box.setInformativeText("It can go on without napari; you will find it in the list of runs at the next start.")
    leave = box.addButton("Keep running", QMessageBox.ButtonRole.AcceptRole)
    stop = box.addButton("Stop search", QMessageBox.ButtonRole.DestructiveRole)
    stay = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
    box.setDefaultButton(leave)
    box.setEscapeButton(stay)
    box.exec()
    clicked = box.clickedButton()
    return STOP if clicked is stop else STAY if clicked is stay else LEAVE
