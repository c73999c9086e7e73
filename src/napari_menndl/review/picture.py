"""The picture of the field: raw, expert, Fourier method, network, with what is right, made up and missed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch, Rectangle
from scipy import ndimage

from napari_menndl.errors import InputError
from napari_menndl.review.frame import COLOURS, ORANGE, PURPLE, TRUE_POSITIVE, WHITE, ReviewedFrame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

#: Inches per panel, pixels per inch.
_PANEL, _RESOLUTION = 4.2, 150
#: Grey values under the colours are dimmed to this share.
_DIMMED = 0.6
#: Defects are drawn at least this large: their radius as a share of the frame's width.
_SMALLEST = 0.006
#: Share of a panel's width that the scale bar may take.
_BAR = 0.3
#: Width of the solid edge of an extended defect, as a share of the frame's width; its inside is tinted only.
_EDGE, _TINT = 0.009, 0.25
_BACKGROUND, _INK, _FAINT = "#101014", "#f2f2f2", "#b8b8c0"


@dataclass(frozen=True)
class PictureRow:
    """What one row of the picture shows.

    Attributes
    ----------
    frame : (Y, X) float
        Raw.
    expert : (Y, X) uint8 or bool
        The annotation.
    fourier, network : ReviewedFrame
        Both against that annotation.
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
        The two methods.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        No row, or a place that cannot be written.
    """
    rows = [rows] if isinstance(rows, PictureRow) else list(rows)
    if not rows:
        raise InputError("at least one frame to draw", "none", "Give one PictureRow per frame.")
    height, width = rows[0].frame.shape
    tall = _PANEL * height / width
    figure = Figure(
        figsize=(4 * _PANEL, (tall + 0.6) * len(rows) + (0.95 if title else 0.5)),
        dpi=_RESOLUTION,
        facecolor=_BACKGROUND,
        layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.08, wspace=0.0, hspace=0.0),
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(rows), 4, squeeze=False)
    for row, axes in zip(rows, panels, strict=True):
        white = (np.asarray(row.expert) > 0) * TRUE_POSITIVE
        grey = _grey(row.frame)
        annotated = sum(len(m.true) for m in row.network.matches)
        for axis, colours, heading in (
            (axes[0], None, ("Raw", row.title)),
            (axes[1], white, ("Expert", f"{annotated} defects")),
            (axes[2], row.fourier.colours, _score(names[0], row.fourier)),
            (axes[3], row.network.colours, _score(names[1], row.network)),
        ):
            axis.imshow(grey if colours is None else _overlay(grey, colours), interpolation="antialiased")
            axis.set_axis_off()
            _heading(axis, *heading)
        _scale_bar(axes[0], row.frame.shape, pixel_size)
    figure.legend(
        handles=[
            Patch(facecolor=WHITE, label="found (true positive) · expert's defects"),
            Patch(facecolor=PURPLE, label="false alarm (false positive)"),
            Patch(facecolor=ORANGE, label="missed (false negative)"),
        ],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        labelcolor=_INK,
        fontsize=13,
    )
    if title:
        figure.suptitle(title, color=_INK, fontsize=16)
    place = Path(path)
    beside = place.with_name(f"{place.name}.part")
    try:
        figure.savefig(beside, format="png")
        os.replace(beside, place)
    except OSError as error:
        raise InputError("a folder that can be written", str(error), "Choose another place.") from error
    return place


def _heading(axis: Axes, name: str, below: str = "") -> None:
    axis.set_title(f"{name}\n", color=_INK, fontsize=14, loc="left", pad=4)
    axis.text(0, 1.012, below, color=_FAINT, fontsize=11, transform=axis.transAxes, va="bottom")


def _score(name: str, reviewed: ReviewedFrame) -> tuple[str, str]:
    counts = reviewed.total
    return f"{name}: F1 {counts.f1:.2f}", f"{counts.tp} found · {counts.fp} false · {counts.fn} missed"


def _grey(frame: ArrayLike) -> NDArray[np.float64]:
    """(Y, X, 3) from 0 to 1, the darkest and brightest 0.5 % clipped."""
    values = np.asarray(frame, dtype=float)
    low, high = np.nanpercentile(values, (0.5, 99.5))
    grey = np.clip((np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-12), 0.0, 1.0)
    return np.repeat(grey[..., None], 3, axis=2)


def _overlay(grey: NDArray[np.float64], colours: NDArray[np.integer]) -> NDArray[np.float64]:
    """(Y, X, 3): the frame dimmed; point defects solid, extended ones outlined and tinted, all with a dark rim."""
    image = grey * _DIMMED
    grown = _visible(np.asarray(colours))
    image[(ndimage.grey_dilation(grown, size=(3, 3)) > 0) & (grown == 0)] = 0.0
    edge = max(2.0, _EDGE * grown.shape[1])
    for value, colour in COLOURS.items():
        marked = grown == value
        depth = ndimage.distance_transform_edt(np.pad(marked, 1, mode="edge"))[1:-1, 1:-1]
        labels, n = ndimage.label(marked, structure=np.ones((3, 3)))
        deep = np.concatenate([[0.0], ndimage.maximum(depth, labels, np.arange(1, n + 1))])[labels] > 4 * edge
        share = np.where(deep & (depth > edge), _TINT, 1.0)[marked, None]
        image[marked] = (1 - share) * image[marked] + share * np.array(to_rgb(colour))
    return image


def _visible(colours: NDArray[np.integer]) -> NDArray[np.integer]:
    """Small defects grown to discs that can be seen in print."""
    radius = round(_SMALLEST * colours.shape[1])
    if radius < 1:
        return colours
    grown = colours.copy()
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = y**2 + x**2 <= radius**2
    for value in COLOURS:
        labels, n = ndimage.label(colours == value, structure=np.ones((3, 3)))
        small = np.flatnonzero(np.bincount(labels.ravel(), minlength=n + 1)[1:] < disc.sum()) + 1
        centres = np.zeros(colours.shape, dtype=bool)
        if len(small):
            middle = np.rint(np.array(ndimage.center_of_mass(labels > 0, labels, small))).astype(int)
            centres[middle[:, 0], middle[:, 1]] = True
        grown[ndimage.binary_dilation(centres, disc) & (grown == 0)] = value
    return grown


def _scale_bar(axis: Axes, shape: tuple[int, ...], pixel_size: tuple[float, float] | None) -> None:
    """A bar of 1, 2 or 5 times a power of ten nanometres, lower left."""
    height, width = shape
    if pixel_size is None:
        return
    longest = _BAR * width * pixel_size[1]
    power = 10.0 ** np.floor(np.log10(longest))
    length = max(step * power for step in (1, 2, 5) if step * power <= longest)
    bar, margin = length / pixel_size[1], 0.04 * width
    thick = 0.016 * height
    axis.add_patch(
        Rectangle((margin * 0.5, height - margin * 2.6), bar + margin, margin * 2.3, facecolor="black", alpha=0.65)
    )
    axis.add_patch(Rectangle((margin, height - margin * 0.8 - thick), bar, thick, facecolor="white"))
    axis.text(
        margin + bar / 2,
        height - margin - thick,
        f"{length:g} nm",
        color="white",
        ha="center",
        va="bottom",
        fontsize=12,
    )
