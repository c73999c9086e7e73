"""What to do next, in one sentence."""

from __future__ import annotations

MOVIE = "Open a movie, or a sample: File › Open Sample › MENNDL."
SOURCE = "Choose a run, a saved network or a stored prediction, or drop it here."
GO = "Press 'Review movie'. The overlay then follows the frame in view."
ERRORS = "Go from error to error with Shift+E; accept or reject each."
AGAIN = "Correct more frames, or search again from those that are corrected."


def next_step(*, movie: bool, named: bool, following: bool, corrected: bool) -> str:
    """The hint for a dock that has a movie, knows what predicts it, is reviewing, and met corrections."""
    if not movie:
        return MOVIE
    if not named:
        return SOURCE
    if not following:
        return GO
    return AGAIN if corrected else ERRORS
