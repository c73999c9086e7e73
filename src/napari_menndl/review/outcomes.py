"""Outcomes of a review: their values in an overlay, names in tables, words in pictures and windows, and colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.metrics.scores import Counts

TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = 1, 2, 3
#: Overlay value of the first class where it is predicted and not judged; the other classes follow.
PREDICTED = 4
#: Names in tables.
FOUND, FALSE, MISSED, ALONE = "true positive", "false positive", "false negative", "predicted"
OUTCOMES = {TRUE_POSITIVE: FOUND, FALSE_POSITIVE: FALSE, FALSE_NEGATIVE: MISSED}
#: The same in plain words, for legends and windows.
WORDS = {FOUND: "found", FALSE: "false", MISSED: "missed", ALONE: "predicted"}

WHITE, PURPLE, ORANGE = "#ffffff", "#b14bff", "#ff8c00"
#: Colours of the outcomes; elsewhere an overlay is transparent.
COLOURS = {TRUE_POSITIVE: WHITE, FALSE_POSITIVE: PURPLE, FALSE_NEGATIVE: ORANGE}
#: Sets of colours to choose from: found, false, missed. The second (Okabe & Ito, https://jfly.uni-koeln.de/color/) and
#: the third (Tol, https://sronpersonalpages.nl/~pault/, "vibrant") can be told apart with all common kinds of colour
#: blindness.
PALETTES = {
    "white · purple · orange": tuple(COLOURS.values()),
    "colour-blind safe": ("#ffffff", "#0072b2", "#f0e442"),
    "colour-blind safe, blue · orange": ("#ffffff", "#0077bb", "#ee7733"),
}


def predicted_alone(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return overlay values (Y, X) uint8 for labels (Y, X) uint8 that are not judged: `PREDICTED` and following."""
    return np.where(labels > 0, np.minimum(labels.astype(np.uint16) + PREDICTED - 1, 255), 0).astype(np.uint8)


def in_words(counts: Counts) -> str:
    """Return counts of defects as ``"8 found · 1 false · 2 missed"``."""
    numbers = (counts.tp, counts.fp, counts.fn)
    return " · ".join(f"{n} {WORDS[outcome]}" for n, outcome in zip(numbers, OUTCOMES.values(), strict=True))
