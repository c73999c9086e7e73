"""Dock "Search networks": sets a search up, starts it as a process of its own, and watches its run folder."""

from __future__ import annotations

import logging
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Signal  # type: ignore[attr-defined]
from qtpy.QtWidgets import QFileDialog, QMainWindow, QWidget

from napari_menndl.errors import InputError
from napari_menndl.search.views.known_runs import KnownRun, KnownRuns, Peek
from napari_menndl.widgets.background import BackgroundTask
from napari_menndl.widgets.docking import Docking
from napari_menndl.widgets.search.best_view import BestView
from napari_menndl.widgets.search.closing import CloseGuard
from napari_menndl.widgets.search.messages import headline, hint_for
from napari_menndl.widgets.search.panel import Panel
from napari_menndl.widgets.search.request import Opened, begin, look, resume
from napari_menndl.widgets.search.watch import Watch
from napari_menndl.widgets.shortcuts import bind

if TYPE_CHECKING:
    from collections.abc import Iterable

    import napari.viewer
    from napari.layers import Image, Labels

    from napari_menndl.run import Run
    from napari_menndl.search.views.monitor import RunSnapshot


class SearchNetworks(Panel):
    """Dock "Search networks".

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    run : Run or None
        The run that is watched.
    snapshot : RunSnapshot or None
        Its latest snapshot.
    hint : str
        The next step.
    run_opened : Signal(Run)
    hint_changed : Signal(str)
    """

    run_opened = Signal(object)
    hint_changed = Signal(str)
    #: Whether the hint is shown above the dock already.
    hint_above = False

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        self.known = KnownRuns()
        super().__init__(viewer, self.known)
        self.viewer = viewer
        self.run: Run | None = None
        self.snapshot: RunSnapshot | None = None
        self.hint = ""
        self._watch: Watch | None = None
        self._starting = self._stopping = False
        self._guard: CloseGuard | None = None
        self._said = self._lost = ""
        self._megapixels, self._classes = 1.0, 1
        self._opening, self._asking = BackgroundTask(self, to_finish=True), BackgroundTask(self, to_finish=True)
        self._ending = BackgroundTask(self)
        self.best = BestView(viewer, self)
        self.docking = Docking(self, viewer)
        self._connect()
        self.runs.refresh()
        self._update()

    def _connect(self) -> None:
        self.start_button.clicked.connect(self.start)
        self.stop_button.clicked.connect(self.stop)
        self.resume_button.clicked.connect(self.resume)
        self.best_box.toggled.connect(self._on_best)
        self.setup.changed.connect(self._setup_changed)
        self.leaderboard.chosen.connect(self._on_network)
        self.runs.asked.connect(self.open_run)
        self.runs.browse.connect(self._browse)
        self.runs.listed.connect(self._on_listed)
        self._opening.done.connect(self._on_opened)
        self._opening.failed.connect(self._on_failure)
        self._ending.done.connect(self._on_ended)
        self._ending.failed.connect(self._on_failure)
        self._asking.failed.connect(self._on_failure)
        self.best.failed.connect(self._on_failure)
        self.best.told.connect(self.best_note.setText)
        self.best.removed.connect(self._on_best_removed)
        unbind = bind(self.viewer, "show-best", self.best_box.toggle)
        watches: list[Watch] = []
        self._watches = watches

        def leave() -> None:
            unbind()
            for one in watches:
                one.close()

        self.destroyed.connect(leave)

    # Actions ----------------------------------------------------------------------------------------------------------

    def start(self, _: Any = None) -> None:
        """Start the search that is set up."""
        try:
            order = self.setup.order()
        except InputError as error:
            self._on_failure(error)
            return
        self._begin(begin, order, self.known)

    def resume(self, _: Any = None) -> None:
        """Resume the run that is watched, up to the budget of the form."""
        if self.run is not None:
            self._begin(resume, str(self.run.path), self.setup.budget.text, self.known)

    def stop(self, _: Any = None) -> None:
        """Request the search to stop; it ends cleanly and can be resumed."""
        if self.run is None:
            return
        self._stopping = True
        self._asking.begin(self.run.stop)
        if self._watch is not None:
            self._watch.hurry()
        self._update()

    def open_run(self, path: str | Path) -> None:
        """Watch a run, whether its search is running or not."""
        self._said = ""
        self._opening.begin(look, str(path), self.known)

    def propose(self, movie: Image | None, annotation: Labels | None, frames: Iterable[int] | None = None) -> None:
        """Propose what to learn from, as another dock's "search again" does; without frames, the one in view."""
        self.setup.propose(movie, annotation, frames)
        self.setup_section.expand(animate=False)
        self._update()

    def reset_choices(self, event: Any = None) -> None:
        """Update the choices after layers were added, removed or renamed; called by napari."""
        self.setup.reset_choices()
        self.best.check_layers()
        self._follow_best()
        self._update()

    def _begin(self, function: Any, *arguments: Any) -> None:
        self._said = ""
        self._starting, self._stopping = True, False
        self._opening.begin(function, *arguments)
        self._update()

    def _browse(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Open a run folder", str(Path.home()))
        if path:
            self.open_run(path)

    def _setup_changed(self) -> None:
        """Clear a message about the previous setup."""
        self._said = ""
        self._update()

    # Results ----------------------------------------------------------------------------------------------------------

    def _on_opened(self, opened: Opened) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watches.remove(self._watch)
            self._watch.deleteLater()
        self.run, self.snapshot = opened.run, None
        self._classes, self._megapixels = opened.classes, opened.megapixels
        self.clear()
        self.leaderboard.rows.megapixels = opened.megapixels
        self.setup.budget.text = opened.run.settings.budget
        self._watch = Watch(opened.run, self)
        self._watches.append(self._watch)
        self._watch.seen.connect(self._on_snapshot)
        self._watch.failed.connect(self._on_lost)
        self._watch.start()
        self.progress.show()
        if self._starting:
            self.setup.keep()
            self._ending.begin(opened.run.wait)
            self.setup.suggest_place()
        else:
            self._ending.forget()
            self._stopping = False
        self.setup_section.collapse(animate=False)
        self.runs_section.collapse(animate=False)
        self.runs.refresh()
        self.run_opened.emit(opened.run)
        self._update()

    def _on_snapshot(self, snapshot: RunSnapshot) -> None:
        before, self.snapshot = self.snapshot, snapshot
        if self._said == self._lost:
            self._said = self._lost = ""  # the run can be read again
        if snapshot.state == "running":
            self._starting = False
        elif not self._starting:
            self._stopping = False
        if snapshot.whole:
            self.show_snapshot(snapshot)
            self._follow_best()
        if before is None or (before.state, before.phase) != (snapshot.state, snapshot.phase):
            self.runs.refresh()
        self._update()
        if self._watch is not None:
            # A dock that was removed from its window has neither; if it still exists, it stops watching.
            (self._watch.shown if self.isVisible() or self.parent() is not None else self._watch.close)()

    def _on_ended(self, _: None) -> None:
        self._starting = False
        if self._watch is not None:
            self._watch.hurry()
        self._update()

    def _on_listed(self, looked: list[tuple[KnownRun, Peek]]) -> None:
        running = [run.path for run, seen in looked if seen.state == "running"]
        if running and self.run is None and not self._opening.busy:
            self.open_run(running[0])
        elif looked and self.run is None and self.setup.problem() is not None:
            self.runs_section.expand(animate=False)

    def _on_failure(self, error: Exception) -> None:
        self._starting = False
        if not isinstance(error, InputError):
            logging.getLogger(__name__).error("Searching failed", exc_info=error)
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        if text != self._said:
            self._said = text
            show_error(text)
        self._update()

    def _on_lost(self, error: Exception) -> None:
        """Show that the run cannot be read at the moment."""
        self._on_failure(error)
        self._lost = self._said

    # The best network -------------------------------------------------------------------------------------------------

    def _on_best(self, wanted: bool) -> None:
        self._said = ""
        self._follow_best()
        self.best.want(wanted)
        self.best_note.setText("" if not wanted or self._version else "Waits for a first network.")

    def _on_best_removed(self) -> None:
        self.best_box.setChecked(False)

    @property
    def _version(self) -> str:
        return self.snapshot.version if self.snapshot is not None else ""

    def _follow_best(self) -> None:
        path = str(self.run.path) if self.run is not None else ""
        self.best.follow(path, self._version, self.setup.movie, self.setup.annotation)

    def _on_network(self, network: int) -> None:
        if self._watch is not None:
            self.network.show_network(self._watch.monitor.reader, network, self._classes)

    # Display ----------------------------------------------------------------------------------------------------------

    @property
    def searching(self) -> bool:
        """Whether the watched search is running, or being started."""
        return self._starting or (self.snapshot is not None and self.snapshot.state == "running")

    def _update(self) -> None:
        snapshot, running = self.snapshot, self.searching
        stopping = running and (self._stopping or (snapshot is not None and snapshot.stopping))
        self.start_button.setEnabled(not running)
        self.stop_button.setEnabled(running and not stopping and snapshot is not None)
        self.stop_button.setText("Stopping…" if stopping else "Stop")
        ended = snapshot is not None and not running and snapshot.state != "new"
        self.resume_button.setVisible(ended)
        problem = None if running else self.setup.problem()
        hint, button = hint_for(problem, snapshot, starting=self._starting, stopping=stopping)
        told = "" if self.hint_above else escape(hint)
        self.status.setText(f'<span style="color:#e5534b">{escape(self._said)}</span>' if self._said else told)
        self.status.setVisible(bool(self._said or told))
        name = f"<b>{escape(self.run.path.name)}</b>&nbsp; " if self.run is not None else ""
        self.headline.setText(name + headline(snapshot, starting=self._starting, stopping=stopping))
        if hint != self.hint:
            self.hint = hint
            self.docking.point_to(self.buttons.get(button))
            self.hint_changed.emit(hint)

    def showEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        super().showEvent(event)
        if self._guard is None:
            self._guard = self._make_guard()

    def _make_guard(self) -> CloseGuard | None:
        parent: QWidget | None = self
        while parent is not None and not isinstance(parent, QMainWindow):
            parent = parent.parentWidget()
        return None if parent is None else CloseGuard(parent, self._running_name, self._stop_now, self)

    def _running_name(self) -> str:
        return self.run.path.name if self.run is not None and self.searching else ""

    def _stop_now(self) -> None:
        if self.run is not None:
            self.run.stop()
