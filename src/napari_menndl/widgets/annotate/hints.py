"""What to do next in the dock "Annotate defects"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.widgets.annotate.choice import Choice


def next_step(choice: Choice, annotation: Annotation | None, frame: int) -> tuple[str, str]:
    """One sentence, and which button of the dock it names; empty for none.

    Parameters
    ----------
    choice : Choice
    annotation : Annotation or None
        What is painted on.
    frame : int
        In view.
    """
    offered = choice.offered
    try:
        choice.movie()
    except InputError as error:
        return (error.remedy if choice.movie_layer is None else str(error)), ""
    if annotation is None:
        if choice.in_memory:
            return "These labels are in memory only: keep them on disk, and every stroke is kept, too.", "new"
        go_on = f"Go on with {offered.name}, or begin" if offered else "Begin"
        return f"{go_on} a new annotation; every stroke is then on disk at once.", "offer" if offered else "new"
    if annotation.path is None:
        return "This annotation is in memory only: keep it on disk before you correct it.", "new"
    if frame >= len(annotation):
        return f"This annotation ends with frame {len(annotation) - 1}.", ""
    status = annotation.status[frame]
    if status is FrameStatus.UNTOUCHED:
        return "Choose a class (keys 1 … 9) and paint the defects of this frame, or click them as points.", "brush"
    if status is FrameStatus.IN_PROGRESS:
        return "Mark every defect of this frame, or of a region; then set it to Complete (Shift+C).", "complete"
    done = sum(s is FrameStatus.COMPLETE for s in annotation.status)
    return f"{done} frame{'s' * (done != 1)} complete: search networks, or go to the next frame (Shift+N).", "next"
