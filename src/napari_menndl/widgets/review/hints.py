"""What to do next, in one sentence, and which button of the dock it names."""

from __future__ import annotations

MOVIE = "Open a movie, or a sample: File › Open Sample › MENNDL."
SOURCE = "Choose a run, a saved network or a stored prediction, or drop it here."
GO = "Press 'Review movie'. The overlay then follows the frame in view."
WAIT = "The first frame is being predicted; you can look at others meanwhile."
ERRORS = "Go from error to error with Shift+E; accept or reject each."
AGAIN = "Correct more frames, or search again from those that are corrected."


def next_step(*, movie: bool, named: bool, reviewed: bool, waiting: bool, corrected: bool) -> tuple[str, str]:
    """The hint for a dock that has a movie, knows what predicts it, has reviewed or predicts a frame, met corrections.

    Returns the sentence, and the name of the button; empty for none.
    """
    if not movie:
        return MOVIE, ""
    if not named:
        return SOURCE, "source"
    if not reviewed:
        return (WAIT, "") if waiting else (GO, "go")
    return (AGAIN, "again") if corrected else (ERRORS, "next")
