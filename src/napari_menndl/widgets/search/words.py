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
        if sight.best is None and sight.state == "finished":
            return _coloured(f"ended without a network{why}", "interrupted")
        return _coloured(f"{sight.state}{why}", sight.state)
    if stopping:
        return _coloured("stopping …", "stopped")
    if sight.note:
        return _coloured(sight.note, "stopped")
    return _coloured("finished, closing" if sight.phase == "finished" else "searching", "running")


def _coloured(text: str, state: str) -> str:
    return f'<span style="color:{COLOURS[state]}">●</span> {text}'


def hint_for(problem: InputError | None, sight: Sight | None, *, starting: bool, stopping: bool) -> tuple[str, str]:
    """What to do next, in one sentence, and which button of the dock it names; empty for none."""
    if starting:
        return "The search process is starting; that takes some seconds.", ""
    if stopping:
        return "The search is ending cleanly; it can be resumed.", ""
    if sight is not None and sight.state == "running":
        if sight.best is None:
            return "The first networks are being trained.", ""
        return "Show the best on the frame in view, or close napari: the search goes on.", "best"
    if sight is not None and (nothing := came_to_nothing(vars(sight))):
        return nothing, "budget"
    ended = sight is not None and sight.state in ("finished", "stopped", "interrupted")
    if ended and sight is not None and sight.best is None:
        return "No network was tried to its end: give the search a larger budget in Set up, and resume it.", "budget"
    if ended and sight is not None and sight.state == "finished":
        return "Review the frames with what was found, or start another search.", "start"
    if ended:
        return "Resume it, up to the budget in Set up; or review the frames with the best so far.", "resume"
    if problem is not None:
        return problem.remedy, ""
    return "Start the search: it runs on its own, whether napari is open or not.", "start"
