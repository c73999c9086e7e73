"""The colours of a review, and its legend and tables as rich text for a narrow dock."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

from napari_menndl.review.frame import ORANGE, PURPLE, WHITE
from napari_menndl.review.tables import SCORE_COLUMNS, Tally, score_rows
from napari_menndl.widgets.review.frame_review import ALONE, PREDICTED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_menndl.review.panels import Key
    from napari_menndl.widgets.review.frame_review import FrameReview

#: True positives, false positives, false negatives. The second set (Okabe & Ito, https://jfly.uni-koeln.de/color/) and
#: the third (Tol, https://sronpersonalpages.nl/~pault/, "vibrant") stay apart for all common kinds of colour blindness.
PALETTES = {
    "white · purple · orange": (WHITE, PURPLE, ORANGE),
    "colour-blind safe": ("#ffffff", "#0072b2", "#f0e442"),
    "colour-blind safe, blue · orange": ("#ffffff", "#0077bb", "#ee7733"),
}
NEUTRAL = "#2bd4d9"
WORDS = {1: "found", 2: "false", 3: "missed", PREDICTED: "predicted"}

Colours = dict[int | None, str]


def overlay_colours(palette: str) -> Colours:
    """Colours of the overlay's labels."""
    return {**dict(enumerate(PALETTES[palette], start=1)), PREDICTED: NEUTRAL, None: "transparent", 0: "transparent"}


def picture_key(palette: str, annotated: bool) -> Key:
    """What the overlay's labels mean, for a picture."""
    values = (1, 2, 3) if annotated else (PREDICTED,)
    return {value: (overlay_colours(palette)[value], WORDS[value]) for value in values}


def legend(palette: str, annotated: bool = True) -> str:
    """What the colours mean."""
    key = picture_key(palette, annotated)
    return "&nbsp;&nbsp;&nbsp; ".join(f"{_square(colour)}&nbsp;{word}" for colour, word in key.values())


def score_table(title: str, tallies: Mapping[str, Tally], palette: str) -> str:
    """Scores by class and together, in defects."""
    rows = [dict(zip(SCORE_COLUMNS, row, strict=True)) for row in score_rows(tallies)]
    rows = rows[1:] + (rows[:1] if len(rows) > 2 else [])
    shares, counts = ("f1", "precision", "recall", "average_precision"), ("tp", "fp", "fn")
    lines = [
        [escape(str(row["class"])), *(share(row[name]) for name in shares), *(row[name] for name in counts)]
        for row in rows
    ]
    return _table(title, ["F1", "prec.", "recall", "AP", *map(_square, PALETTES[palette])], lines)


def found_table(title: str, review: FrameReview) -> str:
    """What was predicted where nothing is annotated: how much, how surely, and how far the networks agree."""
    found = review.defects[review.defects["outcome"] == ALONE]
    lines: list[list[Any]] = []
    for name in review.class_names:
        own = found[found["class"] == name]
        confidence = float(own["confidence"].astype(float).mean()) if len(own) else math.nan
        lines.append([escape(name), len(own), share(confidence)])
        if review.agreement:
            lines[-1].append(share(review.agreement[name]))
    head = [_square(NEUTRAL), "confidence", *(["agreement"] if review.agreement else [])]
    return _table(title, head, lines)


def pooled(reviews: Iterable[FrameReview]) -> dict[str, Tally]:
    """The tallies of many frames added up, by class."""
    by_class: dict[str, list[Tally]] = {}
    for review in reviews:
        for name, tally in review.tallies.items():
            by_class.setdefault(name, []).append(tally)
    return {name: Tally.sum(tallies) for name, tallies in by_class.items()}


def share(value: Any) -> str:
    """``"0.53"``; a dash for a share of nothing."""
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
