"""Commands on movies: demo, simulate, predict, compare."""

# No postponed annotations: typer makes the options from the evaluated types.

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from napari_menndl.cli.arguments import (
    MOVIE_HELP,
    AsJson,
    NetworkArgument,
    PixelSize,
    Signal,
    Thresholds,
    open_as_asked,
    read_thresholds,
)
from napari_menndl.cli.options import settings_options
from napari_menndl.cli.terminal import echo, err, measuring_drift, out, report_errors, scores_table
from napari_menndl.errors import InputError
from napari_menndl.files import named
from napari_menndl.metrics.scores import never_predicted
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.sample import Sample

if TYPE_CHECKING:
    import pandas as pd

    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.trained import TrainedNetwork


def demo(
    to: Annotated[
        Path, typer.Option("--out", help="Folder for the movie, the run, the pictures and the table.")
    ] = Path("demo-output"),
    budget: Annotated[str, typer.Option(help="When to stop searching.")] = "180s",
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    window: Annotated[bool, typer.Option(help="End in napari where there is a screen.")] = True,
) -> None:
    """Search on a simulated WS2 movie; show the defects of later frames in white, purple and orange."""
    from napari_menndl.cli.demo import run_demo

    with report_errors():
        run_demo(to, budget=budget, seed=seed, window=window, console=out)


@settings_options(Sample, Acquisition)
def simulate(
    to: Annotated[Path, typer.Argument(help="Where to write: movie.tif or movie.zarr; the annotation goes beside it.")],
    settings: dict[str, Any],
    frames: Annotated[int, typer.Option(help="Number of frames.", min=1)] = 20,
    size: Annotated[int, typer.Option(help="Height and width of a frame [px].", min=16)] = 256,
    snr: Annotated[
        float | None, typer.Option(help="Signal-to-noise ratio of a single S vacancy, reached by the dose.")
    ] = None,
    area_seed: Annotated[int, typer.Option(help="Another number is a fresh area.", min=0)] = 0,
    noise_seed: Annotated[int, typer.Option(help="Another number is the same area, recorded again.", min=0)] = 0,
) -> None:
    """Simulate a STEM movie of Mo-doped WS2 with defects that grow, and its true annotation."""
    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.movie.reading import open_movie
    from napari_menndl.movie.writing import write_movie
    from napari_menndl.simulation.simulate import simulate_movie

    with report_errors():
        simulated = simulate_movie(
            frames,
            (size, size),
            snr=snr,
            area_seed=area_seed,
            noise_seed=noise_seed,
            sample=Sample(**{k: v for k, v in settings.items() if k in Sample.__dataclass_fields__}),
            acquisition=Acquisition(**{k: v for k, v in settings.items() if k in Acquisition.__dataclass_fields__}),
        )
        write_movie(simulated.movie, to)
        beside = to.with_name(to.stem + ".annotation.zarr")
        truth = Annotation.from_simulation(simulated)
        truth.note(open_movie(to))
        truth.save(beside)
        simulated.events.to_csv(to.with_name(to.stem + ".events.csv"), index=False)
        echo(f"Wrote {to}, {beside.name} and {to.stem}.events.csv (S vacancy SNR {simulated.snr:.1f})")


def predict(
    network: NetworkArgument,
    movies: Annotated[list[Path], typer.Argument(metavar="MOVIE...", help=f"{MOVIE_HELP} Of several: one table.")],
    to: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Zarr folder for probabilities and labels; defects go beside it as CSV. "
            "Of several movies: a folder, for a zarr of each and the table of all.",
        ),
    ],
    pixel_size: PixelSize = None,
    signal: Signal = None,
    threshold: Thresholds = None,
    pool: Annotated[
        str | None,
        typer.Option(help="Who predicts: local, tcp://127.0.0.1:8786, ssh:HOSTS, …; left out: this process."),
    ] = None,
    anew: Annotated[
        bool, typer.Option("--anew", help="Replace the prediction of another movie or network that stands at --out.")
    ] = False,
    agreement: Annotated[
        bool,
        typer.Option(
            "--agreement", help="Say of each defect how far the ensemble's networks agree; takes as long again."
        ),
    ] = False,
) -> None:
    """Apply a search's best network, or a saved one, to whole movies; begun again, it goes on where it stopped."""
    from napari_menndl.opening import at_thresholds, open_network
    from napari_menndl.predict.several import TABLE, DefectTable, places_for

    with report_errors():
        opened = at_thresholds(open_network(network), read_thresholds(threshold))
        if words := never_predicted(opened.class_names, opened.thresholds):
            echo(words)
        several = len(movies) > 1
        to = to if several else named(to, "the prediction")
        table = DefectTable(to / TABLE if several else to.with_name(to.stem + ".defects.csv"), several)
        wrong: list[tuple[Path, Exception]] = []
        for movie, place in zip(movies, places_for(movies, to), strict=True):
            try:
                shown = open_as_asked(movie, pixel_size, signal)
                defects, lacking, problem = _predict_one(opened, shown, place, pool, anew, agreement)
            except (InputError, OSError) as error:
                wrong.append((movie, error))
                continue
            table.add(str(movie), defects)
            echo(f"Wrote {place} and {table.path.name}{lacking}")
            if problem:
                wrong.append((movie, problem))
        if wrong and not several:
            raise wrong[0][1]
        if wrong:
            for movie, why in wrong:
                err.print("[bold red]Error[/]", escape(f"{movie}: {why}"), highlight=False, soft_wrap=True)
            names = ", ".join(str(movie) for movie, _ in wrong)
            raise InputError(
                f"{len(movies)} movies that can be predicted",
                f"{len(wrong)} that could not, or not in whole: {names}",
                "Put them right and predict again into the same folder: it goes on where it stopped.",
            )


def _predict_one(
    network: "TrainedNetwork | Ensemble", movie: "Movie", place: Path, pool: str | None, anew: bool, agreement: bool
) -> tuple["pd.DataFrame", str, InputError | None]:
    """Predict a movie to a path; return its defects, the missing frames in words, and the error that caused them."""
    from rich.progress import Progress

    from napari_menndl.predict.several import predict_movie, prediction_of

    with measuring_drift() as progress:
        prediction = prediction_of(network, movie, progress)
    with Progress(console=out) as bar:
        task = bar.add_task(f"Predicting {movie.name}", total=len(prediction))
        defects, frames, problem = predict_movie(
            prediction,
            place,
            lambda done, total: bar.update(task, completed=done, total=total),
            pool=pool,
            anew=anew,
            agreement=agreement,
        )
    return defects, f", with {frames} of {len(prediction)} frames" if problem else "", problem


def compare(
    prediction: Annotated[Path, typer.Argument(help="What `predict` wrote, or a second expert's annotation.")],
    annotation: Annotated[Path, typer.Argument(help="The annotation to compare with.")],
    labelled: Annotated[
        int | None, typer.Option(help="Frame learned from: defects born after it are scored apart.")
    ] = None,
    frames: Annotated[
        str | None, typer.Option(help="Only these frames, as in 3,5-9; left out: all that are annotated.")
    ] = None,
    ignore: Annotated[
        int | None, typer.Option(help="Label images: the value of pixels that were not looked at, often 255.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a prediction, or a second annotation, against an annotation: per class, per frame, overall."""
    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.annotation.files import is_label_image
    from napari_menndl.api import compare as compare_api
    from napari_menndl.api import open_prediction_or_annotation
    from napari_menndl.errors import InputError
    from napari_menndl.search.frame_numbers import parse_frames

    with report_errors():
        if ignore is not None and not (is_label_image(prediction) or is_label_image(annotation)):
            raise InputError("a label image with --ignore", f"{prediction} and {annotation}", "Leave out --ignore.")
        found: Any = open_prediction_or_annotation(prediction, ignore)
        truth = Annotation.open(annotation, ignore=ignore if is_label_image(annotation) else None)
        chosen = None if frames is None else parse_frames(frames, min(len(found), len(truth)))
        review = compare_api(found, truth, labelled=labelled, frames=chosen)
        if as_json:
            print(json.dumps(review.summary()))
        else:
            out.print(scores_table(review.scores))
