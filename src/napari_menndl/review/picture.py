"""Comparison picture: raw frame, expert, Fourier method and network, with found, false and missed defects."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write
from napari_menndl.review.panels import OUTCOME_KEY, Key, Panel, draw_panels, expert_panel, reviewed_panel

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_menndl.figure import Picture
    from napari_menndl.review.frame import ReviewedFrame


@dataclass(frozen=True)
class PictureRow:
    """One row of the comparison picture.

    Attributes
    ----------
    frame : (Y, X) float
        Raw.
    expert : (Y, X) uint8 or bool
        The annotation.
    fourier, network : ReviewedFrame
        Reviews of both methods against that annotation.
    title : str
        For example ``"frame 8"``.
    """

    frame: NDArray[np.generic]
    expert: NDArray[np.generic]
    fourier: ReviewedFrame
    network: ReviewedFrame
    title: str = ""


def four_panel(
    rows: PictureRow | Sequence[PictureRow],
    path: str | os.PathLike[str],
    *,
    pixel_size: tuple[float, float] | None = None,
    title: str = "",
    names: tuple[str, str] = ("Fourier method", "Evolved network"),
) -> Path:
    """Draw frames, annotation and two methods side by side.

    Parameters
    ----------
    rows : PictureRow or sequence of PictureRow
        One row of four panels each.
    path : path
        PNG to write.
    pixel_size : (y, x) float [nm], optional
        For the scale bar.
    title : str
    names : (str, str)
        Names of the two methods.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If there is no row, or the file cannot be written.
    """
    rows = [rows] if isinstance(rows, PictureRow) else list(rows)
    return save_picture(draw_four_panels(rows, pixel_size=pixel_size, title=title, names=names), path)


def draw_four_panels(
    rows: Sequence[PictureRow],
    *,
    pixel_size: tuple[float, float] | None = None,
    title: str = "",
    names: tuple[str, str] = ("Fourier method", "Evolved network"),
) -> Picture:
    """Return the picture that `four_panel` writes.

    Raises
    ------
    InputError
        If there is no row.
    """
    if not rows:
        raise InputError("at least one frame to draw", "none", "Give one PictureRow per frame.")
    return draw_panels([_panels(row, names) for row in rows], pixel_size=pixel_size, title=title)


def overlay_picture(
    frame: NDArray[np.generic],
    colours: NDArray[np.integer],
    path: str | os.PathLike[str],
    *,
    key: Key = OUTCOME_KEY,
    pixel_size: tuple[float, float] | None = None,
    heading: str = "",
    below: str = "",
) -> Path:
    """Draw a frame beside the same frame with its review.

    Parameters
    ----------
    frame : (Y, X) float
        Raw.
    colours : (Y, X) uint8
        Values of `key`; 0 is transparent.
    path : path
        PNG to write.
    key : dict of value to (colour, words)
    pixel_size : (y, x) float [nm], optional
        For the scale bar.
    heading, below : str
        Two lines above the review.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    row = [Panel(frame, None, "Raw", below and " "), Panel(frame, colours, heading, below)]
    return save_picture(draw_panels([row], key=key, pixel_size=pixel_size), path)


def save_picture(figure: Picture, path: str | os.PathLike[str]) -> Path:
    """Write a picture as PNG, atomically.

    Raises
    ------
    InputError
        If the file cannot be written.
    """
    place = Path(path)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    try:
        atomic_write(place, drawn.getvalue())
    except OSError as error:
        raise InputError("a folder that can be written", str(error), "Choose another place.") from error
    return place


def _panels(row: PictureRow, names: tuple[str, str]) -> list[Panel]:
    return [
        Panel(row.frame, None, "Raw", row.title),
        expert_panel(row.frame, row.expert, row.network),
        reviewed_panel(row.frame, names[0], row.fourier),
        reviewed_panel(row.frame, names[1], row.network),
    ]
