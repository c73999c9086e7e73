"""Live panel of a search in a notebook: state, leaderboard, curves and a Stop button; it only reads the run folder."""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.notebook.board import board
from napari_menndl.notebook.kernel import hear_while_busy, widgets
from napari_menndl.notebook.plots import draw_history

if TYPE_CHECKING:
    from napari_menndl.run import Run
    from napari_menndl.search.views.monitor import RunSnapshot

#: Minimum time between two updates of the figure, each of which is sent to the browser [s].
_REDRAWN = 2.0
#: Panels that live on beside other cells; the event loop itself holds no reference to them.
_UPDATED: set[asyncio.Task[None]] = set()


def show_until_end(run: Run, interval: float = 1.0) -> None:
    """Show a search in a panel until it ends; see `Run.wait` for what is raised."""
    with closing(Panel(run)) as panel:
        run.wait(panel.update, interval)


def keep_showing(run: Run, interval: float = 1.0) -> None:
    """Show a search in a panel that is updated between cells, and return at once."""
    task = asyncio.get_running_loop().create_task(_follow(run, Panel(run), interval))
    _UPDATED.add(task)
    task.add_done_callback(_UPDATED.discard)


async def _follow(run: Run, panel: Panel, interval: float) -> None:
    with closing(panel):
        while run.alive:
            panel.update(run.status())
            await asyncio.sleep(interval)
        panel.update(run.status())
    try:
        run.wait()
    except InputError as error:
        print(error)


class Panel:
    """State, leaderboard and curves in the output of a cell, updated in place, and a Stop button until it is closed.

    What stays in a saved notebook is a table and a picture. Without ipywidgets there is no button.

    Parameters
    ----------
    run : Run
    """

    def __init__(self, run: Run) -> None:
        from IPython.display import HTML, DisplayHandle

        self._html = HTML
        self._monitor = run.folder.monitor()
        self._pixels = [rung.pixels for rung in run.settings.ladder]
        self._table, self._button, self._figure = DisplayHandle(), DisplayHandle(), DisplayHandle()
        snapshot = self._monitor.snapshot(math.inf)
        self._drawn, self._drawn_at = _drawn_of(snapshot), 0.0
        self._table.display(HTML(board(run.status(), self._monitor.reader)))
        self._stop = _stop_button(run) if run.alive else None
        if self._stop is not None:
            self._button.display(self._stop)
            hear_while_busy(self._stop)
        self._figure.display(draw_history(snapshot, self._pixels))

    def update(self, status: dict[str, Any]) -> None:
        """Show a newer status."""
        snapshot = self._monitor.snapshot(math.inf)
        self._table.update(self._html(board(status, self._monitor.reader)))
        shown = _drawn_of(snapshot)
        if shown != self._drawn and (status["state"] != "running" or time.monotonic() - self._drawn_at > _REDRAWN):
            self._figure.update(draw_history(snapshot, self._pixels))
            self._drawn, self._drawn_at = shown, time.monotonic()

    def close(self) -> None:
        """Remove the button."""
        if self._stop is not None:
            self._button.update(self._html(""))
            self._stop.close()
            self._stop = None


def _stop_button(run: Run) -> Any:
    """Return a button that asks the search to stop; None without ipywidgets."""
    if (ipywidgets := widgets()) is None:
        return None
    button = ipywidgets.Button(description="Stop", icon="stop", tooltip="End the search; it can be resumed")

    def stop(_: object) -> None:
        button.disabled, button.description = True, "Stopping …"
        run.stop()

    button.on_click(stop)
    return button


def _drawn_of(snapshot: RunSnapshot) -> tuple[int, float | None, str]:
    """Return the values that the figure depends on, except the time."""
    return snapshot.evaluations, snapshot.best_fitness, snapshot.version
