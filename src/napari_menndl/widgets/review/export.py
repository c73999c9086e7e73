"""Export of a review: its defects as a table, the frame in view as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from napari_menndl.review.tables import REVIEW_COLUMNS
from napari_menndl.tables import write_table
from napari_menndl.widgets.review.palette import picture_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari_menndl.movie.movie import Movie
    from napari_menndl.widgets.review.frame_review import FrameReview


def export_defects(reviews: Iterable[FrameReview], path: str) -> Path:
    """Write every defect of the frames reviewed as CSV: frame, class, outcome, place, area and confidence.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    tables = [review.defects.drop(columns="born") for review in sorted(reviews, key=lambda r: r.frame)]
    full = [table for table in tables if len(table)]
    columns = [name for name in REVIEW_COLUMNS if name != "born"]
    return write_table(pd.concat(full) if full else pd.DataFrame(columns=columns), with_suffix(path, ".csv"))


def export_picture(review: FrameReview, movie: Movie, palette: str, classes: Mapping[str, str], path: str) -> Path:
    """Write a frame and its review side by side as PNG; `classes` are the colours of predicted classes.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    from napari_menndl.review.picture import overlay_picture  # here, as matplotlib is slow to import

    total = review.total
    below = f"{total.tp} found · {total.fp} false · {total.fn} missed"
    number = len(review.defects)
    return overlay_picture(
        movie.frame(review.frame),
        review.overlay,
        with_suffix(path, ".png"),
        key=picture_key(palette, review, classes),
        pixel_size=movie.pixel_size,
        heading=f"frame {review.frame}" + (f": F1 {total.f1:.2f}" if review.annotated else ""),
        below=below if review.annotated else f"{number} predicted, not annotated",
    )


def with_suffix(path: str, suffix: str) -> Path:
    """Return the path with this suffix, unless it has it already; other dots in the name stay."""
    return Path(path) if path.lower().endswith(suffix) else Path(path + suffix)
