"""Demo on a simulated movie: search, then a comparison of all methods on frames that none was trained on."""

from __future__ import annotations

import subprocess
import time
import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.fourier_tuning import tune_fourier_method
from napari_menndl.api import compare, run_search, train_alike
from napari_menndl.errors import Failure, InputError
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.interpreter import python_command, python_environment
from napari_menndl.movie.neighbours import read_frame
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.notebook.terminal import SearchProgress
from napari_menndl.predict.prediction import Prediction
from napari_menndl.progress import number
from napari_menndl.review.picture import PictureRow, four_panel
from napari_menndl.search.facts import Born
from napari_menndl.search.views.messages import rates
from napari_menndl.simulation.simulate import SimulatedMovie, simulate_movie
from napari_menndl.views import has_screen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray
    from rich.console import Console

    from napari_menndl.annotation.fourier import FourierMethod
    from napari_menndl.genome.genome import Genome
    from napari_menndl.review.review import Review
    from napari_menndl.run import Run

#: Number of frames of the demo's movie (frame 0 is labelled), the frames in the picture, number of frames of the fresh
#: area.
FRAMES, SHOWN, FRESH = 12, (6, 11), 3
FOURIER, BY_HAND, FIRST, EVOLVED = "Fourier method", "hand-designed FCN", "best of first population", "evolved"


@dataclass(frozen=True)
class Scored:
    """Scores of one method: a row of the table.

    Attributes
    ----------
    name : str
    later, fresh : Review
        On the later frames of the movie, and on an area that no method was trained on.
    parameters : int or None
        None for the Fourier method.
    milliseconds : float
        Median time per frame [ms].
    """

    name: str
    later: Review
    fresh: Review
    parameters: int | None
    milliseconds: float

    def row(self) -> dict[str, Any]:
        """Return the scores as plain numbers."""
        row: dict[str, Any] = {"method": self.name}
        for place, review, scope in (("later frames", self.later, "later"), ("fresh area", self.fresh, "all")):
            total = review.summary()["scores"][scope]["all"]
            for title, key in (("defect F1", "f1"), ("AP", "average_precision"), ("pixel F1", "pixel_f1")):
                row[f"{place} {title}"] = total[key]
        return row | {"parameters": self.parameters, "ms per frame": self.milliseconds}


def run_demo(folder: Path, *, budget: str, seed: int, window: bool, console: Console) -> pd.DataFrame:
    """Simulate a movie, search on it, compare the methods, and write tables and a picture.

    Parameters
    ----------
    folder : Path
        Where all files are written.
    budget : str
        Budget of the search.
    seed : int
        Seed of the search; the movie is always the same.
    window : bool
        Open the result in napari if there is a screen.
    console : rich.console.Console

    Returns
    -------
    DataFrame
        One row per method.
    """
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    run_path = _unused(folder)
    console.rule("A STEM movie of Mo-doped WS2, simulated; frame 0 is labelled")
    movie, fresh = simulate_movie(FRAMES), simulate_movie(FRESH, area_seed=1)
    write_movie(movie.movie, folder / "movie.tif", overwrite=True)
    truth = Annotation.from_simulation(movie)
    truth.note(open_movie(folder / "movie.tif"))
    truth.save(folder / "movie.annotation.zarr")
    console.rule("Search")
    with SearchProgress(console) as shown:
        run = run_search(
            folder / "movie.tif",
            Annotation.from_simulation(movie, frames=[0]),
            budget=budget,
            run=run_path,
            seed=seed,
            progress=shown.update,
            **DEMO_SETTINGS,
        )
    console.rule("The same training for a hand-designed network and the best of the first population")
    by_hand = {BY_HAND: FOUNDERS["dilated_fcn"](), FIRST: first_population_best(run)}
    networks: dict[str, Any] = train_alike(run, by_hand)
    for name in [name for name, network in networks.items() if isinstance(network, Failure)]:
        console.print(f"{name}: not compared, as its training failed: {networks.pop(name)}", style="yellow")
    task = run.task
    fourier = tune_fourier_method(
        task.frames[0], task.labels[0], task.known[0], task.match_rules, rng=np.random.default_rng(seed)
    )
    scored = [_score_fourier(fourier, movie, fresh)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # what is warned of is scored, and these are not the answer
        scored += [_score_network(name, network, movie, fresh) for name, network in networks.items()]
    scored.append(_score_network(EVOLVED, run.best, movie, fresh))
    table = pd.DataFrame([one.row() for one in scored])
    table.to_csv(folder / "comparison.csv", index=False)
    _draw(folder / "picture.png", movie, scored[0].later, scored[-1].later)
    scored[-1].later.to_csv(folder / "defects.csv")
    console.print(comparison_table(table))
    console.print(rates(run.status()), style="dim")
    console.print(f"Wrote {folder}/picture.png, comparison.csv and defects.csv in {time.monotonic() - began:.0f} s.")
    if window:
        _open_window(folder, run_path, console)
    return table


#: Settings of the demo's search, which takes a few minutes on two cores.
DEMO_SETTINGS: dict[str, Any] = {}


def _unused(folder: Path) -> Path:
    """Return the first run folder that does not exist yet, so that an earlier result is never overwritten."""
    return next(p for n in range(1, 10_000) if not (p := folder / f"search-{n}.menndl").exists())


def first_population_best(run: Run) -> Genome:
    """Return the best network without parents, by its fitness in the search.

    Raises
    ------
    InputError
        If none of them has a fitness.
    """
    born = {fact.id: fact for fact in run.folder.facts() if isinstance(fact, Born) and not fact.parents}
    last = {n: one.fitness for n, one in run.evaluations() if n in born and one.fitness is not None}
    if not last:
        raise InputError("a network of the first population with a fitness", "none", "Search longer.")
    return born[max(last, key=lambda n: (last[n], -n))].candidate.genome


def _score_network(name: str, network: Any, movie: SimulatedMovie, fresh: SimulatedMovie) -> Scored:
    later = compare(
        Prediction(network, movie.movie), Annotation.from_simulation(movie), labelled=0, events=movie.events
    )
    other = compare(Prediction(network, fresh.movie), Annotation.from_simulation(fresh))
    members = getattr(network, "members", (network,))
    parameters = sum(member.plan.parameters for member in members)
    frame = read_frame(movie.movie, 1, network.reach)
    predict = partial(network.predict_frame, frame, pixel_size=movie.movie.pixel_size)
    return Scored(name, later, other, parameters, _milliseconds(predict))


def _score_fourier(method: FourierMethod, movie: SimulatedMovie, fresh: SimulatedMovie) -> Scored:
    reviews = []
    for simulated, options in ((movie, {"labelled": 0, "events": movie.events}), (fresh, {})):
        frames = [simulated.movie.frame(t) for t in range(len(simulated.movie))]
        labels: NDArray[np.uint8] = np.stack([method.labels(frame) for frame in frames])
        chances = np.stack([method.probabilities(frame) for frame in frames])
        truth = Annotation.from_simulation(simulated)
        reviews.append(compare(labels, truth, probabilities=chances, **options))
    predict = partial(method.probabilities, movie.movie.frame(1))
    return Scored(FOURIER, reviews[0], reviews[1], None, _milliseconds(predict))


def _milliseconds(predict: Callable[[], Any]) -> float:
    times = []
    for _ in range(5):
        began = time.perf_counter()
        predict()
        times.append(1e3 * (time.perf_counter() - began))
    return float(np.median(times))


def _draw(path: Path, movie: SimulatedMovie, fourier: Review, network: Review) -> None:
    rows = [
        PictureRow(movie.movie.frame(t), movie.labels[t], fourier.compare(t), network.compare(t), f"frame {t}")
        for t in SHOWN
    ]
    four_panel(rows, path, pixel_size=movie.movie.pixel_size, title="Learned from frame 0 of a simulated WS2 movie")


def comparison_table(table: pd.DataFrame) -> Table:
    """Return the comparison for a terminal."""
    shown = Table(box=box.SIMPLE, pad_edge=False)
    for name in table.columns:
        shown.add_column(name, justify="left" if name == "method" else "right")
    for row in table.itertuples(index=False):
        name, *scores, parameters, milliseconds = row
        size = "–" if pd.isna(parameters) else f"{parameters:,.0f}"
        shown.add_row(str(name), *(number(one) for one in scores), size, f"{milliseconds:.0f}")
    return shown


def _open_window(folder: Path, run: Path, console: Console) -> None:
    """Show the result in napari, in a separate process, and wait until it is closed."""
    if not has_screen():
        console.print("No screen here; with one, this ends in napari.")
        return
    paths = [str(folder / "movie.tif"), str(folder / "movie.annotation.zarr"), str(run)]
    command = python_command("napari_menndl.widgets.open", *paths, "--frame", str(SHOWN[0]))
    subprocess.run(command, env=python_environment(), check=False)
