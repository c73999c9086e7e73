"""What a search is doing and what to do next, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl.search.telling import came_to_nothing

if TYPE_CHECKING:
    from napari_menndl.errors import InputError
    from napari_menndl.search.outlook import Sight

COLOURS = {
    "running": "#2bd4d9",
    "finished": "#2ea043",
    "stopped": "#d3a13f",
    "interrupted": "#e5534b",
    "new": "#9aa0a6",
}


def headline(sight: Sight | None, *, starting: bool, stopping: bool) -> str:
    """The state of a search as rich text."""
    if starting and (sight is None or sight.state != "running"):
        return _coloured("starting …", "running")
    if sight is None:
        return ""
    if not sight.whole:
        return _coloured(f"reading the journal … {sight.births:,} networks", "new")
    if sight.state != "running":
        why = f" ({sight.reason})" if sight.reason and sight.state in ("stopped", "finished") else ""
        return _coloured(f"{sight.state}{why}", sight.state)
    if stopping:
        return _coloured("stopping …", "stopped")
    if sight.note:
        return _coloured(sight.note, "stopped")
    return _coloured("finished, closing" if sight.phase == "finished" else "searching", "running")


def _coloured(text: str, state: str) -> str:
    return f'<span style="color:{COLOURS[state]}">●</span> {text}'


def hint_for(problem: InputError | None, sight: Sight | None, *, starting: bool, stopping: bool) -> str:
    """What to do next, in one sentence."""
    if starting:
        return "The search process is starting; that takes some seconds."
    if stopping:
        return "The search is ending cleanly; it can be resumed."
    if sight is not None and sight.state == "running":
        if sight.best is None:
            return "The first networks are being trained."
        return "Show the best on the frame in view, or close napari: the search goes on."
    if sight is not None and sight.state == "finished" and sight.best is not None:
        return "Review the frames with what was found, or start another search."
    if sight is not None and (nothing := came_to_nothing(vars(sight))):
        return nothing
    if sight is not None and sight.state in ("stopped", "interrupted"):
        return "Resume it, up to the budget in Set up; or review the frames with the best so far."
    if problem is not None:
        return problem.remedy
    return "Start the search: it runs on its own, whether napari is open or not."
