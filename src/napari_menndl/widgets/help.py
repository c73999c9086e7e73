"""Dock "Shortcuts": every key that the docks use."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QGridLayout, QLabel, QScrollArea, QWidget

from napari_menndl.widgets.shortcuts import SHORTCUTS, Shortcut

if TYPE_CHECKING:
    import napari.viewer

#: Tools of napari that are used all the time while annotating; they keep their keys.
NAPARI = (
    Shortcut("", "P", "Paint", "Tools of the annotation layer"),
    Shortcut("", "E", "Erase", "Tools of the annotation layer"),
    Shortcut("", "F", "Fill", "Tools of the annotation layer"),
    Shortcut("", "L", "Pick the class under the mouse", "Tools of the annotation layer"),
    Shortcut("", "Z", "Move and zoom", "Tools of the annotation layer"),
    Shortcut("", "[  ]", "Smaller or larger brush", "Tools of the annotation layer"),
    Shortcut("", "Ctrl-Z", "Undo", "Tools of the annotation layer"),
    Shortcut("", "← →", "Previous or next frame", "Viewer"),
)


class ShortcutHelp(QScrollArea):
    """Dock "Shortcuts".

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        body = QWidget()
        grid = QGridLayout(body)
        grid.setColumnStretch(1, 1)
        for dock, shortcuts in groupby((*_merged(), *NAPARI), key=lambda one: one.dock):
            heading = grid.rowCount()
            grid.addWidget(QLabel(f"<b>{dock or 'Everywhere'}</b>"), heading, 0, 1, 2)
            for row, one in enumerate(shortcuts, start=heading + 1):
                key, title = QLabel(f"<code>{one.shown}</code>"), QLabel(one.title)
                title.setWordWrap(True)
                for label in (key, title):
                    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                grid.addWidget(key, row, 0, Qt.AlignmentFlag.AlignTop)
                grid.addWidget(title, row, 1)
        grid.setRowStretch(grid.rowCount(), 1)
        self.setWidget(body)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMinimumWidth(300)


def _merged() -> list[Shortcut]:
    """Return all shortcuts, with those of the classes merged into one line."""
    classes = [one for one in SHORTCUTS if one.id.startswith("class-")]
    line = Shortcut("", f"{classes[0].keys} … {classes[-1].keys}", "Paint this defect class", classes[0].dock)
    merged = [line if one is classes[0] else one for one in SHORTCUTS if one not in classes[1:]]
    return sorted(merged, key=lambda one: [m.dock for m in merged].index(one.dock))
