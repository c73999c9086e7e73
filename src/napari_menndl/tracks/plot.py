"""Figure of defects through time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import MaxNLocator

from napari_menndl.annotation.classes import COLOURS
from napari_menndl.figure import Picture
from napari_menndl.files import atomic_write
from napari_menndl.tracks.events import EVENTS
from napari_menndl.tracks.rates import TOTAL

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from napari_menndl.tracks.observed import Observed

#: Width of the figure and height of a row [inch]; panels of events beside each other.
_WIDE, _HIGH, _RESOLUTION, _ACROSS = 10.0, 2.3, 120, 2


def plot_tracks(trajectories: pd.DataFrame, events: pd.DataFrame, rates: pd.DataFrame, observed: Observed) -> Picture:
    """Draw the number of defects of each class, and the rate of each event that occurred, against time.

    Bars are the intervals of `rates.poisson_interval`; each event has a panel. The tables are those of `Tracks`.
    """
    happened = [event for event in EVENTS if (events["event"] == event).any()]
    rows = 1 + -(-len(happened) // _ACROSS)
    figure = Picture(figsize=(_WIDE, _HIGH * rows), dpi=_RESOLUTION, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows, _ACROSS)
    numbers = figure.add_subplot(grid[0, :])
    classes = list(dict.fromkeys(trajectories["class"]))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(classes)}
    _draw_numbers(numbers, trajectories, observed, colours)
    for place, event in enumerate(happened, start=_ACROSS):
        axis = figure.add_subplot(grid[divmod(place, _ACROSS)], sharex=numbers)
        _draw_rates(axis, rates, observed, event, colours)
    for axis in figure.axes[-_ACROSS:]:
        axis.set_xlabel("time [s]" if observed.frame_time else "frame")
    return figure


def write_plot(figure: Figure, path: Path) -> Path:
    """Write a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    atomic_write(path, buffer.getvalue())
    return path


def _draw_numbers(axis: Axes, trajectories: pd.DataFrame, observed: Observed, colours: dict[str, str]) -> None:
    frames = observed.frames
    numbers = pd.crosstab(trajectories["frame"], trajectories["class"]).reindex(frames, fill_value=0)
    for name, colour in colours.items():
        axis.plot(_along(observed, frames), numbers[name], color=colour, label=name)
    axis.set_ylabel("defects found")
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    if colours:
        axis.legend(fontsize="small", frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _draw_rates(axis: Axes, rates: pd.DataFrame, observed: Observed, event: str, colours: dict[str, str]) -> None:
    of_event = rates[(rates["event"] == event) & (rates["interval"] != TOTAL) & rates["rate"].notna()]
    shown = [name for name in colours if of_event.loc[of_event["class"] == name, "count"].any()]
    width = _width(observed)
    for position, name in enumerate(shown):
        mine = of_event[of_event["class"] == name]
        middle = _along(observed, (mine["first_frame"].to_numpy() + mine["last_frame"].to_numpy()) / 2)
        # Classes side by side, so that their bars do not cover each other.
        middle = middle + width * (position - (len(shown) - 1) / 2)
        bars = np.abs(mine[["rate_low", "rate_high"]].to_numpy().T - mine["rate"].to_numpy())
        axis.errorbar(middle, mine["rate"], bars, color=colours[name], fmt="o", markersize=4, capsize=2, linewidth=1)
    if not shown:
        axis.text(0.5, 0.5, "none that counts: too near the first or last frame", transform=axis.transAxes, ha="center")
    unit = str(rates["unit"].iloc[0]) if len(rates) else ""
    axis.set_ylabel(f"{event}\n[{unit}]")
    axis.set_ylim(bottom=0)


def _along(observed: Observed, frames: np.ndarray) -> np.ndarray:
    """Return positions of frames on the axis of time."""
    return np.asarray(frames * (observed.frame_time or 1.0), np.float64)


def _width(observed: Observed) -> float:
    """Return how far classes are drawn apart."""
    first, *_, last = observed.frames if len(observed) > 1 else (0, 1)
    return float(_along(observed, np.array(last - first)) / 100)
