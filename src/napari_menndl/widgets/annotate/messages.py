"""Next step in the dock "Annotate defects"."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.widgets.annotate.choice import AnnotationChooser


def next_step(
    choice: AnnotationChooser, annotation: Annotation | None, frame: int, unmarked: str = ""
) -> tuple[str, str]:
    """Return the next step in one sentence, and the name of the button to press; empty for none.

    Parameters
    ----------
    choice : AnnotationChooser
    annotation : Annotation or None
        The annotation that is painted on.
    frame : int
        The frame in view.
    unmarked : str
        Name of a points layer whose points are not discs yet.
    """
    offered = choice.offered
    try:
        movie = choice.movie()
    except InputError as error:
        return (error.remedy if choice.movie_layer is None else str(error)), ""
    if annotation is None:
        if choice.in_memory:
            return "These labels are in memory only: keep them on disk, and every stroke is kept, too.", "new"
        go_on = f"Continue {offered.name}, or begin" if offered else "Begin"
        if other := choice.of_others:
            go_on = f"{other.name} was drawn on other frames than this movie has. {go_on}"
        return f"{go_on} a new annotation; every stroke is then on disk at once.", "offer" if offered else "new"
    if annotation.path is None:
        return "This annotation is in memory only: keep it on disk before you correct it.", "new"
    if frame >= len(annotation):
        return f"This annotation ends with frame {len(annotation) - 1}.", ""
    if annotation.is_same_frame(frame, movie) is False:
        return f"Frame {frame} is another one than was annotated: look at the marks, then set its status anew.", ""
    if unmarked:
        return no_discs_yet(unmarked), ""
    status = annotation.status[frame]
    if status is FrameStatus.UNTOUCHED:
        return "Choose a class (keys 1 … 9) and paint the defects of this frame, or click them as points.", "brush"
    if status is FrameStatus.IN_PROGRESS:
        return "Mark every defect of this frame, or of a region; then set it to Complete (Shift+C).", "complete"
    done = sum(s is FrameStatus.COMPLETE for s in annotation.status)
    return f"{done} frame{'s' * (done != 1)} complete: search networks, or go to the next frame (Shift+N).", "next"


def no_discs_yet(name: str) -> str:
    """Return the warning that the points of a layer are not discs yet."""
    return (
        f"The points in {name!r} are no discs yet, and count as background: select that layer, press “Points → discs”."
    )
