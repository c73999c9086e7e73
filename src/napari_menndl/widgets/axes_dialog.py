"""Dialog that asks which axis of a file is time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QApplication, QDialog, QGridLayout, QLabel, QRadioButton, QSpinBox

from napari_menndl.errors import InputError
from napari_menndl.widgets.asking import DeclinedError, buttons, is_accepted, window_in_use

if TYPE_CHECKING:
    from napari_menndl.movie.hyperstack import Hyperstack
    from napari_menndl.movie.movie import Movie


class AxesDialog(QDialog):
    """Dialog with one row per axis: whether it is time, and otherwise which index of it to open.

    Parameters
    ----------
    found : Hyperstack
    """

    def __init__(self, found: Hyperstack) -> None:
        super().__init__(window_in_use())
        self.found = found
        self.setWindowTitle("Which axis is time?")
        layout = QGridLayout(self)
        shape = " × ".join(map(str, found.array.shape))
        layout.addWidget(
            QLabel(f"{found.path.name} has {found.array.ndim} axes, {shape}.\nWhich one is time?"), 0, 0, 1, 3
        )
        self.times: dict[int, QRadioButton] = {}
        self.cuts: dict[int, QSpinBox] = {}
        for row, axis in enumerate(found.open_axes, start=1):
            time, cut = QRadioButton(found.title(axis)), QSpinBox()
            time.setToolTip("The frames of the movie lie along this axis")
            cut.setToolTip("Of an axis that is not time, only this index is opened")
            cut.setMaximum(found.array.shape[axis] - 1)
            cut.setPrefix("at ")
            time.toggled.connect(cut.setDisabled)
            time.setChecked(axis == found.likely_time)
            self.times[axis], self.cuts[axis] = time, cut
            layout.addWidget(time, row, 0)
            layout.addWidget(cut, row, 1)
        layout.addWidget(buttons(self), len(self.times) + 1, 0, 1, 3)

    def movie(self) -> Movie:
        """Return the movie that was chosen."""
        time = next(axis for axis, button in self.times.items() if button.isChecked())
        return self.found.movie(time, {axis: cut.value() for axis, cut in self.cuts.items() if axis != time})


def ask_for_axes(found: Hyperstack) -> Movie:
    """Let a person choose a movie from an array of many axes.

    Raises
    ------
    InputError
        If there is no window to ask in; `DeclinedError` if nothing was chosen.
    """
    dialog = AxesDialog(found) if QApplication.instance() else None
    if dialog is None or not is_accepted(dialog):
        axes = ", ".join(found.title(axis) for axis in found.open_axes)
        kind = InputError if dialog is None else DeclinedError
        raise kind("one axis chosen as time", f"none of: {axes}", "Open the file again and choose one.")
    return dialog.movie()
