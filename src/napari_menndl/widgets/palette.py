"""The colours of a review, and its legend and table as rich text for a narrow dock."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from napari_menndl.widgets.frame_review import PREDICTED

if TYPE_CHECKING:
    from napari_menndl.metrics.scores import Counts
    from napari_menndl.widgets.frame_review import FrameReview

#: True positives, false positives, false negatives. The second set (Okabe & Ito, https://jfly.uni-koeln.de/color/)
#: stays apart for all common kinds of colour blindness.
PALETTES = {
    "white · purple · orange": ("#ffffff", "#a63cf0", "#ff8c1a"),
    "colour-blind safe": ("#ffffff", "#0072b2", "#f0e442"),
}
NEUTRAL = "#2bd4d9"

Colours = dict[int | None, str]


def overlay_colours(palette: str) -> Colours:
    """Colours of the overlay's labels."""
    return {**dict(enumerate(PALETTES[palette], start=1)), PREDICTED: NEUTRAL, None: "transparent", 0: "transparent"}


def legend(palette: str) -> str:
    """The legend; it stands on black, as white must show in a light theme too."""
    meanings = (*zip(PALETTES[palette], ("found", "false", "missed"), strict=True), (NEUTRAL, "not annotated"))
    return "&nbsp;&nbsp; ".join(f'<span style="color:{colour}">■</span>&nbsp;{word}' for colour, word in meanings)


def score_table(review: FrameReview) -> str:
    """Scores of one frame, by class and together, in defects."""
    if not review.annotated:
        rows = [f"<tr><td>{escape(name)}</td>{_cell(c.tp + c.fp)}</tr>" for name, c in review.counts.items()]
        return _table(_head("predicted"), rows)
    head = "".join(_head(word) for word in ("F1", "prec.", "recall", "found", "false", "missed"))
    rows = [_row(escape(name), counts) for name, counts in review.counts.items()]
    if len(rows) > 1:
        rows.append(_row("<b>all</b>", review.total))
    return _table(head, rows)


def _table(head: str, rows: list[str]) -> str:
    return f'<table width="100%" cellpadding="3"><tr><th align="left">class</th>{head}</tr>{"".join(rows)}</table>'


def _row(name: str, counts: Counts) -> str:
    shares = (counts.f1, counts.precision, counts.recall)
    there = (counts.tp + counts.fp + counts.fn > 0, counts.tp + counts.fp > 0, counts.tp + counts.fn > 0)
    cells = [_cell(f"{share:.2f}" if known else "–") for share, known in zip(shares, there, strict=True)]
    return f"<tr><td>{name}</td>{''.join(cells)}{_cell(counts.tp)}{_cell(counts.fp)}{_cell(counts.fn)}</tr>"


def _head(word: str) -> str:
    return f'<th align="right">{word}</th>'


def _cell(value: object) -> str:
    return f'<td align="right">{value}</td>'
