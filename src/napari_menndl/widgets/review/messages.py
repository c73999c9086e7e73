"""What the dock "Review frames" says: the next step, and notifications, each once."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from napari_menndl.widgets.review.frame_review import FrameReview

MOVIE = "Open a movie, or a sample: File › Open Sample › MENNDL."
SOURCE = "Choose a run, a saved network or a stored prediction, or drop it here."
GO = "Press 'Review movie'. The overlay then follows the frame in view."
ASKED = "Say how large a pixel of the movie is, or that it is to be taken as it is."
FAILED = "Nothing could be reviewed: put right what the message says, then press 'Review movie' again."
WAIT = "The first frame is being predicted; you can look at others meanwhile."
ALONE = "No annotated frame is reviewed: look through the frames, or choose an annotation to compare with."
ERRORS = "Go from error to error with Shift+E; accept or reject each."
NO_ERRORS = "No error in the annotated frames so far: look through the others, and correct what you find."
AGAIN = "Correct more frames, or search again from those that are corrected."


def next_step(
    *,
    movie: bool,
    named: bool,
    following: bool,
    asked: bool,
    failed: bool,
    reviews: Collection[FrameReview],
    corrected: bool,
) -> tuple[str, str]:
    """Return the next step in one sentence, and the name of the button to press; empty for none.

    Parameters
    ----------
    movie, named : bool
        Whether there is a movie, and a source that predicts it.
    following : bool
        Whether a review was started.
    asked : bool
        Whether it waits for the pixel size.
    failed : bool
        Whether it ended with an error.
    reviews : collection of FrameReview
        The reviews so far.
    corrected : bool
        Whether frames were corrected.
    """
    if not movie:
        return MOVIE, ""
    if not named:
        return SOURCE, "source"
    if not following:
        return GO, "go"
    if asked:
        return ASKED, "pixel size"
    if not reviews:
        return (FAILED, "go") if failed else (WAIT, "")
    if corrected:
        return AGAIN, "again"
    if not any(review.annotated for review in reviews):
        return ALONE, ""
    return (ERRORS, "next") if any(review.total.fp + review.total.fn for review in reviews) else (NO_ERRORS, "")


class Notifier(QObject):
    """Notifier that shows a message once, not for every frame passed while scrubbing."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._said = ""

    def error(self, error: Exception) -> str:
        """Show an error and return its text; errors other than input errors are also logged in full."""
        if not isinstance(error, InputError):
            logging.getLogger(__name__).error("Reviewing a frame failed", exc_info=error)
        text = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        self._notify_once(text, show_error)
        return text

    def warn(self, text: str) -> None:
        self._notify_once(text, show_warning)

    def begin(self) -> None:
        """Allow earlier messages to be shown again."""
        self._said = ""

    def _notify_once(self, text: str, notify: Callable[[str], None]) -> None:
        if text != self._said:
            self._said = text
            notify(text)
