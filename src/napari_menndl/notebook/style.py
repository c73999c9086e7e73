"""Colours and axes that the figures of a notebook share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from matplotlib.backends.backend_agg import FigureCanvasAgg

from napari_menndl.figure import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

#: The best network, the median of the population, the answer, failed networks, and text.
BEST, MEDIAN, STAR, FAILED, INK = "#0b6e4f", "#7a7a7a", "#e0a100", "#c0392b", "#222222"
#: Colours of networks by rung, darker for more training pixels; the last is used for all higher rungs.
RUNGS = ("#b9cfe4", "#6f9fcb", "#2c6aa8", "#123a63")
#: Label of an axis of fitness.
FITNESS = "fitness\n0: finds nothing · 1: as the expert"
#: Fitness at which failed networks are drawn: below every other.
BELOW = -0.035
_RESOLUTION = 110
_GRID = "#e6e6e6"


def new_figure(width: float, height: float, title: str = "") -> Picture:
    """Return an empty white figure [inch] with a title at the left."""
    figure = Picture(figsize=(width, height), dpi=_RESOLUTION, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    if title:
        figure.suptitle(title, fontsize=13, color=INK, x=0.01, ha="left")
    return figure


def tidy(axis: Axes, grid: Literal["x", "y", "both"] = "y") -> None:
    """Remove the frame of an axis above and on the right, and draw a faint grid under the data."""
    axis.grid(axis=grid, color=_GRID)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def rung_colour(rung: int) -> str:
    """Return the colour of networks at a rung, counted from 0."""
    return RUNGS[min(rung, len(RUNGS) - 1)]


def rung_words(pixels: Sequence[int], rung: int) -> str:
    """Return the words for a rung: ``"network trained on 12 Mpx"``."""
    return f"network trained on {pixels[rung] / 1e6:g} Mpx"
