"""Panels of a picture: dimmed frames with defects in colours that are visible in print."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch, Rectangle
from scipy import ndimage

from napari_menndl.figure import Picture
from napari_menndl.review.outcomes import COLOURS, OUTCOMES, TRUE_POSITIVE, WORDS, in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from napari_menndl.review.frame import ReviewedFrame

#: Width of a panel [inch], and resolution [pixels per inch].
_PANEL, _RESOLUTION = 4.2, 150
#: Width of a letter of the legend, and of a coloured patch with the space around it [inch].
_LETTER, _PATCH = 0.085, 1.04
#: Factor by which grey values under the colours are dimmed.
_DIMMED = 0.6
#: Smallest radius of a drawn defect, as a share of the frame's width.
_SMALLEST = 0.006
#: Largest share of a panel's width that the scale bar takes.
_BAR = 0.3
#: Width of the solid edge of an extended defect, as a share of the frame's width; opacity of its inside.
_EDGE, _TINT = 0.009, 0.25
#: Colours behind pictures, of text, and of fainter text.
BACKGROUND, INK, FAINT = "#101014", "#f2f2f2", "#b8b8c0"

#: Meaning of the values in a mask of colours: value to colour and words.
Key = dict[int, tuple[str, str]]
OUTCOME_KEY: Key = {value: (COLOURS[value], f"{WORDS[name]} ({name})") for value, name in OUTCOMES.items()}
# Also the colour of the annotation, in a panel of its own.
OUTCOME_KEY[TRUE_POSITIVE] = (COLOURS[TRUE_POSITIVE], OUTCOME_KEY[TRUE_POSITIVE][1] + " · expert's defects")


@dataclass(frozen=True)
class Panel:
    """A frame with an overlay.

    Attributes
    ----------
    frame : (Y, X) float
        Raw.
    colours : (Y, X) uint8, optional
        Values of a `Key`; 0 is transparent. The frame is dimmed under them.
    heading, below : str
        Two lines above the panel.
    limits : (float, float), optional
        Grey values drawn black and white; by default 0.5 % of the frame's pixels are darker, and brighter.
    """

    frame: NDArray[np.generic]
    colours: NDArray[np.integer] | None = None
    heading: str = ""
    below: str = ""
    limits: tuple[float, float] | None = None

    def image(self, key: Key) -> NDArray[np.float64]:
        """Return the drawn frame, (Y, X, 3), from 0 to 1."""
        grey = _grey(self.frame, self.limits)
        palette = {value: colour for value, (colour, _) in key.items()}
        return grey if self.colours is None else _overlay(grey, self.colours, palette)


def draw_panels(
    rows: Sequence[Sequence[Panel]],
    *,
    key: Key = OUTCOME_KEY,
    pixel_size: tuple[float, float] | None = None,
    title: str = "",
) -> Picture:
    """Draw rows of equally many panels on a dark background, with a scale bar per row and a legend.

    Parameters
    ----------
    rows : sequence of rows of Panel
    key : dict of value to (colour, words)
        Key of the panels' colours.
    pixel_size : (y, x) float [nm], optional
        For the scale bar.
    title : str

    Returns
    -------
    Picture
    """
    height, width = rows[0][0].frame.shape
    columns = len(rows[0])
    tall = _PANEL * height / width
    figure = Picture(
        figsize=(columns * _PANEL, (tall + 0.65) * len(rows) + (0.85 if title else 0.4)),
        dpi=_RESOLUTION,
        facecolor=BACKGROUND,
        layout=ConstrainedLayoutEngine(w_pad=0.05, h_pad=0.08, wspace=0.0, hspace=0.0),
    )
    FigureCanvasAgg(figure)
    for row, axes in zip(rows, figure.subplots(len(rows), columns, squeeze=False), strict=True):
        for panel, axis in zip(row, axes, strict=True):
            axis.imshow(panel.image(key), interpolation="antialiased")
            # Without set_axis_off and with the image at the top, the layout leaves room for the heading.
            axis.set(xticks=[], yticks=[], anchor="N")
            axis.spines[:].set_visible(False)
            _heading(axis, panel.heading, panel.below)
        _scale_bar(axes[0], row[0].frame.shape, pixel_size)
    if any(panel.colours is not None for row in rows for panel in row):
        lines = math.ceil(sum(_LETTER * len(words) + _PATCH for _, words in key.values()) / (columns * _PANEL))
        figure.legend(
            handles=[Patch(facecolor=colour, label=words) for colour, words in key.values()],
            loc="outside lower center",
            ncols=-(-len(key) // lines),
            frameon=False,
            labelcolor=INK,
            fontsize=13,
        )
    if title:
        figure.suptitle(title, color=INK, fontsize=16)
    return figure


def redraw_panels(picture: Picture, panels: Sequence[Panel], key: Key = OUTCOME_KEY) -> None:
    """Show other panels of the same size in a picture of one row, and other words for the same colours."""
    picture.set_layout_engine("none")
    for axis, panel in zip(picture.axes, panels, strict=True):
        axis.images[0].set_data(panel.image(key))
        axis.set_title(panel.heading, loc="left", pad=20)
        axis.texts[0].set_text(panel.below)
    for legend in picture.legends:
        for text, (_, words) in zip(legend.get_texts(), key.values(), strict=True):
            text.set_text(words)


def reviewed_panel(frame: NDArray[np.generic], name: str, reviewed: ReviewedFrame) -> Panel:
    """Return the panel of one method: its found, false and missed defects, and its score."""
    counts = reviewed.total
    return Panel(frame, reviewed.colours, f"{name}: F1 {counts.f1:.2f}", in_words(counts))


def expert_panel(frame: NDArray[np.generic], annotated: NDArray[np.generic], reviewed: ReviewedFrame) -> Panel:
    """Return the panel of the annotation, all in white; `reviewed` gives the number of defects."""
    number = sum(len(m.true) for m in reviewed.matches)
    return Panel(frame, (np.asarray(annotated) > 0) * TRUE_POSITIVE, "Expert", counted(number))


def counted(number: int) -> str:
    """Format a number of defects: ``"1 defect"``, ``"2 defects"``."""
    return f"{number} defect{'' if number == 1 else 's'}"


def _heading(axis: Axes, name: str, below: str = "") -> None:
    axis.set_title(name, color=INK, fontsize=14, loc="left", pad=20)
    words = axis.text(0, 1.012, below, color=FAINT, fontsize=11, transform=axis.transAxes, va="bottom")
    words.set_in_layout(False)  # long ones would make the panels small


def grey_limits(frame: ArrayLike) -> tuple[float, float]:
    """Return the grey values of a frame that 0.5 % of its pixels are below, and above."""
    values = np.asarray(frame, dtype=float)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite if finite.size else [0.0], (0.5, 99.5))
    return float(low), float(high)


def _grey(frame: ArrayLike, limits: tuple[float, float] | None = None) -> NDArray[np.float64]:
    """Convert a frame to grey values from 0 to 1, (Y, X, 3)."""
    values = np.asarray(frame, dtype=float)
    low, high = grey_limits(values) if limits is None else limits
    grey = np.clip((np.nan_to_num(values, nan=low) - low) / max(high - low, 1e-12), 0.0, 1.0)
    return np.repeat(grey[..., None], 3, axis=2)


def _overlay(
    grey: NDArray[np.float64], colours: NDArray[np.integer], palette: Mapping[int, str]
) -> NDArray[np.float64]:
    """Draw defects over the dimmed frame, (Y, X, 3): large ones outlined and tinted, others solid, with a dark rim."""
    image = grey * _DIMMED
    grown = _visible(np.asarray(colours), palette)
    image[(ndimage.grey_dilation(grown, size=(3, 3)) > 0) & (grown == 0)] = 0.0
    edge = max(2.0, _EDGE * grown.shape[1])
    for value, colour in palette.items():
        marked = grown == value
        depth = ndimage.distance_transform_edt(np.pad(marked, 1, mode="edge"))[1:-1, 1:-1]
        labels, n = ndimage.label(marked, structure=np.ones((3, 3)))
        deep = np.concatenate([[0.0], ndimage.maximum(depth, labels, np.arange(1, n + 1))])[labels] > 4 * edge
        share = np.where(deep & (depth > edge), _TINT, 1.0)[marked, None]
        image[marked] = (1 - share) * image[marked] + share * np.array(to_rgb(colour))
    return image


def _visible(colours: NDArray[np.integer], values: Iterable[int]) -> NDArray[np.integer]:
    """Grow small defects to discs that are visible in print."""
    radius = round(_SMALLEST * colours.shape[1])
    if radius < 1:
        return colours
    grown = colours.copy()
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = y**2 + x**2 <= radius**2
    for value in values:
        labels, n = ndimage.label(colours == value, structure=np.ones((3, 3)))
        small = np.flatnonzero(np.bincount(labels.ravel(), minlength=n + 1)[1:] < disc.sum()) + 1
        centres = np.zeros(colours.shape, dtype=bool)
        if len(small):
            middle = np.rint(np.array(ndimage.center_of_mass(labels > 0, labels, small))).astype(int)
            centres[middle[:, 0], middle[:, 1]] = True
        grown[ndimage.binary_dilation(centres, disc) & (grown == 0)] = value
    return grown


def _scale_bar(axis: Axes, shape: tuple[int, ...], pixel_size: tuple[float, float] | None) -> None:
    """Draw a scale bar of 1, 2 or 5 times a power of ten nanometres at the lower left."""
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
