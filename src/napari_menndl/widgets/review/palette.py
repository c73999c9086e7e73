"""Colours of a review and of predicted classes; legend and tables as rich text for a narrow dock."""

from __future__ import annotations

import math
from colorsys import hsv_to_rgb
from html import escape
from typing import TYPE_CHECKING, Any

from napari_menndl.annotation.classes import COLOURS
from napari_menndl.review.frame import ORANGE, PURPLE, WHITE
from napari_menndl.review.tables import SCORE_COLUMNS, ScoreCounts, score_rows
from napari_menndl.widgets.review.frame_review import ALONE, PREDICTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from napari.layers import Labels

    from napari_menndl.review.panels import Key
    from napari_menndl.widgets.review.frame_review import FrameReview

#: True positives, false positives, false negatives. The second set (Okabe & Ito, https://jfly.uni-koeln.de/color/) and
#: the third (Tol, https://sronpersonalpages.nl/~pault/, "vibrant") can be told apart with all common kinds of colour
#: blindness.
PALETTES = {
    "white · purple · orange": (WHITE, PURPLE, ORANGE),
    "colour-blind safe": ("#ffffff", "#0072b2", "#f0e442"),
    "colour-blind safe, blue · orange": ("#ffffff", "#0077bb", "#ee7733"),
}
WORDS = ("found", "false", "missed")
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
    outcomes = dict(enumerate(zip(PALETTES[palette], WORDS, strict=True), start=1)) if review.annotated else {}
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
        f"{_square(colour)}&nbsp;{escape(word).replace(' ', '&nbsp;')}" for colour, word in colours
    )


def score_table(title: str, tallies: Mapping[str, ScoreCounts], palette: str) -> str:
    """Format the scores by class and together, in defects."""
    rows = [dict(zip(SCORE_COLUMNS, row, strict=True)) for row in score_rows(tallies)]
    rows = rows[1:] + (rows[:1] if len(rows) > 2 else [])
    shares, counts = ("f1", "precision", "recall", "average_precision"), ("tp", "fp", "fn")
    lines = [
        [escape(str(row["class"])), *(share(row[name]) for name in shares), *(row[name] for name in counts)]
        for row in rows
    ]
    return _table(title, ["F1", "prec.", "recall", "AP", *map(_square, PALETTES[palette])], lines)


def found_table(title: str, review: FrameReview, classes: Mapping[str, str]) -> str:
    """Format what is predicted where nothing is annotated: number, confidence, agreement of the networks."""
    found = review.defects[review.defects["outcome"] == ALONE]
    lines: list[list[Any]] = []
    for name in review.class_names:
        own = found[found["class"] == name]
        confidence = float(own["confidence"].astype(float).mean()) if len(own) else math.nan
        lines.append([f"{_square(classes[name])} {escape(name)}", len(own), share(confidence)])
        if review.agreement:
            lines[-1].append(share(review.agreement[name]))
    head = ["predicted", "confidence", *(["agreement"] if review.agreement else [])]
    return _table(title, head, lines)


def pooled(reviews: Iterable[FrameReview]) -> dict[str, ScoreCounts]:
    """Return the counts of many frames added up, by class."""
    by_class: dict[str, list[ScoreCounts]] = {}
    for review in reviews:
        for name, tally in review.tallies.items():
            by_class.setdefault(name, []).append(tally)
    return {name: ScoreCounts.sum(tallies) for name, tallies in by_class.items()}


def share(value: Any) -> str:
    """Format a ratio: ``"0.53"``; a dash if it is undefined."""
    return "–" if value is None or math.isnan(value) else f"{value:.2f}"


def _square(colour: str) -> str:
    return f'<span style="color:{colour}">■</span>'


def _table(title: str, head: list[str], rows: list[list[Any]]) -> str:
    titles = "".join(f'<th align="right">{word}</th>' for word in head)
    lines = (
        f'<tr><td>{name}</td>{"".join(f"""<td align="right">{cell}</td>""" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    first = f'<th align="left">{title}</th>'
    return f'<table width="100%" cellpadding="1"><tr>{first}{titles}</tr>{"".join(lines)}</table>'
