"""Text about the state of a search and the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl.search.views.messages import explain_no_network

if TYPE_CHECKING:
    from napari_menndl.errors import InputError
    from napari_menndl.search.views.monitor import RunSnapshot

COLOURS = {
    "running": "#2bd4d9",
    "finished": "#2ea043",
    "stopped": "#d3a13f",
    "interrupted": "#e5534b",
    "new": "#9aa0a6",
}


def headline(snapshot: RunSnapshot | None, *, starting: bool, stopping: bool) -> str:
    """Return the state of a search as rich text."""
    if starting and (snapshot is None or snapshot.state != "running"):
        return _coloured("starting …", "running")
    if snapshot is None:
        return ""
    if not snapshot.whole:
        return _coloured(f"reading the journal … {snapshot.births:,} networks", "new")
    if snapshot.state != "running":
        why = f" ({snapshot.reason})" if snapshot.reason and snapshot.state in ("stopped", "finished") else ""
        if snapshot.best is None and snapshot.state == "finished":
            return _coloured(f"ended without a network{why}", "interrupted")
        return _coloured(f"{snapshot.state}{why}", snapshot.state)
    if stopping:
        return _coloured("stopping …", "stopped")
    if snapshot.note:
        return _coloured(snapshot.note, "stopped")
    return _coloured("finished, closing" if snapshot.phase == "finished" else "searching", "running")


def _coloured(text: str, state: str) -> str:
    return f'<span style="color:{COLOURS[state]}">●</span> {text}'


def hint_for(
    problem: InputError | None, snapshot: RunSnapshot | None, *, starting: bool, stopping: bool
) -> tuple[str, str]:
    """Return the next step in one sentence, and the name of the button to press; empty for none."""
    if starting:
        return "The search process is starting; that takes some seconds.", ""
    if stopping:
        return "The search is ending cleanly; it can be resumed.", ""
    if snapshot is not None and snapshot.state == "running":
        if snapshot.best is None:
            return "The first networks are being trained.", ""
        return "Show the best on the frame in view, or close napari: the search goes on.", "best"
    if snapshot is not None and (nothing := explain_no_network(vars(snapshot))):
        return nothing, "budget"
    ended = snapshot is not None and snapshot.state in ("finished", "stopped", "interrupted")
    if ended and snapshot is not None and snapshot.best is None:
        return "No network was tried to its end: give the search a larger budget in Set up, and resume it.", "budget"
    if ended and snapshot is not None and snapshot.state == "finished":
        return "Review the frames with what was found, or start another search.", "start"
    if ended:
        return "Resume it, up to the budget in Set up; or review the frames with the best so far.", "resume"
    if problem is not None:
        return problem.remedy, ""
    return "Start the search: it runs on its own, whether napari is open or not.", "start"
