"""Figures of the history of a search and of a network's layers, which a notebook displays automatically."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from napari_menndl.genome.layer_diagram import draw_svg, layer_diagram
from napari_menndl.notebook.style import (
    BELOW,
    BEST,
    FAILED,
    INK,
    MEDIAN,
    STAR,
    new_figure,
    rung_colour,
    rung_words,
    tidy,
)
from napari_menndl.notebook.style import FITNESS as AXIS
from napari_menndl.search.views.curves import BIRTHS, ELAPSED, FITNESS, RUNG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_menndl.figure import Picture
    from napari_menndl.genome.genome import Genome
    from napari_menndl.run import Run
    from napari_menndl.search.facts import AnswerChosen
    from napari_menndl.search.views.monitor import RunSnapshot

_WIDE, _HIGH = 11.0, 4.3
_UNITS = ((2 * 86400.0, 86400.0, "d"), (2 * 3600.0, 3600.0, "h"), (120.0, 60.0, "min"), (0.0, 1.0, "s"))


def plot_history(run: Run) -> Picture:
    """Plot fitness over the number of networks born and over time.

    Parameters
    ----------
    run : Run
        Running, stopped or finished.

    Returns
    -------
    matplotlib.figure.Figure
        One dot per evaluation; the best so far; the median of the population; the answer, with its standard error.
    """
    return draw_history(run.folder.monitor().snapshot(math.inf), [rung.pixels for rung in run.settings.ladder])


def draw_history(snapshot: RunSnapshot, pixels: Sequence[int]) -> Picture:
    """Plot the history of a search from a snapshot; `pixels` is the number of training pixels of each rung."""
    figure = new_figure(_WIDE, _HIGH, _summary(snapshot))
    scale, unit = next((size, name) for least, size, name in _UNITS if snapshot.elapsed >= least)
    over_births, over_time = figure.subplots(1, 2, sharey=True)
    for axis, column, scaled, end in (
        (over_births, BIRTHS, 1.0, snapshot.births),
        (over_time, ELAPSED, scale, snapshot.elapsed),
    ):
        _networks(axis, snapshot, pixels, column, scaled)
        for name, colour, words in (("median", MEDIAN, "median of the population"), ("best", BEST, "best so far")):
            curve = snapshot.curves[name]
            _steps(axis, curve[:, column] / scaled, curve[:, FITNESS], end / scaled, colour, words)
        if snapshot.answer and snapshot.answer.members:
            _star(axis, snapshot.curves["answers"][-1, column] / scaled, snapshot.answer)
        axis.set_xlim(0, max(end / scaled, 1e-9) * 1.04)
        axis.set_ylim(-0.07, 1.0)
        tidy(axis)
    over_births.set_xlabel("networks born")
    over_time.set_xlabel(f"time searched [{unit}]")
    over_births.set_ylabel(AXIS)
    over_births.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = over_births.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


class Drawing(str):
    """SVG that a notebook displays by itself."""

    __slots__ = ()

    def _repr_svg_(self) -> str:
        return str(self)


def plot_genome(genome: Genome, classes: int = 1) -> Drawing:
    """Plot the layers of a network, from its inputs (top) to the classes (bottom); see `draw_svg`.

    Raises
    ------
    GenomeError
        If the network cannot be built.
    """
    return Drawing(draw_svg(*layer_diagram(genome, classes)))


def _networks(axis: Axes, snapshot: RunSnapshot, pixels: Sequence[int], column: int, scale: float) -> None:
    """Plot a dot for each evaluation, in the colour of its rung; failed ones below the others."""
    evaluations = snapshot.curves["evaluations"]
    for rung in range(len(pixels)):
        those = evaluations[evaluations[:, RUNG] == rung]
        if len(those):
            words, colour = rung_words(pixels, rung), rung_colour(rung)
            axis.scatter(those[:, column] / scale, those[:, FITNESS], s=26, color=colour, zorder=3, label=words)
    if len(failures := snapshot.curves["failures"]):
        x = failures[:, column] / scale
        below = np.full(len(x), BELOW)
        axis.scatter(x, below, s=26, marker="x", color=FAILED, zorder=3, label="failed network")


def _steps(axis: Axes, x: NDArray[np.float64], y: NDArray[np.float64], end: float, colour: str, words: str) -> None:
    if len(x):
        width = 2.2 if colour == BEST else 1.6
        axis.step([*x, max(end, x[-1])], [*y, y[-1]], where="post", color=colour, linewidth=width, label=words)


def _star(axis: Axes, x: float, answer: AnswerChosen) -> None:
    axis.errorbar(
        [x],
        [answer.fitness or 0.0],
        [answer.error or 0.0],
        fmt="*",
        markersize=15,
        color=STAR,
        markeredgecolor=INK,
        ecolor=INK,
        capsize=3,
        zorder=5,
        label="answer, out of fold, with its standard error",
    )


def _summary(snapshot: RunSnapshot) -> str:
    if (answer := snapshot.answer) and answer.members:
        chosen = " + ".join(f"#{one.id}" for one in answer.members)
        kind = "network" if len(answer.members) == 1 else "mean of networks"
        return f"Answer: {kind} {chosen}, fitness {answer.fitness:.2f} ± {answer.error:.2f}"
    return f"Best so far: {snapshot.best_fitness:.2f}" if snapshot.best_fitness is not None else "No network judged yet"
