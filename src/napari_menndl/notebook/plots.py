"""Figures of the history of a search and of a reviewed frame, which a notebook displays automatically."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import MaxNLocator

from napari_menndl.annotation.classes import COLOURS
from napari_menndl.genome.layer_diagram import draw_svg, layer_diagram
from napari_menndl.movie.reading import open_movie
from napari_menndl.review.panels import (
    OUTCOME_KEY,
    Key,
    Panel,
    Picture,
    counted,
    draw_panels,
    expert_panel,
    reviewed_panel,
)
from napari_menndl.review.review import Review
from napari_menndl.search.views.curves import BIRTHS, ELAPSED, FITNESS, RUNG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.genome.genome import Genome
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.run import Run
    from napari_menndl.search.facts import AnswerChosen
    from napari_menndl.search.views.monitor import RunSnapshot

_BEST, _MEDIAN, _STAR, _FAILED, _INK = "#0b6e4f", "#7a7a7a", "#e0a100", "#c0392b", "#222222"
#: Colours of networks by rung, darker for more training pixels; the last is used for all higher rungs.
_RUNGS = ("#b9cfe4", "#6f9fcb", "#2c6aa8", "#123a63")
_WIDE, _HIGH, _RESOLUTION = 11.0, 4.3, 110
#: Fitness at which failed networks are drawn: below every other.
_BELOW = -0.035
_UNITS = ((2 * 86400.0, 86400.0, "d"), (2 * 3600.0, 3600.0, "h"), (120.0, 60.0, "min"), (0.0, 1.0, "s"))


def plot_history(run: Run) -> Figure:
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
    return draw_history(run.folder.monitor().look(math.inf), [rung.pixels for rung in run.settings.ladder])


def draw_history(snapshot: RunSnapshot, pixels: Sequence[int]) -> Picture:
    """Plot the history of a search from a snapshot; `pixels` is the number of training pixels of each rung."""
    figure = Picture(figsize=(_WIDE, _HIGH), dpi=_RESOLUTION, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    scale, unit = next((size, name) for least, size, name in _UNITS if snapshot.elapsed >= least)
    over_births, over_time = figure.subplots(1, 2, sharey=True)
    for axis, column, scaled, end in (
        (over_births, BIRTHS, 1.0, snapshot.births),
        (over_time, ELAPSED, scale, snapshot.elapsed),
    ):
        _networks(axis, snapshot, pixels, column, scaled)
        for name, colour, words in (("median", _MEDIAN, "median of the population"), ("best", _BEST, "best so far")):
            curve = snapshot.curves[name]
            _steps(axis, curve[:, column] / scaled, curve[:, FITNESS], end / scaled, colour, words)
        if snapshot.answer and snapshot.answer.members:
            _star(axis, snapshot.curves["answers"][-1, column] / scaled, snapshot.answer)
        axis.set_xlim(0, max(end / scaled, 1e-9) * 1.04)
        axis.set_ylim(-0.07, 1.0)
        axis.grid(axis="y", color="#e6e6e6")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
    over_births.set_xlabel("networks born")
    over_time.set_xlabel(f"time searched [{unit}]")
    over_births.set_ylabel("fitness\n0: finds nothing · 1: as the expert")
    over_births.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(_summary(snapshot), fontsize=13, color=_INK, x=0.01, ha="left")
    handles, labels = over_births.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def plot_frame(
    movie: Any, prediction: Prediction | None, annotation: Annotation | None, t: int, name: str = "Network"
) -> Figure:
    """Plot one frame: raw, annotated and predicted, in the three colours of a review.

    Parameters
    ----------
    movie : path, array (T, Y, X) or Movie
    prediction : Prediction or None
    annotation : Annotation or None
        If one of both is missing, or the annotation has no known pixel in the frame, the other is drawn in the colours
        of its classes.
    t : int
        Frame number.
    name : str
        Title of the prediction.

    Returns
    -------
    matplotlib.figure.Figure
    """
    movie = open_movie(movie)
    frame = movie.frame(t)
    raw = Panel(frame, None, "Raw", f"frame {t}")
    if annotation is not None and not annotation.known(t).any():
        annotation = None
    if prediction is not None and annotation is not None:
        reviewed = Review.of(prediction, annotation, frames=[t]).look(t)
        panels = [raw, expert_panel(frame, annotation.frame(t), reviewed), reviewed_panel(frame, name, reviewed)]
        return draw_panels([panels], key=OUTCOME_KEY, pixel_size=movie.pixel_size)
    key: Key = {}
    panels = [raw]
    if annotation is not None:
        key = {c: (one.colour, one.name) for c, one in enumerate(annotation.classes, start=1)}
        panels.append(Panel(frame, annotation.frame(t), "Annotation", counted(len(annotation.to_points(t)))))
    elif prediction is not None:
        names = prediction.spec.class_names
        key = {c: (COLOURS[(c - 1) % len(COLOURS)], one) for c, one in enumerate(names, start=1)}
        panels.append(Panel(frame, prediction.frame_labels(t), name, counted(len(prediction.frame_defects(t)))))
    return draw_panels([panels], key=key, pixel_size=movie.pixel_size)


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
    for rung, shown in enumerate(pixels):
        those = evaluations[evaluations[:, RUNG] == rung]
        if len(those):
            words, colour = f"network trained on {shown / 1e6:g} Mpx", _RUNGS[min(rung, len(_RUNGS) - 1)]
            axis.scatter(those[:, column] / scale, those[:, FITNESS], s=26, color=colour, zorder=3, label=words)
    if len(failures := snapshot.curves["failures"]):
        x = failures[:, column] / scale
        below = np.full(len(x), _BELOW)
        axis.scatter(x, below, s=26, marker="x", color=_FAILED, zorder=3, label="failed network")


def _steps(axis: Axes, x: NDArray[np.float64], y: NDArray[np.float64], end: float, colour: str, words: str) -> None:
    if len(x):
        width = 2.2 if colour == _BEST else 1.6
        axis.step([*x, max(end, x[-1])], [*y, y[-1]], where="post", color=colour, linewidth=width, label=words)


def _star(axis: Axes, x: float, answer: AnswerChosen) -> None:
    axis.errorbar(
        [x],
        [answer.fitness or 0.0],
        [answer.error or 0.0],
        fmt="*",
        markersize=15,
        color=_STAR,
        markeredgecolor=_INK,
        ecolor=_INK,
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
