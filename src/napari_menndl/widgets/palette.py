"""The colours of a review, and its legend and table as rich text for a narrow dock."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from napari_menndl.review.frame import ORANGE, PURPLE, WHITE
from napari_menndl.widgets.frame_review import PREDICTED

if TYPE_CHECKING:
    from napari_menndl.metrics.scores import Counts
    from napari_menndl.widgets.frame_review import FrameReview

#: True positives, false positives, false negatives. The second set (Okabe & Ito, https://jfly.uni-koeln.de/color/)
#: stays apart for all common kinds of colour blindness.
PALETTES = {
    "white · purple · orange": (WHITE, PURPLE, ORANGE),
    "colour-blind safe": ("#ffffff", "#0072b2", "#f0e442"),
}
NEUTRAL = "#2bd4d9"

Colours = dict[int | None, str]


def overlay_colours(palette: str) -> Colours:
    """Colours of the overlay's labels."""
    return {**dict(enumerate(PALETTES[palette], start=1)), PREDICTED: NEUTRAL, None: "transparent", 0: "transparent"}


def legend(palette: str, annotated: bool = True) -> str:
    """What the colours mean."""
    found, false, missed = PALETTES[palette]
    meanings = [(found, "found"), (false, "false"), (missed, "missed")] if annotated else [(NEUTRAL, "predicted")]
    return "&nbsp;&nbsp;&nbsp; ".join(f"{_square(colour)}&nbsp;{word}" for colour, word in meanings)


def score_table(review: FrameReview, palette: str) -> str:
    """Scores of one frame, by class and together, in defects."""
    if not review.annotated:
        return _table([_square(NEUTRAL)], [[name, c.fp] for name, c in review.counts.items()])
    rows = [_row(escape(name), counts) for name, counts in review.counts.items()]
    if len(rows) > 1:
        rows.append(_row("<b>all</b>", review.total))
    return _table(["F1", "prec.", "recall", *map(_square, PALETTES[palette])], rows)


def _row(name: str, counts: Counts) -> list[object]:
    shares = (counts.f1, counts.precision, counts.recall)
    there = (counts.tp + counts.fp + counts.fn > 0, counts.tp + counts.fp > 0, counts.tp + counts.fn > 0)
    shown = (f"{share:.2f}" if known else "–" for share, known in zip(shares, there, strict=True))
    return [name, *shown, counts.tp, counts.fp, counts.fn]


def _square(colour: str) -> str:
    return f'<span style="color:{colour}">■</span>'


def _table(head: list[str], rows: list[list[object]]) -> str:
    titles = "".join(f'<th align="right">{word}</th>' for word in head)
    lines = (
        f'<tr><td>{name}</td>{"".join(f"""<td align="right">{cell}</td>""" for cell in cells)}</tr>'
        for name, *cells in rows
    )
    return f'<table width="100%" cellpadding="2"><tr><th></th>{titles}</tr>{"".join(lines)}</table>'
