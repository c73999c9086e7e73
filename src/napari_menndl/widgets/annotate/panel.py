"""Layout of the dock "Annotate defects"; `dock` has its behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QScrollArea, QSizePolicy, QVBoxLayout, QWidget

from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.widgets.annotate.choice import AnnotationChooser
from napari_menndl.widgets.annotate.class_table import ClassMatching, ClassTable
from napari_menndl.widgets.annotate.frame_list import FrameList
from napari_menndl.widgets.annotate.helper import COLUMNS, FOURIER, Helper
from napari_menndl.widgets.annotate.prepare import Prepare
from napari_menndl.widgets.annotate.settings import ClickSettings
from napari_menndl.widgets.docking import NARROW
from napari_menndl.widgets.form import lay_out, make_form
from napari_menndl.widgets.section import section

if TYPE_CHECKING:
    from napari.viewer import Viewer

TOOLS = {
    "brush": ("Brush", "Paint with the selected class (P over the frame; [ and ] change the brush's size)"),
    "eraser": ("Eraser", "Erase what is marked (E over the frame)"),
    "points": ("Points", "Click the middle of each defect: each click is a disc at once, whose radius is below"),
    "region": (
        "Region",
        "Drag a rectangle in which everything is annotated; select it and press Delete to remove it",
    ),
}


class Panel(QScrollArea):
    """Parts of the dock, one below the other; they scroll in a low window.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.classes = ClassTable()
        self.matching = ClassMatching()
        self.frames = FrameList()
        self.fourier, self.columns = Helper(viewer, FOURIER), Helper(viewer, COLUMNS)
        self.helpers = (self.fourier, self.columns)
        self.choice = AnnotationChooser(viewer, lambda layer: any(one.preview.owns(layer) for one in self.helpers))
        self.prepare = Prepare(viewer, self.choice.movie_and_layer)
        self.status = QLabel()
        self.status.setTextFormat(Qt.TextFormat.RichText)
        self.status.setWordWrap(True)
        self.status.setStyleSheet("border-left: 3px solid #2f8fd8; padding: 4px 4px 4px 6px;")
        self.tools = {name: _button(*words) for name, words in TOOLS.items()}
        self.undo = _button("↶ Undo", "Take back the last stroke, also one from before napari was closed (Ctrl+Z)")
        self.redo = _button("↷ Redo", "Paint it again (Ctrl+Shift+Z)")
        self.click_form = make_form(ClickSettings)
        self.to_discs = _button(
            "Points → discs",
            "Mark a disc around every point of the selected points layer; clicked points are discs already",
        )
        self.to_points = _button(
            "Discs → points", "Turn the defects of this frame into points that can be moved or deleted"
        )
        #: Buttons by the names that hints use.
        self.buttons = {
            "new": self.choice.new,
            "offer": self.choice.offer,
            "brush": self.tools["brush"],
            "complete": self.frames.buttons[FrameStatus.COMPLETE],
            "next": self.frames.next,
        }
        body = self._arrange()
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(NARROW)

    def name_unit(self, unit: str) -> None:
        """Show the unit of the radius."""
        self.radius_title.setText(f"Radius [{unit}]")

    def show_section(self, title: str) -> None:
        """Expand a section and scroll it into view."""
        self.sections[title].expand(animate=False)
        QTimer.singleShot(0, lambda: self.ensureWidgetVisible(self.sections[title]))

    def _arrange(self) -> QWidget:
        body = QWidget()
        layout = QVBoxLayout(body)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(6)
        advanced = section("Advanced", self.matching, tip="How defects of the selected class are counted")
        marks = _column(self.classes, _row(*self.tools.values()), _row(self.undo, self.redo), advanced)
        radius = lay_out(self.click_form)
        self.radius_title = radius.findChildren(QLabel)[0]
        points = _column(radius, _row(self.to_discs, self.to_points))
        layout.addWidget(self.choice)
        layout.addWidget(self.status)
        parts = {
            "Prepare the movie": (self.prepare, False),
            "Defect classes": (marks, True),
            "Frames": (self.frames, True),
            "Points": (points, False),
            "Fourier helper": (self.fourier, False),
            "Column helper": (self.columns, False),
        }
        self.sections = {title: section(title, *part) for title, part in parts.items()}
        for one in self.sections.values():
            layout.addWidget(one)
        self.sections["Advanced"] = advanced
        layout.addStretch()
        return body


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    # Four buttons share a row of a narrow dock.
    button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(3)
    for widget in widgets:
        row.addWidget(widget)
    return row


def _column(*parts: QWidget | QHBoxLayout) -> QWidget:
    body = QWidget()
    column = QVBoxLayout(body)
    column.setContentsMargins(0, 0, 0, 0)
    for part in parts:
        if isinstance(part, QWidget):
            column.addWidget(part)
        else:
            column.addLayout(part)
    return body
