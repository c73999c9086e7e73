"""Table of the defect classes, with the number of defects in view, and how defects of a class are matched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QSize, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtGui import QColor
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QMessageBox,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import QSignalThrottler

from napari_menndl.errors import InputError
from napari_menndl.widgets.annotate.settings import MatchSettings
from napari_menndl.widgets.background import LatestTask
from napari_menndl.widgets.form import lay_out, make_form

if TYPE_CHECKING:
    from napari_menndl.annotation.annotation import Annotation

KEY, COLOUR, NAME, COUNT = range(4)
TITLES = ("Key", "", "Class", "Count")
HELP = (
    "Press this key over the frame to paint the class",
    "Double-click to choose another colour",
    "Double-click to rename",
    "Defects of the class on the frame in view",
)
_ROLE = Qt.ItemDataRole
_FLAG = Qt.ItemFlag
#: Shortest interval between two counts while strokes or frames follow each other [ms].
PAUSE = 150


class ClassModel(QAbstractTableModel):
    """Table model with one row per class of an annotation."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.annotation: Annotation | None = None
        self.counts: dict[str, int] = {}

    def show(self, annotation: Annotation | None) -> None:
        """Show the classes of another annotation, or of the same one after a change."""
        self.beginResetModel()
        self.annotation = annotation
        self.endResetModel()

    def show_counts(self, counts: dict[str, int]) -> None:
        self.counts = counts
        if rows := self.rowCount():
            self.dataChanged.emit(self.index(0, COUNT), self.index(rows - 1, COUNT))

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008 (Qt's name and default)
        return 0 if self.annotation is None or parent.isValid() else len(self.annotation.classes)

    def columnCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008
        return 0 if parent.isValid() else len(TITLES)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = _ROLE.DisplayRole) -> Any:  # noqa: N802
        if orientation == Qt.Orientation.Horizontal:
            if role == _ROLE.DisplayRole:
                return TITLES[section]
            if role == _ROLE.ToolTipRole:
                return HELP[section]
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        given = _FLAG.ItemIsSelectable | _FLAG.ItemIsEnabled
        return given | _FLAG.ItemIsEditable if index.column() == NAME else given

    def data(self, index: QModelIndex, role: int = _ROLE.DisplayRole) -> Any:
        if self.annotation is None:
            return None
        row, column = index.row(), index.column()
        defect = self.annotation.classes[row]
        if role == _ROLE.ToolTipRole:
            return HELP[column]
        if role == _ROLE.DecorationRole and column == COLOUR:
            return QColor(defect.colour)
        if role == _ROLE.TextAlignmentRole and column in (KEY, COUNT):
            return Qt.AlignmentFlag.AlignCenter
        if role in (_ROLE.DisplayRole, _ROLE.EditRole):
            counted = self.counts.get(defect.name)
            return (str(row + 1) if row < 9 else "", "", defect.name, "…" if counted is None else str(counted))[column]
        return None

    def setData(self, index: QModelIndex, value: Any, role: int = _ROLE.EditRole) -> bool:  # noqa: N802
        if self.annotation is None or role != _ROLE.EditRole or str(value) == self.annotation.class_names[index.row()]:
            return False
        try:
            self.annotation.change_class(index.row(), name=str(value).strip())
        except InputError as error:
            show_error(str(error))
            return False
        return True


class ClassTable(QWidget):
    """Table of the classes, with its buttons.

    Attributes
    ----------
    chosen : Signal(int)
        Label of the class that was selected, 1 … C.
    """

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = ClassModel(self)
        self.view = QTableView()
        self.view.setModel(self.model)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.verticalHeader().hide()  # type: ignore[union-attr]
        self.header: QHeaderView = self.view.horizontalHeader()  # type: ignore[assignment]
        header = self.header
        for column in (KEY, COUNT):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(COLOUR, QHeaderView.ResizeMode.Fixed)
        self.view.setColumnWidth(COLOUR, 28)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        self.add = QPushButton("Add class")
        self.add.setToolTip("One more kind of defect; double-click its name to rename it")
        self.delete = QPushButton("Delete class…")
        self.delete.setToolTip("Delete the selected class and everything that is marked with it; asks first")
        buttons = QHBoxLayout()
        for button in (self.add, self.delete):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)
        layout.addLayout(buttons)
        self.add.clicked.connect(self._add)
        self.delete.clicked.connect(self._delete)
        self.view.selectionModel().currentRowChanged.connect(self._row_changed)  # type: ignore[union-attr]
        self.view.doubleClicked.connect(self._double_clicked)

    def show_classes(self, annotation: Annotation | None, selected: int) -> None:
        """Show the classes of an annotation; `selected` is a label, 1 … C."""
        self.model.show(annotation)
        self.setEnabled(annotation is not None)
        self.delete.setEnabled(self.model.rowCount() > 1)
        rows = max(2, min(self.model.rowCount(), 6))
        row = self.view.rowHeight(0) or 26
        self.view.setFixedHeight(self.header.sizeHint().height() + rows * row + 4)
        self.select(selected)

    def select(self, value: int) -> None:
        """Select the row of a label."""
        self.view.setCurrentIndex(self.model.index(value - 1, NAME))

    @property
    def row(self) -> int:
        return max(0, self.view.currentIndex().row())

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        return QSize(280, super().sizeHint().height())

    def _row_changed(self, current: QModelIndex, _: QModelIndex) -> None:
        if current.isValid():
            self.chosen.emit(current.row() + 1)

    def _double_clicked(self, index: QModelIndex) -> None:
        annotation = self.model.annotation
        if annotation is None or index.column() != COLOUR:
            return
        now = annotation.classes[index.row()]
        colour = QColorDialog.getColor(QColor(now.colour), self, f"Colour of {now.name}")
        if colour.isValid():
            annotation.change_class(index.row(), colour=colour.name())

    def _add(self) -> None:
        annotation = self.model.annotation
        if annotation is None:
            return
        number = next(n for n in range(len(annotation.classes) + 1, 999) if f"class {n}" not in annotation.class_names)
        try:
            annotation.add_class(f"class {number}")
        except InputError as error:
            show_error(str(error))
            return
        self.select(len(annotation.classes))
        self.view.edit(self.view.currentIndex())

    def _delete(self) -> None:
        annotation = self.model.annotation
        if annotation is None:
            return
        defect, frames = annotation.classes[self.row], annotation.frames_with(self.row)
        lost = f"What is marked with it on {len(frames)} frame{'s' * (len(frames) != 1)}" if frames else "Nothing"
        answer = QMessageBox.warning(
            self,
            "Delete class",
            f"Delete the class {defect.name!r}? {lost} is deleted with it. This cannot be undone, and strokes before "
            "it cannot be undone afterwards.",
            QMessageBox.StandardButton.Ok | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        if answer == QMessageBox.StandardButton.Ok:
            try:
                annotation.remove_class(defect.name)
            except InputError as error:
                show_error(str(error))


class Counter(QObject):
    """Background counter for the column of counts in the class table.

    Parameters
    ----------
    table : ClassModel
    """

    def __init__(self, table: ClassModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._table = table
        self._wanted: tuple[Annotation, int] | None = None
        self._latest = LatestTask(lambda wanted: wanted[0].counts(wanted[1]), self)
        self._latest.answered.connect(self._counted)
        self._throttle = QSignalThrottler(parent=self)
        self._throttle.setTimeout(PAUSE)
        self._throttle.triggered.connect(self._count)

    def count(self, annotation: Annotation | None, frame: int) -> None:
        """Request a count; ignored without an annotation, or for a frame beyond its end."""
        self._wanted = (annotation, frame) if annotation is not None and frame < len(annotation) else None
        self._throttle.throttle()

    def _count(self) -> None:
        if self._wanted is not None:
            self._latest.ask(self._wanted)

    def _counted(self, wanted: tuple[Annotation, int], counts: dict[str, int]) -> None:
        if wanted == self._wanted and counts != self._table.counts:
            self._table.show_counts(counts)


class ClassMatching(QWidget):
    """Form for the fields of a class that its table row has no room for."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._annotation: Annotation | None = None
        self._row = 0
        self.form = make_form(MatchSettings)
        self._tolerance = self.form["tolerance"]
        self._tolerance.native.setSpecialValueText("automatic")
        body = lay_out(self.form)
        self._rows: QFormLayout = body.layout()  # type: ignore[assignment]
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(body)
        self.form.changed.connect(self._changed)

    def show_class(self, annotation: Annotation | None, row: int) -> None:
        """Show the fields of a class, by its row; disabled without an annotation."""
        self._annotation, self._row = annotation, row
        self.setEnabled(annotation is not None)
        if annotation is None or row >= len(annotation.classes):
            return
        defect = annotation.classes[row]
        unit = "px" if annotation.pixel_size is None else "nm"
        self._rows.labelForField(self._tolerance.native).setText(f"Tolerance [{unit}]")  # type: ignore[union-attr]
        with self.form.changed.blocked():
            self.form["extended"].value = defect.extended
            self._tolerance.value = defect.tolerance or 0.0
        self._tolerance.enabled = not defect.extended

    def _changed(self) -> None:
        if self._annotation is None:
            return
        extended, tolerance = self.form["extended"].value, self._tolerance.value
        try:
            self._annotation.change_class(self._row, extended=extended, tolerance=tolerance or None)
        except InputError as error:
            show_error(str(error))
            self.show_class(self._annotation, self._row)
