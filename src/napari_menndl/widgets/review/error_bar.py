"""Row of buttons to go from error to error and to decide about each, with their keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QGridLayout, QLabel, QPushButton, QWidget

from napari_menndl.widgets.shortcuts import explained

if TYPE_CHECKING:
    from napari_menndl.widgets.review.chosen import SelectedDefect

HINT = "Click a defect, or go from error to error."


class ErrorBar(QWidget):
    """Buttons previous, next, accept, reject and repaint.

    Attributes
    ----------
    previous, next, accept, reject, repaint_button : QPushButton
    about : QLabel
        The defect that the buttons apply to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.previous = self._button("◀ Previous error", "Go to the error before", "previous-error")
        self.next = self._button("Next error ▶", "Go to the next error, across frames", "next-error")
        self.accept = self._button("✓ Accept", "There is such a defect: put it into the annotation", "accept-defect")
        self.reject = self._button("✗ Reject", "There is no defect: take it out of the annotation", "reject-defect")
        self.repaint_button = QPushButton("Repaint")
        self.repaint_button.setToolTip(
            "Take the brush of this class on the annotation; what is painted is reviewed at once"
        )
        self.about = QLabel(HINT)
        self.about.setWordWrap(True)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.previous, 0, 0, 1, 3)
        layout.addWidget(self.next, 0, 3, 1, 3)
        layout.addWidget(self.about, 1, 0, 1, 6)
        for column, button in enumerate((self.accept, self.reject, self.repaint_button)):
            layout.addWidget(button, 2, 2 * column, 1, 2)
        self.show_chosen(None)

    def show_chosen(self, chosen: SelectedDefect | None, place: str = "") -> None:
        """Show a defect; `place` is a text such as ``"error 3 of 12"``, or another message."""
        for button in (self.accept, self.reject, self.repaint_button):
            button.setEnabled(chosen is not None)
        parts = [place, "" if chosen is None else chosen.describe()]
        self.about.setText(": ".join(filter(None, parts)) or HINT)

    @staticmethod
    def _button(text: str, help_text: str, key: str) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(explained(help_text, key))
        return button
