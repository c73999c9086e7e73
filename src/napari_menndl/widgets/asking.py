"""Questions when a file is opened: whether a person is there to answer, and the meaning of Cancel."""

from __future__ import annotations

from qtpy.QtWidgets import QApplication, QDialog, QDialogButtonBox, QMainWindow, QWidget

from napari_menndl.errors import InputError


class DeclinedError(InputError):
    """Cancel was pressed: nothing is opened, and no error is shown."""


def user_is_present() -> bool:
    """Whether a person can answer: a window is visible, and its event loop is running rather than a script."""
    app = QApplication.instance()
    thread = None if app is None else app.thread()
    on_screen = any(window.isVisible() for window in QApplication.topLevelWidgets())
    return thread is not None and thread.loopLevel() > 0 and on_screen


def window_in_use() -> QWidget | None:
    """Return the window that a dialog belongs to, whose colours it takes."""
    windows = [one for one in QApplication.topLevelWidgets() if isinstance(one, QMainWindow) and one.isVisible()]
    return QApplication.activeWindow() or next(iter(windows), None)


def buttons(dialog: QDialog) -> QDialogButtonBox:
    """Return the buttons Open and Cancel for a dialog."""
    box = QDialogButtonBox(QDialogButtonBox.StandardButton.Open | QDialogButtonBox.StandardButton.Cancel)
    box.accepted.connect(dialog.accept)
    box.rejected.connect(dialog.reject)
    return box


def is_accepted(dialog: QDialog) -> bool:
    """Show a dialog until it is answered, then delete it; return whether it was accepted."""
    accepted = dialog.exec() == int(QDialog.DialogCode.Accepted.value)
    dialog.deleteLater()
    return bool(accepted)
