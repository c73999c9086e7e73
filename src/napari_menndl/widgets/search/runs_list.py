"""List of the known runs and their state; a double click opens one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from qtpy.QtCore import Qt, Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_menndl.search.views.known_runs import KnownRun, KnownRuns, Peek, peek
from napari_menndl.widgets.background import BackgroundTask

_PATH = Qt.ItemDataRole.UserRole


class RunsList(QWidget):
    """Known runs with their state.

    Attributes
    ----------
    asked : Signal(str)
        Path of the run to open.
    browse : Signal()
        A run that is not in the list should be opened.
    listed : Signal(list of (KnownRun, Peek))
    """

    asked = Signal(str)
    browse = Signal()
    listed = Signal(object)

    def __init__(self, known: KnownRuns, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.known = known
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(["run", "state", "best", "opened"])
        self.tree.setRootIsDecorated(False)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.tree.setStyleSheet("font-size: 11px;")
        self.tree.setFixedHeight(130)
        header: Any = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.open_button = QPushButton("Open")
        self.open_button.setToolTip("Watch the chosen run; a stopped one can then be resumed")
        self.forget_button = QPushButton("Remove from list")
        self.forget_button.setToolTip("Take the chosen run off this list; its folder stays where it is")
        self.browse_button = QPushButton("Browse …")
        self.browse_button.setToolTip("Open a run folder that is not in the list")
        buttons = QHBoxLayout()
        for button in (self.open_button, self.forget_button, self.browse_button):
            buttons.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree)
        layout.addLayout(buttons)
        self._job = BackgroundTask(self)
        self._job.done.connect(self._show)
        self.tree.itemActivated.connect(self._on_activated)
        self.tree.itemSelectionChanged.connect(self._on_selection)
        self.open_button.clicked.connect(self._on_open)
        self.forget_button.clicked.connect(self._on_forget)
        self.browse_button.clicked.connect(self.browse)
        self._on_selection()

    def refresh(self) -> None:
        """Read the state of all runs again, in a thread."""
        self._job.begin(_look_at_all, self.known)

    def _show(self, looked: list[tuple[KnownRun, Peek]]) -> None:
        chosen = self._chosen()
        self.tree.clear()
        for run, seen in looked:
            item = QTreeWidgetItem(
                [
                    Path(run.path).name.removesuffix(".menndl"),
                    seen.state,
                    "–" if seen.fitness is None else f"{seen.fitness:.3f}",
                    ago(run.opened),
                ]
            )
            item.setData(0, _PATH, run.path)
            for column in range(4):
                item.setToolTip(column, f"{run.path}\n{run.movie}".strip())
            self.tree.addTopLevelItem(item)
            if run.path == chosen:
                self.tree.setCurrentItem(item)
        self._on_selection()
        self.listed.emit(looked)

    def _chosen(self) -> str:
        items = self.tree.selectedItems()
        return str(items[0].data(0, _PATH)) if items else ""

    def _on_selection(self) -> None:
        for button in (self.open_button, self.forget_button):
            button.setEnabled(bool(self._chosen()))

    def _on_activated(self, item: QTreeWidgetItem, _: int) -> None:
        self.asked.emit(str(item.data(0, _PATH)))

    def _on_open(self, _: Any = None) -> None:
        self.asked.emit(self._chosen())

    def _on_forget(self, _: Any = None) -> None:
        self.known.forget(self._chosen())
        self.refresh()


def _look_at_all(known: KnownRuns) -> list[tuple[KnownRun, Peek]]:
    return [(run, peek(run.path)) for run in known.list()]


def ago(then: float) -> str:
    """Format a time: ``"14:05"`` if it is today, otherwise ``"2026-11-23"``."""
    when, now = time.localtime(then), time.localtime()
    return time.strftime("%H:%M" if when[:3] == now[:3] else "%Y-%m-%d", when)
