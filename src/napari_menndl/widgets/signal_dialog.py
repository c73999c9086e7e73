"""Dialog that asks which of several images in a file is the movie."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QLabel, QTreeWidget, QTreeWidgetItem, QVBoxLayout

from napari_menndl.movie.movie import side_of_pixel
from napari_menndl.widgets.asking import DeclinedError, buttons, is_accepted, window_in_use

if TYPE_CHECKING:
    from napari_menndl.movie.signals import Option, Question

_COLUMNS = ("", "Name", "Frames", "Height × width", "Type", "Pixel size", "")
_MOST_ROWS = 12


class SignalDialog(QDialog):
    """Dialog with one row per image: name, size, type and pixel size.

    Parameters
    ----------
    question : Question
    """

    def __init__(self, question: Question) -> None:
        super().__init__(window_in_use())
        self.setWindowTitle("Which one is the movie?")
        layout = QVBoxLayout(self)
        count = len(question.options)
        title = QLabel(f"{question.source} holds {f'{count} images' if count > 1 else 'one image'}.")
        title.setTextFormat(Qt.TextFormat.PlainText)  # the name comes from a file
        layout.addWidget(title)
        layout.addWidget(QLabel("Which one is the movie?" if count > 1 else "Is it the movie?"))
        self.list = QTreeWidget()
        self.list.setRootIsDecorated(False)
        self.list.setSizeAdjustPolicy(QTreeWidget.SizeAdjustPolicy.AdjustToContents)
        self.list.setAllColumnsShowFocus(True)
        self.list.setHeaderLabels(_COLUMNS)
        for option in question.options:
            self.list.addTopLevelItem(_row(option))
        layout.addWidget(self.list)
        self._box = buttons(self)
        layout.addWidget(self._box)
        self.list.itemSelectionChanged.connect(self._selected)
        self.list.itemDoubleClicked.connect(lambda item: self.accept() if item.isSelected() else None)
        self._fit(min(count, _MOST_ROWS))
        self._selected()
        for row, option in enumerate(question.options):
            if option.number == question.likely:
                self.list.setCurrentItem(self.list.topLevelItem(row))
                self.list.scrollToItem(self.list.topLevelItem(row))

    def _fit(self, rows: int) -> None:
        """Make the list as large as its rows, so that nothing is cut off."""
        for column in range(self.list.columnCount()):
            self.list.resizeColumnToContents(column)
        height = max(self.list.sizeHintForRow(0), self.fontMetrics().height() + 6)
        header = self.list.header()
        assert header is not None
        self.list.setMinimumHeight(header.sizeHint().height() + (rows + 1) * height)
        self.list.setMinimumWidth(min(header.length() + 24, 1000))

    def _selected(self) -> None:
        opening = self._box.button(self._box.StandardButton.Open)
        assert opening is not None
        opening.setEnabled(bool(self.list.selectedItems()))

    def number(self) -> int:
        """Return the number of the image that was chosen."""
        return int(self.list.selectedItems()[0].data(0, Qt.ItemDataRole.UserRole))


def _row(option: Option) -> QTreeWidgetItem:
    lead = len(option.shape) - 2 if option.possible else 0
    stack, plane = option.shape[:lead], option.shape[lead:]
    size = "" if not option.possible else "unknown" if option.pixel_size is None else side_of_pixel(option.pixel_size)
    words = (
        str(option.number),
        option.name,
        " × ".join(map(str, stack)),
        " × ".join(map(str, plane)),
        str(option.dtype or ""),
        size,
        option.note,
    )
    row = QTreeWidgetItem(list(words))
    row.setData(0, Qt.ItemDataRole.UserRole, option.number)
    row.setToolTip(6, option.note)
    if not option.possible:
        row.setFlags(Qt.ItemFlag.NoItemFlags)
    return row


def ask_for_signal(question: Question) -> int:
    """Let a person choose an image, and return its number.

    Raises
    ------
    DeclinedError
        If nothing was chosen.
    """
    dialog = SignalDialog(question)
    if not is_accepted(dialog):
        known = ", ".join(f"{one.number} {one.name}".strip() for one in question.options[:8])
        raise DeclinedError(f"an image of {question.source}", f"none chosen of {known}", "Open the file again.")
    return dialog.number()
