"""List of a movie's frames with their status, and buttons for the status of the frame in view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QAbstractListModel, QModelIndex, Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QLabel, QListView, QPushButton, QVBoxLayout, QWidget

from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.widgets.shortcuts import explained

if TYPE_CHECKING:
    from napari_menndl.annotation.annotation import Annotation

_ROLE = Qt.ItemDataRole
SIGNS = {FrameStatus.UNTOUCHED: "○", FrameStatus.IN_PROGRESS: "◐", FrameStatus.COMPLETE: "●"}
HELP = {
    FrameStatus.UNTOUCHED: "Nobody has looked at this frame: it says nothing, not even where it is empty",
    FrameStatus.IN_PROGRESS: "Only what is marked is known, or what lies inside a region",
    FrameStatus.COMPLETE: "Every defect is marked: what is empty is known to be empty",
}


class FrameModel(QAbstractListModel):
    """List model with one row per frame of an annotation."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.annotation: Annotation | None = None

    def show(self, annotation: Annotation | None) -> None:
        self.beginResetModel()
        self.annotation = annotation
        self.endResetModel()

    def renew(self, frame: int) -> None:
        self.dataChanged.emit(self.index(frame), self.index(frame))

    def rowCount(self, parent: QModelIndex = QModelIndex()) -> int:  # noqa: N802, B008 (Qt's name and default)
        return 0 if self.annotation is None or parent.isValid() else len(self.annotation)

    def data(self, index: QModelIndex, role: int = _ROLE.DisplayRole) -> Any:
        if self.annotation is None:
            return None
        status = self.annotation.status[index.row()]
        if role == _ROLE.DisplayRole:
            return f"{SIGNS[status]}  Frame {index.row()}   {status}"
        return HELP[status] if role == _ROLE.ToolTipRole else None


class FrameList(QWidget):
    """List of the frames, and buttons for the frame in view.

    Attributes
    ----------
    chosen : Signal(int)
        The frame that was clicked.
    status_chosen : Signal(str)
        The status chosen for the frame in view.
    """

    chosen = Signal(int)
    status_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.model = FrameModel(self)
        self.title = QLabel()
        self.buttons: dict[FrameStatus, QPushButton] = {}
        self._group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(3)
        for status in FrameStatus:
            button = QPushButton()
            button.setText(str(status).capitalize())
            button.setCheckable(True)
            button.setToolTip(HELP[status])
            button.setMinimumWidth(1)
            button.clicked.connect(lambda _, s=status: self.status_chosen.emit(str(s)))
            self._group.addButton(button)
            self.buttons[status] = button
            row.addWidget(button, 1)
        complete = self.buttons[FrameStatus.COMPLETE]
        complete.setToolTip(explained(HELP[FrameStatus.COMPLETE], "frame-complete"))
        self.next = QPushButton("Next unannotated frame")
        self.next.setToolTip(explained("Go to the next frame that is not complete", "next-unannotated"))
        self.view = QListView()
        self.view.setModel(self.model)
        self.view.setUniformItemSizes(True)
        self.view.setFixedHeight(112)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.title)
        layout.addLayout(row)
        layout.addWidget(self.view)
        layout.addWidget(self.next)
        self.view.clicked.connect(self._clicked)

    def show_frames(self, annotation: Annotation | None) -> None:
        self.model.show(annotation)
        self.setEnabled(annotation is not None)

    def show_frame(self, frame: int) -> None:
        """Show which frame is in view, and its status."""
        annotation = self.model.annotation
        if annotation is None or frame >= len(annotation):
            self.title.setText("")
            return
        done = sum(status is FrameStatus.COMPLETE for status in annotation.status)
        self.title.setText(f"Frame {frame} is …  ({done} of {len(annotation)} complete)")
        self.buttons[annotation.status[frame]].setChecked(True)
        self.view.setCurrentIndex(self.model.index(frame))

    def _clicked(self, index: QModelIndex) -> None:
        self.chosen.emit(index.row())
