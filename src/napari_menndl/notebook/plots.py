"""The course of a search and a reviewed frame, as figures that a notebook shows by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.ticker import MaxNLocator

from napari_menndl.annotation.classes import COLOURS
from napari_menndl.movie.reading import open_movie
from napari_menndl.notebook.course import Choice, Course
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.run import Run

_BEST, _MEDIAN, _STAR, _FAILED, _INK = "#0b6e4f", "#7a7a7a", "#e0a100", "#c0392b", "#222222"
#: Networks by rung: the more pixels they were trained on, the darker; the last one serves all rungs above.
_RUNGS = ("#b9cfe4", "#6f9fcb", "#2c6aa8", "#123a63")
_WIDE, _HIGH, _RESOLUTION = 11.0, 4.3, 110
#: Fitness at which failed networks are drawn: below every other.
_BELOW = -0.035
_UNITS = ((2 * 86400.0, 86400.0, "d"), (2 * 3600.0, 3600.0, "h"), (120.0, 60.0, "min"), (0.0, 1.0, "s"))


def plot_history(run: Run) -> Figure:
    """Draw how fitness rose over the networks born and over time.

    Parameters
    ----------
    run : Run
        Running, stopped or finished.

    Returns
    -------
    matplotlib.figure.Figure
        A dot per network, at the fitness of its longest training; the best so far; the median of the population; and,
        once the search has finished, what was chosen, with its standard error.
    """
    course = Course(run.folder)
    course.read()
    return draw_course(course, [rung.pixels for rung in run.settings.ladder])


def draw_course(course: Course, pixels: Sequence[int]) -> Picture:
    """Draw the course of a search; `pixels` are those of each rung."""
    figure = Picture(figsize=(_WIDE, _HIGH), dpi=_RESOLUTION, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    over_births, over_time = figure.subplots(1, 2, sharey=True)
    scale, unit = next((size, name) for least, size, name in _UNITS if course.elapsed >= least)
    _networks(over_births, over_time, course, pixels, scale)
    for curve, colour, words in (
        (course.median, _MEDIAN, "median of the population"),
        (course.best, _BEST, "best so far"),
    ):
        fitness = [p.fitness for p in curve]
        _steps(over_births, [p.births for p in curve], fitness, course.births, colour, words)
        _steps(over_time, [p.elapsed / scale for p in curve], fitness, course.elapsed / scale, colour, words)
    if course.choice:
        _star(over_births, course.births, course.choice)
        _star(over_time, course.choice.elapsed / scale, course.choice)
    _frame(over_births, course.births)
    _frame(over_time, course.elapsed / scale)
    over_births.set_xlabel("networks born")
    over_time.set_xlabel(f"time searched [{unit}]")
    over_births.set_ylabel("fitness\n0: finds nothing · 1: as the expert")
    over_births.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.suptitle(_summary(course), fontsize=13, color=_INK, x=0.01, ha="left")
    handles, labels = over_births.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return figure


def plot_frame(
    movie: Any, prediction: Prediction | None, annotation: Annotation | None, t: int, name: str = "Network"
) -> Figure:
    """Draw one frame: raw, annotated and predicted, in the three colours of a review.

    Parameters
    ----------
    movie : path, array (T, Y, X) or Movie
    prediction : Prediction or None
    annotation : Annotation or None
        Where one of both is missing, or says nothing of the frame, the other is drawn in the colours of its classes.
    t : int
    name : str
        Of what predicted.

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
        names = prediction.outline.class_names
        key = {c: (COLOURS[(c - 1) % len(COLOURS)], one) for c, one in enumerate(names, start=1)}
        panels.append(Panel(frame, prediction.frame_labels(t), name, counted(len(prediction.frame_defects(t)))))
    return draw_panels([panels], key=key, pixel_size=movie.pixel_size)


def _networks(over_births: Axes, over_time: Axes, course: Course, pixels: Sequence[int], scale: float) -> None:
    """Every network once, at its highest rung; failed ones below the others."""
    last = {one.id: one for one in course.judged}
    groups = [(f"network trained on {shown / 1e6:g} Mpx", rung) for rung, shown in enumerate(pixels)]
    for words, rung in [*groups, ("failed network", None)]:
        those = [one for one in last.values() if rung == (None if one.fitness is None else one.rung)]
        if not those:
            continue
        failed = rung is None
        colour = _FAILED if rung is None else _RUNGS[min(rung, len(_RUNGS) - 1)]
        fitness = [_BELOW if one.fitness is None else one.fitness for one in those]
        for axis, x in (
            (over_births, [one.id + 1 for one in those]),
            (over_time, [one.elapsed / scale for one in those]),
        ):
            axis.scatter(x, fitness, s=26, marker="x" if failed else "o", color=colour, zorder=3, label=words)


def _steps(axis: Axes, x: list[float], y: list[float], end: float, colour: str, words: str) -> None:
    if x:
        width = 2.2 if colour == _BEST else 1.6
        axis.step([*x, max(end, x[-1])], [*y, y[-1]], where="post", color=colour, linewidth=width, label=words)


def _star(axis: Axes, x: float, choice: Choice) -> None:
    axis.errorbar(
        [x],
        [choice.fitness],
        [choice.error],
        fmt="*",
        markersize=15,
        color=_STAR,
        markeredgecolor=_INK,
        ecolor=_INK,
        capsize=3,
        zorder=5,
        label="chosen; judged anew on other parts of the frame",
    )


def _frame(axis: Axes, end: float) -> None:
    axis.set_xlim(0, max(end, 1e-9) * 1.04)
    axis.set_ylim(-0.07, 1.0)
    axis.grid(axis="y", color="#e6e6e6")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def _summary(course: Course) -> str:
    if course.choice:
        chosen = " + ".join(f"#{n}" for n in course.choice.members)
        kind = "network" if len(course.choice.members) == 1 else "ensemble"
        return f"Chosen: {kind} {chosen}, fitness {course.choice.fitness:.2f} ± {course.choice.error:.2f}"
    return f"Best so far: {course.best[-1].fitness:.2f}" if course.best else "No network judged yet"
