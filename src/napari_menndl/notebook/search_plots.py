"""Figures of the networks of a search: population, Pareto front, lineage, genes."""

from __future__ import annotations

import math
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from napari_menndl.errors import InputError
from napari_menndl.notebook.style import (
    BELOW,
    BEST,
    FAILED,
    FITNESS,
    INK,
    MEDIAN,
    STAR,
    new_figure,
    rung_colour,
    rung_words,
    tidy,
)
from napari_menndl.search.views.curves import BIRTHS as CURVE_BIRTHS
from napari_menndl.search.views.curves import FITNESS as CURVE_FITNESS
from napari_menndl.search.views.lineage import lineage
from napari_menndl.search.views.networks import (
    ORIGIN_KINDS,
    network_table,
    origin_kind,
    pareto_front,
    population_through_time,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from napari_menndl.figure import Picture
    from napari_menndl.run import Run
    from napari_menndl.search.views.lineage import Step
    from napari_menndl.search.views.monitor import RunSnapshot

#: Colours of networks by how they were made.
_ORIGINS = dict(zip(ORIGIN_KINDS, ("#222222", "#b0a27a", "#2c6aa8", "#3fae9c", "#9a5b2d"), strict=True))
#: Costs to plot against: the column of the table, and the axis.
_COSTS = {"latency": "time to predict [ms per megapixel]", "parameters": "trained parameters"}
#: Number of births of a lineage that are drawn; of a longer one the first and the latest.
_BIRTHS = 24
#: Number of characters of what made a network.
_LETTERS = 64
#: Width and height of a network's number [px].
_NUMBER = (34, 15)
#: Number of genes that are drawn, and of different values from which a gene has an axis of numbers.
_GENES, _FEW = 12, 5
#: Ratio of largest to smallest value from which an axis is logarithmic.
_WIDE = 30.0


def plot_population(run: Run) -> Picture:
    """Plot who was in the population, with what fitness, while networks were born.

    Parameters
    ----------
    run : Run
        Running, stopped or finished.

    Returns
    -------
    matplotlib.figure.Figure
        A line for each time that a network was among the possible parents, at its fitness, in the colour of how it was
        made; the median of the population.
    """
    members = population_through_time(run.folder.facts(), run.folder.space)
    snapshot = run.folder.monitor().snapshot(math.inf)
    figure = new_figure(9.0, 4.6, f"Possible parents: a population of at most {run.settings.population}")
    axis = figure.subplots()
    for kind, colour in _ORIGINS.items():
        those = [one for one in members if one.origin == kind]
        if those:
            lines = [((one.since, one.fitness), (one.until, one.fitness)) for one in those]
            axis.add_collection(LineCollection(lines, colors=colour, linewidths=2.0, alpha=0.8))
            axis.scatter(
                [one.since for one in those], [one.fitness for one in those], s=16, color=colour, zorder=3, label=kind
            )
    median = snapshot.curves["median"]
    x, y = [*median[:, CURVE_BIRTHS], snapshot.births], [*median[:, CURVE_FITNESS], *median[-1:, CURVE_FITNESS]]
    if len(median):
        axis.step(x, y, where="post", color=INK, linewidth=1.4, linestyle=":", zorder=4, label="median")
    axis.set(xlim=(0, max(snapshot.births, 1) * 1.04), ylim=(-0.07, 1.0), xlabel="networks born", ylabel=FITNESS)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axis)
    _legend(figure, axis)
    return figure


def plot_pareto(run: Run, cost: str = "latency") -> Picture:
    """Plot the fitness of every network against its cost, with the Pareto front: none other is better and cheaper.

    Parameters
    ----------
    run : Run
        Running, stopped or finished.
    cost : str
        ``"latency"``, the time to predict a megapixel on the device on which it was trained, or ``"parameters"``.

    Returns
    -------
    matplotlib.figure.Figure
        A dot per network at its highest rung, in the colour of that rung; the networks of the front with their numbers;
        a star for the members of the answer.

    Raises
    ------
    InputError
        For another cost.
    """
    if cost not in _COSTS:
        raise InputError(f"a cost among {', '.join(_COSTS)}", repr(cost), "Correct the name.")
    table = _judged(run)
    snapshot = run.folder.monitor().snapshot(math.inf)
    pixels = [rung.pixels for rung in run.settings.ladder]
    figure = new_figure(8.0, 4.8, "Better or cheaper")
    axis = figure.subplots()
    front = table.iloc[pareto_front(table[cost], table["fitness"])]
    for rung in sorted(table["rung"].unique()):
        those = table[table["rung"] == rung]
        words, colour = rung_words(pixels, int(rung)), rung_colour(int(rung))
        axis.scatter(those[cost], those["fitness"], s=28, color=colour, zorder=3, label=words)
    if len(front):
        axis.step(front[cost], front["fitness"], where="post", color=BEST, linewidth=1.8, label="Pareto front")
    members = [one.id for one in snapshot.answer.members] if snapshot.answer else []
    stars = table[table["id"].isin(members)]
    if len(stars):
        words = "member of the answer" if len(stars) > 1 else "answer"
        style: dict[str, Any] = {"marker": "*", "s": 190, "color": STAR, "edgecolors": INK, "zorder": 4}
        axis.scatter(stars[cost], stars["fitness"], label=words, **style)
    _scale(axis, table[cost])
    devices = sorted({one for one in table["device"] if one}) if cost == "latency" else []
    axis.set(
        xlabel=_COSTS[cost] + (f", on {' and '.join(devices)}" if devices else ""), ylabel=FITNESS, ylim=(-0.07, 1.0)
    )
    tidy(axis)
    _number(axis, front, cost)
    _legend(figure, axis)
    return figure


def plot_lineage(run: Run, network: int | None = None) -> Picture:
    """Plot how a network came about: its ancestors, what each birth changed, and what was gained by it.

    Parameters
    ----------
    run : Run
        Running, stopped or finished.
    network : int, optional
        Its number; by default the best member of the answer, or the best network as long as there is no answer.

    Returns
    -------
    matplotlib.figure.Figure
        The founder on top, the network at the bottom, each at its fitness; of two parents the first is followed.

    Raises
    ------
    InputError
        If there is no such network, or none yet.
    """
    monitor = run.folder.monitor()
    snapshot = monitor.snapshot(math.inf)
    if network is None:
        network = _best_network(snapshot)
    steps = lineage(monitor.reader, network)[::-1]
    left_out = max(0, len(steps) - _BIRTHS)
    shown = [steps[0], *steps[1 + left_out :]] if left_out else steps
    born = f"{len(steps)} births" if len(steps) > 1 else "no ancestors"
    figure = new_figure(11.0, 1.6 + 0.34 * len(shown), f"Lineage of network {network}: {born}")
    curve, words = figure.subplots(1, 2, sharey=True, width_ratios=(1.0, 1.35))
    known = [(one.fitness, row) for row, one in enumerate(shown) if one.fitness is not None]
    if known:
        curve.plot(*zip(*known, strict=True), color=MEDIAN, linewidth=1.2)
    for row, step in enumerate(shown):
        failed = step.fitness is None
        style: dict[str, Any] = (
            {"marker": "x", "color": FAILED} if failed else {"s": 46, "color": _ORIGINS[origin_kind(step.origin)]}
        )
        curve.scatter([BELOW if failed else step.fitness], [row], zorder=3, **style)
        gain = "" if step.gained is None else f"{step.gained:+.3f}".replace("-", "−")
        colour = MEDIAN if not step.gained else BEST if step.gained > 0 else FAILED
        words.text(0.0, row, f"#{step.id}", va="center", fontsize=10, color=INK)
        words.text(0.17, row, gain, va="center", ha="right", fontsize=10, color=colour)
        words.text(0.2, row, shorten(_change(step), _LETTERS, placeholder=" …"), va="center", fontsize=10, color=INK)
    if left_out:
        words.text(0.2, 0.5, f"… {left_out} births between them …", va="center", fontsize=9, color=MEDIAN)
    words.text(0.0, -1, "network", va="center", fontsize=9, color=MEDIAN)
    words.text(0.17, -1, "gain", va="center", ha="right", fontsize=9, color=MEDIAN)
    words.text(0.2, -1, "made by", va="center", fontsize=9, color=MEDIAN)
    words.axis("off")
    curve.set(xlim=(-0.07, 1.0), ylim=(len(shown) - 0.4, -1.5), yticks=[], xlabel=FITNESS)
    tidy(curve, "x")
    curve.spines["left"].set_visible(False)
    figure.supxlabel(
        "gain: over the first parent, both trained equally long", fontsize=9, color=MEDIAN, x=0.99, ha="right"
    )
    return figure


def plot_genes(run: Run, genes: Sequence[str] | None = None) -> Picture:
    """Plot the fitness of all networks against their genes.

    Fitness is that at the first rung, where all networks are trained equally long. The networks were bred, not drawn at
    random, so that genes go together: a relation is no proof that a gene matters; `train_alike` compares networks that
    differ in one.

    Parameters
    ----------
    run : Run
        Running, stopped or finished.
    genes : sequence of str, optional
        Titles, as in the columns of `gene_row`; by default the twelve to which fitness is related most closely.

    Returns
    -------
    matplotlib.figure.Figure
        One axis per gene, a dot per network in the colour of how it was made, and failed networks below; with a rank
        correlation (Spearman's ρ) where a gene is a number.

    Raises
    ------
    InputError
        If there is no such gene, or no network was judged yet.
    """
    table = network_table(run.folder.facts(), len(run.task.class_names))
    columns = list(table.columns)
    known = columns[columns.index("failure") + 1 :] if columns else []
    if not known:
        raise InputError("a search with a result", f"no network judged in {run.path}", "Let it run longer.")
    if genes is not None and (unknown := [one for one in genes if one not in known]):
        raise InputError(f"genes among {', '.join(known)}", ", ".join(unknown), "Correct the name.")
    varied = [one for one in known if table[one].nunique() > 1]
    shown = sorted(varied, key=lambda one: -_relation(table, one))[:_GENES] if genes is None else list(genes)
    across = min(4, max(1, len(shown)))
    rows = max(1, math.ceil(len(shown) / across))
    words = f"{len(shown)} of {len(varied)} genes that differ" if genes is None else f"{len(shown)} genes"
    title = f"Genes of {len(table)} networks and their fitness at the first rung: {words}"
    figure = new_figure(3.1 * across, 2.6 * rows + 0.9, title)
    axes = figure.subplots(rows, across, sharey=True, squeeze=False)
    for axis in axes.flat[len(shown) :]:
        axis.set_visible(False)
    for axis, gene in zip(axes.flat, shown, strict=False):
        _plot_gene(axis, table, gene)
    for axis in axes[:, 0]:
        axis.set_ylabel("fitness")
    kinds = [kind for kind in ORIGIN_KINDS if any(table["origin"].map(origin_kind) == kind)]
    handles = [Line2D([], [], marker="o", linestyle="", color=_ORIGINS[kind], label=kind) for kind in kinds]
    if table["newborn"].isna().any():
        handles.append(Line2D([], [], marker="x", linestyle="", color=FAILED, label="failed network"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=10)
    return figure


def _plot_gene(axis: Axes, table: pd.DataFrame, gene: str) -> None:
    """Plot fitness over one gene: over numbers, or over its values side by side where they are few or words."""
    values, fitness = table[gene], table["newborn"]
    numeric = pd.api.types.is_numeric_dtype(values)
    title = gene
    if numeric and values.nunique() > _FEW:
        x = values.to_numpy(float)
        _scale(axis, values)
        axis.xaxis.get_major_locator().set_params(**({} if axis.get_xscale() == "log" else {"nbins": 4}))
    else:
        names = sorted(values.dropna().unique())
        places = values.map({name: float(place) for place, name in enumerate(names)}).to_numpy(float)
        # Beside each other, in the order of birth, so that equal values can be told apart.
        x = places + np.linspace(-0.28, 0.28, len(table))
        words = [f"{name:.3g}" if numeric else str(name).replace(" + ", " +\n") for name in names]
        axis.set_xticks(range(len(names)), words)
        if not numeric and len(names) > 2:
            axis.tick_params(axis="x", labelsize=8)
        axis.set_xlim(-0.6, len(names) - 0.4)
    failed = fitness.isna()
    axis.scatter(
        x[~failed], fitness[~failed], s=16, c=table["origin"][~failed].map(origin_kind).map(_ORIGINS), zorder=3
    )
    axis.scatter(x[failed], np.full(failed.sum(), BELOW), s=20, marker="x", color=FAILED, zorder=3)
    if numeric and (rho := _spearman(values, fitness)) is not None:
        axis.set_title(f"ρ = {rho:+.2f}".replace("-", "−"), fontsize=9, color=MEDIAN, loc="right")
    axis.set(xlabel=title, ylim=(-0.07, 1.0))
    tidy(axis)


def _relation(table: pd.DataFrame, gene: str) -> float:
    """Return how closely fitness is related to a gene, from 0 to 1: by ranks, or by the means of its values."""
    values, fitness = table[gene], table["newborn"]
    if pd.api.types.is_numeric_dtype(values):
        return abs(_spearman(values, fitness) or 0.0)
    ranks = fitness.rank()
    total = float(ranks.var())
    between = float(ranks.groupby(values).transform("mean").var())
    return math.sqrt(between / total) if total > 0 else 0.0


def _spearman(values: pd.Series[float], fitness: pd.Series[float]) -> float | None:
    """Return the rank correlation; None for fewer than five networks or equal values."""
    both = values.notna() & fitness.notna()
    if both.sum() < 5 or values[both].nunique() < 2 or fitness[both].nunique() < 2:
        return None
    return float(values[both].rank().corr(fitness[both].rank()))


def _judged(run: Run) -> pd.DataFrame:
    """Return the networks with a fitness, at least one."""
    table = network_table(run.folder.facts(), len(run.task.class_names))
    judged = table.dropna(subset="fitness") if len(table) else table
    if not len(judged):
        raise InputError("a search with a result", f"no network judged in {run.path}", "Let it run longer.")
    return judged


def _best_network(snapshot: RunSnapshot) -> int:
    if snapshot.answer and snapshot.answer.members:
        return max(snapshot.answer.members, key=lambda one: one.fitness).id
    if snapshot.best is None:
        raise InputError("a search with a result", "no network judged yet", "Let it run longer.")
    return snapshot.best.id


def _change(step: Step) -> str:
    """Return what made a network, with the second parent of a crossover."""
    return f"crossover with #{step.parents[1]}" if len(step.parents) > 1 else step.origin


def _scale(axis: Axes, values: pd.Series[float]) -> None:
    """Make the axis of x logarithmic where positive values differ much."""
    low, high = float(values.min()), float(values.max())
    if low > 0 and high / low > _WIDE:
        axis.set_xscale("log")


def _number(axis: Axes, front: pd.DataFrame, cost: str) -> None:
    """Write the number of each network of the front above it at the left, where no other network can be.

    The fittest come first; a number that would cover another is left out.
    """
    axis.get_xlim()  # matplotlib fits the axis when it is asked for it
    numbered: list[NDArray[np.float64]] = []
    for network, x, y in zip(front["id"][::-1], front[cost][::-1], front["fitness"][::-1], strict=True):
        place = axis.transData.transform((x, y))
        if all((np.abs(place - other) > _NUMBER).any() for other in numbered):
            axis.annotate(
                f"#{network}",
                (x, y),
                xytext=(-3, 4),
                textcoords="offset points",
                ha="right",
                fontsize=8.5,
                color=INK,
            )
            numbered.append(place)


def _legend(figure: Picture, axis: Axes) -> None:
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
