"""The command line: ``napari-menndl``. A view of the run folder, like the docks and the notebook."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from napari_menndl.errors import InputError
from napari_menndl.movie.acquisition import Acquisition
from napari_menndl.movie.sample import Sample
from napari_menndl.options import settings_options
from napari_menndl.search.settings import SearchSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_menndl.run import Run

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # it would take units, as in [px], for markup
    help="Evolve neural networks that find the defects in STEM movies, from one labelled frame.",
)
out = Console()
err = Console(stderr=True)

MovieArgument = Annotated[Path, typer.Argument(help="Movie: TIFF stack, folder or series, .npy, zarr, OME-Zarr.")]
RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
PixelSize = Annotated[
    float | None, typer.Option("--pixel-size", help="Pixel size [nm], where the movie's file does not say it.", min=0)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


@app.command()
def demo(
    to: Annotated[
        Path, typer.Option("--out", help="Folder for the movie, the run, the pictures and the table.")
    ] = Path("demo-output"),
    budget: Annotated[str, typer.Option(help="When to stop searching.")] = "240s",
    seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    window: Annotated[bool, typer.Option(help="End in napari where there is a screen.")] = True,
) -> None:
    """Search on a simulated WS2 movie; show the defects of later frames in white, purple and orange."""
    from napari_menndl.demo import run_demo

    with told():
        run_demo(to, budget=budget, seed=seed, window=window, console=out)


@app.command()
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
    from napari_menndl.movie.simulation import simulate_movie
    from napari_menndl.movie.writing import write_movie

    with told():
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
        Annotation.from_simulation(simulated).save(beside)
        simulated.events.to_csv(to.with_name(to.stem + ".events.csv"), index=False)
        say(f"Wrote {to}, {beside.name} and {to.stem}.events.csv (S vacancy SNR {simulated.snr:.1f})")


@app.command()
@settings_options(SearchSettings, leave_out=("seed", "budget", "pool"))
def search(
    settings: dict[str, Any],
    movie: Annotated[Path | None, typer.Argument(help="Movie; not needed with --resume.")] = None,
    annotation: Annotated[
        Path | None, typer.Option(help="Annotation: zarr, label TIFF or npy, or clicked points as CSV (with --radius).")
    ] = None,
    run: Annotated[Path, typer.Option(help="Run folder to create, or to resume.")] = Path("search.menndl"),
    frames: Annotated[str, typer.Option(help="Annotated frames to learn from, as in 0 or 0,3,7.")] = "0",
    budget: Annotated[
        str | None,
        typer.Option(
            help="10min, 500networks, 'fitness 0.9', 'plateau 200', or several with commas "
            f"[default: {SearchSettings.budget}; with --resume the one it had]."
        ),
    ] = None,
    pool: Annotated[str, typer.Option(help="local, serial or tcp://127.0.0.1:PORT (a Dask scheduler).")] = "local",
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    radius: Annotated[
        float | None, typer.Option(help="Radius of the disc that a clicked point becomes [px].", min=0)
    ] = None,
    pixel_size: PixelSize = None,
    space: Annotated[Path | None, typer.Option(help="Search space as JSON.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the search of --run.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start the search and return at once.")] = False,
) -> None:
    """Evolve networks that find what is annotated; Ctrl-C stops cleanly and the search can be resumed."""
    from napari_menndl.api import open_run, resume_search, run_search
    from napari_menndl.genome.space import SearchSpace
    from napari_menndl.movie.reading import open_movie

    with told():
        if resume:
            _check_unchanged(settings, open_run(run).settings)
            started = resume_search(run, budget=budget, wait=False)
        else:
            if movie is None or annotation is None:
                raise InputError(
                    "a movie and its annotation", "only one or none", "Give MOVIE --annotation FILE, or --resume."
                )
            opened = open_movie(movie, pixel_size=pixel_size)
            started = run_search(
                opened,
                _annotation(annotation, opened, radius),
                frames=_frames(frames),
                budget=budget or SearchSettings.budget,
                pool=pool,
                run=run,
                space=SearchSpace.open(space) if space else None,
                seed=seed,
                wait=False,
                **settings,
            )
        if detach:
            started.wait_for_start()
            say(f"Searching in {run}. Look with: napari-menndl status {run}; stop with: napari-menndl stop {run}")
            return
        watch(started)
        show_status(open_run(run).status())


def _check_unchanged(given: dict[str, Any], recorded: SearchSettings) -> None:
    """Refuse settings that a search in progress does not have: its journal could not be lived again."""
    for name, value in given.items():
        if (had := getattr(recorded, name)) != value:
            raise InputError(
                f"--{name.replace('_', '-')} {had}, as the search was started with",
                f"{value}",
                "Leave it out, or start a new search; the budget alone can be changed.",
            )


def _frames(text: str) -> list[int]:
    try:
        return [int(t) for t in text.split(",")]
    except ValueError:
        raise InputError("frame numbers such as 0,3,7", repr(text), "Count frames from 0.") from None


def _annotation(path: Path, movie: Any, radius: float | None) -> Any:
    from napari_menndl.annotation.annotation import Annotation

    if path.suffix.lower() == ".csv":
        if radius is None:
            raise InputError("the radius of clicked points", "none", "Add --radius with the radius of a defect [px].")
        return Annotation.from_points(path, movie.shape, radius, pixel_size=movie.pixel_size)
    return path


def watch(run: Run) -> None:
    """Show a search's progress until it ends; Ctrl-C asks it to stop."""
    from napari_menndl.progress import SearchProgress

    with SearchProgress(out) as shown:
        try:
            run.wait(shown.update)
        except KeyboardInterrupt:
            run.stop()
            out.print("Stopping; what is recorded is kept …")
            run.wait(shown.update)
    if run.state != "finished":
        say(f"Stopped. Resume with: napari-menndl search --resume --run {run.path}")


@app.command()
def status(run: RunArgument, as_json: AsJson = False) -> None:
    """Say how a search is doing."""
    from napari_menndl.api import open_run

    with told():
        found = open_run(run).status()
        if as_json:
            print(json.dumps(found))
        else:
            show_status(found)


def show_status(found: dict[str, Any]) -> None:
    """Print a search's state and its best networks."""
    from napari_menndl.progress import status_view

    out.print(status_view(found))


@app.command()
def stop(run: RunArgument) -> None:
    """Ask a search to stop; it can be resumed."""
    from napari_menndl.api import open_run

    with told():
        opened = open_run(run)
        if opened.state != "running":
            say(f"{run} is not running ({opened.state}).")
            return
        opened.stop()
        opened.wait()
        say(f"Stopped. Resume with: napari-menndl search --resume --run {run}")


@app.command()
def predict(
    run: RunArgument,
    movie: MovieArgument,
    to: Annotated[
        Path, typer.Option("--out", help="Zarr folder for probabilities and labels; defects go beside it as CSV.")
    ],
    pixel_size: PixelSize = None,
) -> None:
    """Apply a search's best network to a whole movie."""
    from rich.progress import Progress

    from napari_menndl.api import open_run
    from napari_menndl.movie.reading import open_movie

    with told():
        prediction = open_run(run).predict(open_movie(movie, pixel_size=pixel_size))
        with Progress(console=out) as bar:
            task = bar.add_task("Predicting", total=len(prediction))
            prediction.write(to, progress=lambda done, total: bar.update(task, completed=done, total=total))
        table = to.with_name(to.stem + ".defects.csv")
        prediction.defects.to_csv(table, index=False)
        say(f"Wrote {to} and {table.name}")


@app.command()
def compare(
    prediction: Annotated[Path, typer.Argument(help="What `predict` wrote, or a second expert's annotation.")],
    annotation: Annotated[Path, typer.Argument(help="The annotation to compare with.")],
    labelled: Annotated[
        int | None, typer.Option(help="Frame learned from: defects born after it are scored apart.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Score a prediction, or a second annotation, against an annotation: per class, per frame, overall."""
    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.api import compare as compare_api
    from napari_menndl.api import open_prediction_or_annotation
    from napari_menndl.progress import scores_table

    with told():
        found: Any = open_prediction_or_annotation(prediction)
        review = compare_api(found, Annotation.open(annotation), labelled=labelled)
        if as_json:
            print(json.dumps(review.summary()))
        else:
            out.print(scores_table(review.scores))


def say(words: str) -> None:
    """Print a line as it is: paths and commands in it are to be copied, whatever the terminal's width."""
    out.print(words, markup=False, soft_wrap=True)


@contextmanager
def told() -> Iterator[None]:
    """Turn an InputError into its message and exit status 2; a disk that fails is one too."""
    try:
        try:
            yield
        except OSError as error:
            raise InputError(
                "files that can be read and written", str(error), "Check the path, its permissions and the disk."
            ) from error
    except InputError as error:
        err.print("[bold red]Error[/]", escape(str(error)), highlight=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        err.print("Interrupted.")
        raise typer.Exit(130) from None


if __name__ == "__main__":
    sys.exit(app())
