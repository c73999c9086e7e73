"""Outcomes of a review: their values in an overlay, names in tables, words in pictures and windows, and colours."""

from __future__ import annotations

import math
from colorsys import hsv_to_rgb
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.annotation.classes import COLOURS as CLASS_COLOURS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

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


#: Colours for classes without one: those of annotations, then hues all around the circle.
SPARE = (
    *CLASS_COLOURS,
    *(f"#{bytes(round(230 * one) for one in hsv_to_rgb(0.618 * n % 1, 0.6, 1)).hex()}" for n in range(40)),
)
#: Distance below which two colours can be confused, of 255 per channel.
APART = 90.0


def class_colours_beside(names: Sequence[str], given: Mapping[str, str], palette: str = "") -> dict[str, str]:
    """Return the colours of classes by name, each its own.

    Parameters
    ----------
    names : sequence of str
    given : mapping of str to str
        Colours that classes have, as in an annotation.
    palette : str
        Palette of a review in the same picture: a colour that could be confused with one of its outcomes is replaced.
    """
    outcomes = PALETTES.get(palette, ())
    colours = {name: colour for name, colour in given.items() if name in names and _apart(colour, outcomes)}
    for name in names:
        if name not in colours:
            taken = [*outcomes, *given.values(), *colours.values()]
            free = [one for one in SPARE if one not in taken and _apart(one, outcomes)] or [*SPARE]
            colours[name] = next((one for one in free if _apart(one, taken)), free[0])
    return {name: colours[name] for name in names}


def _apart(colour: str, others: Iterable[str]) -> bool:
    return all(math.dist(bytes.fromhex(colour[1:7]), bytes.fromhex(one[1:7])) >= APART for one in others)


def predicted_alone(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Return overlay values (Y, X) uint8 for labels (Y, X) uint8 that are not judged: `PREDICTED` and following."""
    return np.where(labels > 0, np.minimum(labels.astype(np.uint16) + PREDICTED - 1, 255), 0).astype(np.uint8)


def in_words(counts: Counts) -> str:
    """Return counts of defects as ``"8 found · 1 false · 2 missed"``."""
    numbers = (counts.tp, counts.fp, counts.fn)
    return " · ".join(f"{n} {WORDS[outcome]}" for n, outcome in zip(numbers, OUTCOMES.values(), strict=True))
