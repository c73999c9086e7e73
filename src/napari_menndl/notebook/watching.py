"""Live view of a search in Jupyter or in a terminal, which only reads the run folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from napari_menndl.notebook.kernel import in_jupyter
from napari_menndl.notebook.panel import keep_showing, show_until_end
from napari_menndl.notebook.terminal import SearchProgress, status_view

if TYPE_CHECKING:
    from napari_menndl.run import Run


def watch(run: Run, interval: float = 1.0, wait: bool = True) -> None:
    """Show a search's progress until it ends.

    In Jupyter a table of the best networks and curves of fitness are updated in place, with a button that stops the
    search where ipywidgets is installed; elsewhere the output is text. Interrupting the kernel, or Ctrl-C, ends only
    the view, not the search.

    Parameters
    ----------
    run : Run
    interval : float [s]
        Time between two reads of the run folder.
    wait : bool
        Return when the search has ended; if False, at once: in Jupyter the view is then updated whenever no cell is
        running, elsewhere it is shown once.

    Raises
    ------
    InputError
        If the search process ended with an error.
    """
    if not wait:
        if in_jupyter():
            keep_showing(run, interval)
        else:
            Console().print(status_view(run.status()))
        return
    try:
        if in_jupyter():
            show_until_end(run, interval)
        else:
            with SearchProgress(Console()) as view:
                run.wait(view.update, interval)
    except KeyboardInterrupt:
        print("Stopped watching; the search goes on. watch(run) looks again, run.stop() ends the search.")
        return
    if (state := run.state) != "finished":
        print(f"The search is {state}. Go on with: napari_menndl.resume_search({str(run.path)!r})")
