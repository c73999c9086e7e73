"""Colours of a review and of predicted classes, and their legend."""

from __future__ import annotations

import math
from colorsys import hsv_to_rgb
from html import escape
from typing import TYPE_CHECKING

from napari_menndl.annotation.classes import COLOURS
from napari_menndl.review.outcomes import ALONE, OUTCOMES, PALETTES, PREDICTED, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.layers import Labels

    from napari_menndl.review.panels import Key
    from napari_menndl.widgets.review.frame_review import FrameReview

#: Colours for classes without one: those of annotations, then hues all around the circle.
SPARE = (
    *COLOURS,
    *(f"#{bytes(round(230 * one) for one in hsv_to_rgb(0.618 * n % 1, 0.6, 1)).hex()}" for n in range(40)),
)
#: Distance below which two colours can be confused, of 255 per channel.
APART = 90.0

Colours = dict[int | None, str]


def class_colours(names: Sequence[str], annotation: Labels | None, palette: str = "") -> dict[str, str]:
    """Return the colours of a network's classes by name, each its own.

    Parameters
    ----------
    names : sequence of str
    annotation : napari.layers.Labels or None
        Its colours are used for the classes that it has.
    palette : str
        Palette of a review in the same picture: a colour that could be confused with one of its outcomes is replaced.
    """
    known = annotation.metadata.get("annotation") if annotation is not None else None
    given = {one.name: one.colour for one in known.classes if one.name in names} if known is not None else {}
    outcomes = PALETTES.get(palette, ())
    colours = {name: colour for name, colour in given.items() if _apart(colour, outcomes)}
    for name in names:
        if name not in colours:
            taken = [*outcomes, *given.values(), *colours.values()]
            free = [one for one in SPARE if one not in taken and _apart(one, outcomes)] or [*SPARE]
            colours[name] = next((one for one in free if _apart(one, taken)), free[0])
    return {name: colours[name] for name in names}


def _apart(colour: str, others: Iterable[str]) -> bool:
    return all(math.dist(bytes.fromhex(colour[1:7]), bytes.fromhex(one[1:7])) >= APART for one in others)


def overlay_colours(palette: str, classes: Mapping[str, str]) -> Colours:
    """Return the colours of the overlay's labels; `classes` are those of predicted classes, in their order."""
    return {**dict(enumerate((*PALETTES[palette], *classes.values()), start=1)), None: "transparent", 0: "transparent"}


def picture_key(palette: str, review: FrameReview, classes: Mapping[str, str]) -> Key:
    """Return the meaning of the overlay's labels, for a picture."""
    words = [WORDS[outcome] for outcome in OUTCOMES.values()]
    outcomes = dict(enumerate(zip(PALETTES[palette], words, strict=True), start=1)) if review.annotated else {}
    alone = set(review.defects["class"][review.defects["outcome"] == ALONE])
    predicted = {
        PREDICTED + index: (colour, f"{name}, predicted" if review.annotated else name)
        for index, (name, colour) in enumerate(classes.items())
        if name in alone or not review.annotated
    }
    return {**outcomes, **predicted}


def legend(colours: Iterable[tuple[str, str]]) -> str:
    """Format a legend from pairs of colour and word."""
    return "&nbsp;&nbsp; ".join(
        f"{square(colour)}&nbsp;{escape(word).replace(' ', '&nbsp;')}" for colour, word in colours
    )


def square(colour: str) -> str:
    """Format a square of a colour."""
    return f'<span style="color:{colour}">■</span>'
