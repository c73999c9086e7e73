"""Live view of a search in Jupyter or in a terminal, which only reads the run folder."""

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Any

from rich.console import Console

from napari_menndl.notebook.board import board
from napari_menndl.notebook.plots import draw_history
from napari_menndl.notebook.terminal import SearchProgress

if TYPE_CHECKING:
    from napari_menndl.run import Run
    from napari_menndl.search.views.monitor import RunSnapshot

#: Minimum time between two updates of the figure, each of which is sent to the browser [s].
_REDRAWN = 2.0


def watch(run: Run, interval: float = 1.0) -> None:
    """Show a search's progress until it ends.

    In Jupyter a table of the best networks and curves of fitness are updated in place; elsewhere the output is text.
    Interrupting the kernel, or Ctrl-C, ends only the view, not the search.

    Parameters
    ----------
    run : Run
    interval : float [s]
        Time between two reads of the run folder.

    Raises
    ------
    InputError
        If the search process ended with an error.
    """
    try:
        with _Page(run) if in_jupyter() else SearchProgress(Console()) as view:
            run.wait(view.update, interval)
    except KeyboardInterrupt:
        print("Stopped watching; the search goes on. watch(run) looks again, run.stop() ends the search.")
        return
    if (state := run.state) != "finished":
        print(f"The search is {state}. Go on with: napari_menndl.resume_search({str(run.path)!r})")


def in_jupyter() -> bool:
    """Whether this process is a Jupyter kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and getattr(ipython.get_ipython(), "kernel", None) is not None


class _Page:
    """A table and a figure in a notebook's output, both updated in place."""

    def __init__(self, run: Run) -> None:
        from IPython.display import HTML, DisplayHandle

        self._html = HTML
        self._monitor = run.folder.monitor()
        self._pixels = [rung.pixels for rung in run.settings.ladder]
        self._table, self._figure = DisplayHandle(), DisplayHandle()
        self._drawn_at = 0.0
        self._drawn: tuple[int, float | None, str] | None = None

    def __enter__(self) -> _Page:
        self._table.display(self._html(""))
        snapshot = self._monitor.look(math.inf)
        self._figure.display(draw_history(snapshot, self._pixels))
        self._drawn = _drawn_of(snapshot)
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, status: dict[str, Any]) -> None:
        """Show a newer status."""
        snapshot = self._monitor.look(math.inf)
        self._table.update(self._html(board(status, self._monitor.reader)))
        shown = _drawn_of(snapshot)
        if shown != self._drawn and (status["state"] != "running" or time.monotonic() - self._drawn_at > _REDRAWN):
            self._figure.update(draw_history(snapshot, self._pixels))
            self._drawn, self._drawn_at = shown, time.monotonic()


def _drawn_of(snapshot: RunSnapshot) -> tuple[int, float | None, str]:
    """Return the values that the figure depends on, except the time."""
    return snapshot.evaluations, snapshot.best_fitness, snapshot.version
