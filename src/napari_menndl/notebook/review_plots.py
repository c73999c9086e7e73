"""Figures of what networks found on frames: one frame, four panels with the Fourier method, a map of all errors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import dask.array as da
import numpy as np
from dask.delayed import delayed
from matplotlib.ticker import MaxNLocator

from napari_menndl.annotation.classes import COLOURS
from napari_menndl.annotation.fourier_tuning import tune_fourier_method
from napari_menndl.movie.reading import open_movie
from napari_menndl.notebook.style import new_figure
from napari_menndl.review.compare import renumbered
from napari_menndl.review.outcomes import COLOURS as OUTCOME_COLOURS
from napari_menndl.review.outcomes import FOUND, OUTCOMES, WORDS
from napari_menndl.review.panels import (
    BACKGROUND,
    FAINT,
    INK,
    OUTCOME_KEY,
    Key,
    Panel,
    counted,
    draw_panels,
    expert_panel,
    reviewed_panel,
)
from napari_menndl.review.picture import PictureRow, draw_four_panels
from napari_menndl.review.review import Review

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.annotation.fourier import FourierMethod
    from napari_menndl.figure import Picture
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.run import Run

#: Number of maps beside each other.
_ACROSS = 3
#: Colours by outcome, in the order in which they are drawn: errors over what was found.
_OUTCOMES = {name: OUTCOME_COLOURS[value] for value, name in OUTCOMES.items()}


def plot_frame(
    movie: Any, prediction: Prediction | None, annotation: Annotation | None, t: int, name: str = "Network"
) -> Picture:
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
        reviewed = Review.of(prediction, annotation, frames=[t]).compare(t)
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


def plot_four_panels(
    run: Run,
    movie: Any,
    annotation: Annotation,
    frames: Sequence[int] | None = None,
    fourier: FourierMethod | None = None,
) -> Picture:
    """Plot frames beside the expert's defects, the Fourier method and the answer of a search.

    Parameters
    ----------
    run : Run
        With a network that can predict.
    movie : path, array (T, Y, X) or Movie
    annotation : Annotation
        Of that movie.
    frames : sequence of int, optional
        Annotated frames, a row each; by default the first and the last that the search has not learned from.
    fourier : FourierMethod, optional
        By default one whose settings are tuned on the first labelled frame of the search, for all classes: seconds.

    Returns
    -------
    matplotlib.figure.Figure
        Found defects are white, false ones purple, missed ones orange.

    Raises
    ------
    InputError
        If the search has no network yet, or annotation and movie do not belong together.
    """
    prediction, task = run.predict(movie), run.task
    shown = cast("Movie", prediction.movie)  # it was just opened
    learned = task.origin.frames if task.origin else ()
    if frames is None:
        known = [t for t in range(min(len(shown), len(annotation))) if annotation.known(t).any()]
        others = [t for t in known if t not in learned] or known
        frames = list(dict.fromkeys((*others[:1], *others[-1:])))
    network = Review.of(prediction, annotation, frames=frames)
    if fourier is None:
        rng = np.random.default_rng(run.settings.seed)
        fourier = tune_fourier_method(task.frames[0], task.labels[0], task.known[0], task.match_rules, rng=rng)
    baseline = Review.of(_fourier_labels(fourier, shown, task.class_names, annotation), annotation, frames=frames)
    rows = [
        PictureRow(
            shown.frame(t),
            annotation.frame(t),
            baseline.compare(t),
            network.compare(t),
            f"frame {t}, which the search learned from" if t in learned else f"frame {t}",
        )
        for t in network.frames
    ]
    return draw_four_panels(rows, pixel_size=shown.pixel_size)


def plot_errors(review: Review) -> Picture:
    """Plot where in the frame, and in which frames, defects were found, made up and missed.

    Parameters
    ----------
    review : Review

    Returns
    -------
    matplotlib.figure.Figure
        A map per class, with the defects of all reviewed frames over each other: found white, false purple, missed
        orange; and their numbers over the frames.
    """
    table = review.defects[review.defects["outcome"].isin(_OUTCOMES)]
    height, width = review.compare(review.frames[0]).colours.shape
    scale, unit = _pixel_size(review.defects)
    names = review.class_names
    across = min(_ACROSS, len(names) + 1)
    rows = math.ceil((len(names) + 1) / across)
    extent = (width * scale[1], height * scale[0])
    title = f"Errors of {len(review.frames)} reviewed frame{'s' * (len(review.frames) != 1)}"
    figure = new_figure(4.0 * across, (3.6 * min(1.6, height / width) + 0.9) * rows + 0.7, title)
    figure.set_facecolor(BACKGROUND)
    figure.suptitle(title, fontsize=13, color=INK, x=0.01, ha="left")
    axes = list(figure.subplots(rows, across, squeeze=False).flat)
    for axis, name in zip(axes, names, strict=False):
        _map(axis, table[table["class"] == name], scale)
        axis.set_title(name, color=INK, fontsize=12, loc="left")
        axis.set(xlim=(0, extent[0]), ylim=(extent[1], 0), aspect="equal", xlabel=f"x [{unit}]", ylabel=f"y [{unit}]")
    _over_frames(axes[len(names)], table, review.frames)
    for axis in axes[len(names) + 1 :]:
        axis.set_visible(False)
    for axis in axes:
        axis.set_facecolor(BACKGROUND)
        axis.tick_params(colors=FAINT)
        axis.spines[:].set_color("#4a4a52")
        axis.xaxis.label.set_color(FAINT)
        axis.yaxis.label.set_color(FAINT)
    handles, _ = axes[len(names)].get_legend_handles_labels()
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, labelcolor=INK, fontsize=11)
    return figure


def _map(axis: Axes, table: pd.DataFrame, scale: tuple[float, float]) -> None:
    for outcome, colour in _OUTCOMES.items():
        those = table[table["outcome"] == outcome]
        size = 14 if outcome == FOUND else 30
        axis.scatter((those["x"] + 0.5) * scale[1], (those["y"] + 0.5) * scale[0], s=size, color=colour, alpha=0.8)


def _over_frames(axis: Axes, table: pd.DataFrame, frames: Sequence[int]) -> None:
    for outcome, colour in _OUTCOMES.items():
        counts = table.loc[table["outcome"] == outcome, "frame"].value_counts()
        marker = "o" if len(frames) <= 30 else ""
        numbers = [int(counts.get(t, 0)) for t in frames]
        axis.plot(frames, numbers, color=colour, label=WORDS[outcome], marker=marker, markersize=5)
    axis.set_title("all classes", color=INK, fontsize=12, loc="left")
    axis.set(xlabel="frame", ylabel="number of defects")
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))


def _pixel_size(table: pd.DataFrame) -> tuple[tuple[float, float], str]:
    """Return the size (y, x) of a pixel and its unit: nm as the table has it, else pixels."""
    sizes = [float((table[f"{axis}_nm"] / table[axis].where(table[axis] > 0)).median()) for axis in ("y", "x")]
    if any(math.isnan(size) for size in sizes):
        return (1.0, 1.0), "px"
    return (sizes[0], sizes[1]), "nm"


def _fourier_labels(method: FourierMethod, movie: Movie, classes: Sequence[str], annotation: Annotation) -> da.Array:
    """Return the labels (T, Y, X) of the Fourier method in the annotation's classes, computed frame by frame."""

    def labels(t: int) -> NDArray[np.uint8]:
        return renumbered(method.labels(movie.frame(t)), classes, annotation.class_names)

    lazy = delayed(labels, pure=False)
    count, *shape = movie.shape
    return da.stack([da.from_delayed(lazy(t), tuple(shape), np.uint8) for t in range(count)])
