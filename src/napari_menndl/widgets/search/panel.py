"""Parts of the dock and their layout; `dock` has their behaviour."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QCheckBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_menndl.widgets.docking import NARROW
from napari_menndl.widgets.search.curves_view import CurvesView
from napari_menndl.widgets.search.leaderboard import Leaderboard
from napari_menndl.widgets.search.network_view import NetworkView
from napari_menndl.widgets.search.numbers import Numbers
from napari_menndl.widgets.search.runs_list import RunsList
from napari_menndl.widgets.search.setup import Setup
from napari_menndl.widgets.section import section
from napari_menndl.widgets.shortcuts import explained

if TYPE_CHECKING:
    import napari.viewer

    from napari_menndl.search.views.known_runs import KnownRuns
    from napari_menndl.search.views.monitor import RunSnapshot


class Panel(QWidget):
    """Set-up, progress, networks, log and runs, one below the other."""

    def __init__(self, viewer: napari.viewer.Viewer, known: KnownRuns) -> None:
        super().__init__()
        self._make_controls()
        self.setup = Setup(viewer)
        self.numbers = Numbers()
        self.curves = CurvesView()
        self.leaderboard = Leaderboard()
        self.leaderboard.setFixedHeight(176)
        self.network = NetworkView()
        self.runs = RunsList(known)
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(500)
        self.log.setFixedHeight(150)
        self.log.setStyleSheet("font-size: 11px;")
        self._last_line: tuple[float, str] | None = None
        self.setup_section = section("Set up", self.setup, opened=True)
        self.log_section = section("Log", self.log)
        self.details_section = section(
            "Details", self._details(), tip="How fast the search is, how busy its slots are, and its log"
        )
        self.runs_section = section("Runs", self.runs)
        self.progress = QWidget()
        self._lay_out()
        self.progress.hide()
        #: Buttons by the names that hints use.
        self.buttons: dict[str, QWidget] = {
            "start": self.start_button,
            "resume": self.resume_button,
            "best": self.best_box,
            "budget": self.setup.budget,
        }
        self.setMinimumWidth(NARROW)

    def _make_controls(self) -> None:
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setTextFormat(Qt.TextFormat.RichText)
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.headline = QLabel()
        self.headline.setTextFormat(Qt.TextFormat.RichText)
        self.headline.setWordWrap(True)
        self.start_button = QPushButton("Start search")
        self.start_button.setToolTip("Start the search as a process of its own; it goes on when napari is closed")
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("End the search cleanly; nothing that was evaluated is lost, and it can be resumed")
        self.resume_button = QPushButton("Resume")
        self.resume_button.setToolTip("Go on with this run, up to the budget in the form; time counts from its start")
        self.best_box = QCheckBox("Show best on this frame")
        self.best_box.setToolTip(
            explained(
                "Outline what the best network so far finds on the frame in view, renewed as it improves", "show-best"
            )
        )
        self.best_note = QLabel()
        self.best_note.setWordWrap(True)
        self.best_note.setStyleSheet("font-size: 11px;")

    def _details(self) -> QWidget:
        details = QWidget()
        layout = QVBoxLayout(details)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.numbers.details)
        layout.addWidget(self.log_section)
        return details

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self.start_button, self.stop_button, self.resume_button):
            buttons.addWidget(button)
        within = QVBoxLayout(self.progress)
        within.setContentsMargins(0, 0, 0, 0)
        within.addWidget(self.headline)
        within.addWidget(self.numbers)
        within.addWidget(self.curves)
        within.addWidget(self.best_box)
        within.addWidget(self.best_note)
        within.addWidget(self.leaderboard)
        within.addWidget(self.network)
        within.addWidget(self.details_section)
        body = QWidget()
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 4, 0)
        column.addWidget(self.setup_section)
        column.addWidget(self.progress)
        column.addWidget(self.runs_section)
        column.addStretch()
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(body)
        layout = QVBoxLayout(self)
        layout.addWidget(self.status)
        layout.addLayout(buttons)
        layout.addWidget(scroll, 1)

    def clear(self) -> None:
        """Clear everything about the previous run."""
        self.numbers.clear()
        self.curves.show_snapshot(None)
        self.leaderboard.clear()
        self.network.clear()
        self.log.clear()
        self._last_line = None

    def show_snapshot(self, snapshot: RunSnapshot) -> None:
        """Show the state of the watched search."""
        self.numbers.show_snapshot(snapshot)
        self.curves.show_snapshot(snapshot)
        self.leaderboard.show_snapshot(snapshot)
        self._show_log(snapshot.log)

    def _show_log(self, lines: tuple[tuple[float, str], ...]) -> None:
        if not lines or lines[-1] == self._last_line:
            return
        seen = lines.index(self._last_line) + 1 if self._last_line in lines else 0
        self._last_line = lines[-1]
        for when, text in lines[seen:]:
            self.log.appendPlainText(f"{time.strftime('%H:%M:%S', time.localtime(when))}  {text}")
