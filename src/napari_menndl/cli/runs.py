"""Commands that start, watch, stop and merge searches."""

# No postponed annotations: typer makes the options from the evaluated types.

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_menndl.cli.arguments import (
    AsJson,
    AverageOption,
    Background,
    BinOption,
    CropOption,
    DriftOption,
    PixelSize,
    RunArgument,
    Signal,
    open_as_asked,
    preparation,
)
from napari_menndl.cli.options import settings_options
from napari_menndl.cli.terminal import echo, measuring_drift, out, report_errors
from napari_menndl.errors import InputError
from napari_menndl.files import check_new
from napari_menndl.movie.preparation import describe, looks
from napari_menndl.search.frame_numbers import parse_frames
from napari_menndl.search.settings import SearchSettings
from napari_menndl.search.views.messages import explain_no_network

if TYPE_CHECKING:
    from napari_menndl.movie.movie import Movie, Step
    from napari_menndl.run import Run


#: Frame that is learned from where none is named.
FIRST_FRAME = "0"


@settings_options(SearchSettings, leave_out=("seed", "budget", "pool"))
def search(
    settings: dict[str, Any],
    movie: Annotated[Path | None, typer.Argument(help="Movie; not needed with --resume.")] = None,
    annotation: Annotated[
        Path | None,
        typer.Option(help="Annotation: zarr, label TIFF or npy, or clicked points as CSV or ROIs (with --radius)."),
    ] = None,
    run: Annotated[Path, typer.Option(help="Run folder to create, or to resume.")] = Path("search.menndl"),
    frames: Annotated[str, typer.Option(help="Annotated frames to learn from, as in 0 or 0,3,5-8.")] = FIRST_FRAME,
    budget: Annotated[
        str | None,
        typer.Option(
            help="10min, 500networks, 'fitness 0.9', 'plateau 200', or several with commas "
            f"[default: {SearchSettings.budget}; with --resume the one it had]."
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            help="local, serial, tcp://127.0.0.1:PORT, tls://HOST:PORT, scheduler-file:PATH, ssh:HOSTS, "
            "slurm:PROFILE.yaml or POOL.yaml [default: local; with --resume the one it had]."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of everything random [default: 0; with --resume the one it had].")
    ] = None,
    radius: Annotated[
        float | None, typer.Option(help="Radius of the disc that a clicked point becomes [px].", min=0)
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(help="Names of the classes, as in 'S vacancy,Mo', or by number, as in '1=S vacancy,2=Mo'."),
    ] = None,
    one_class: Annotated[
        bool, typer.Option("--one-class", help="Labels: all but the background is one class, as of numbered objects.")
    ] = False,
    ignore: Annotated[
        int | None, typer.Option(help="Labels: the value of pixels that were not looked at, often 255.")
    ] = None,
    background: Background = None,
    unit: Annotated[
        str | None, typer.Option(help="Unit of clicked points, px or nm, where their file does not say it.")
    ] = None,
    pixel_size: PixelSize = None,
    signal: Signal = None,
    drift: DriftOption = False,
    crop: CropOption = None,
    average: AverageOption = None,
    binned: BinOption = None,
    space: Annotated[Path | None, typer.Option(help="Search space as JSON.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the search of --run.")] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Start the search and return at once.")] = False,
) -> None:
    """Evolve networks that find what is annotated; Ctrl-C stops cleanly and the search can be resumed."""
    from napari_menndl.api import open_run, resume_search, run_search
    from napari_menndl.genome.space import SearchSpace

    with report_errors():
        steps = preparation(drift, crop, average, binned)
        if resume and steps:
            raise InputError(
                "a search resumed as it was begun",
                f"{describe(steps)} asked for",
                "Leave that out: a resumed search keeps what was done to its movie.",
            )
        if resume:
            _check_unchanged(settings if seed is None else {**settings, "seed": seed}, open_run(run).settings)
            _note_unused(
                {"MOVIE": movie, "--annotation": annotation, "--pixel-size": pixel_size, "--signal": signal}
                | {"--radius": radius, "--classes": classes, "--one-class": one_class or None, "--ignore": ignore}
                | {"--background": background, "--unit": unit, "--space": space}
                | {"--frames": None if frames == FIRST_FRAME else frames}
            )
            started = resume_search(run, budget=budget, pool=pool, wait=False)
        else:
            if movie is None or annotation is None:
                raise InputError(
                    "a movie and its annotation", "only one or none", "Give MOVIE --annotation FILE, or --resume."
                )
            opened = open_as_asked(movie, pixel_size, signal)
            chosen = parse_frames(frames, len(opened))
            if steps:
                opened = _prepared(opened, steps)
            chosen = parse_frames(frames, len(opened))
            # After averaging or binning, points can only be on the prepared frames; otherwise on the recorded ones.
            drawn_on = opened if looks(steps) else opened.raw
            marked = _annotation(annotation, drawn_on, radius, unit, classes, one_class, ignore, background)
            started = run_search(
                opened,
                marked,
                frames=chosen,
                budget=budget or SearchSettings.budget,
                pool=pool or SearchSettings.pool,
                run=run,
                space=SearchSpace.open(space) if space else None,
                seed=seed or 0,
                wait=False,
                **settings,
            )
            echo(f"{annotation.name}: {marked.describe()}")
        if detach:
            started.wait_for_start()
            echo(f"Searching in {run}. Look with: napari-menndl status {run}; stop with: napari-menndl stop {run}")
            return
        watch(started)
        found = open_run(run).status()
        show_status(found)
        if explain_no_network(found):
            raise typer.Exit(1)


def _prepared(movie: "Movie", steps: "tuple[Step, ...]") -> "Movie":
    with measuring_drift() as progress:
        prepared = movie.prepared(steps, progress)
    count, height, width = prepared.shape
    echo(f"{movie.name}: {describe(prepared.steps)}; {count} frames of {height} × {width} px")
    return prepared


def _note_unused(given: dict[str, Any]) -> None:
    """Say which arguments a resumed search does not read, since it goes on with its own movie and annotation."""
    if unread := [name for name, value in given.items() if value is not None]:
        echo(f"Note: a resumed search goes on with what it was begun on: {', '.join(unread)} not read.")


def _check_unchanged(given: dict[str, Any], recorded: SearchSettings) -> None:
    """Refuse settings that differ from those of a search to resume, whose journal could not be replayed."""
    for name, value in vars(replace(recorded, **given)).items():
        if (had := getattr(recorded, name)) != value:
            raise InputError(
                f"--{name.replace('_', '-')} {had}, as the search was started with",
                f"{value}",
                "Leave it out, or start a new search; budget and pool alone can be changed.",
            )


def _annotation(
    path: Path,
    movie: Any,
    radius: float | None,
    unit: str | None,
    classes: str | None,
    one_class: bool,
    ignore: int | None,
    background: int | None,
) -> Any:
    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.annotation.classes import read_class_names
    from napari_menndl.annotation.points import FILES

    named = None if classes is None else read_class_names(classes)
    if path.suffix.lower() not in FILES:
        if radius is not None or unit is not None:
            raise InputError(
                f"clicked points ({', '.join(FILES)}) with --radius or --unit", str(path), "Leave out these options."
            )
        return Annotation.open(path, classes=named, one_class=one_class, ignore=ignore, background=background)
    if one_class or ignore is not None or background is not None:
        raise InputError(
            "a label image with --one-class, --ignore or --background",
            str(path),
            "Leave out these options for points.",
        )
    if radius is None:
        raise InputError("the radius of clicked points", "none", "Add --radius with the radius of a defect [px].")
    return Annotation.from_points(path, movie.shape, radius, named, pixel_size=movie.pixel_size, unit=unit)


def watch(run: "Run") -> None:
    """Show a search's progress until it ends; on Ctrl-C, request its stop."""
    from napari_menndl.notebook.terminal import SearchProgress

    with SearchProgress(out) as shown:
        try:
            run.wait(shown.update)
        except KeyboardInterrupt:
            run.stop()
            out.print("Stopping; what is recorded is kept …")
            run.wait(shown.update)
    if run.state != "finished":
        echo(f"Stopped. Resume with: napari-menndl search --resume --run {run.path}")


def status(run: RunArgument, as_json: AsJson = False) -> None:
    """Say how a search is doing."""
    from napari_menndl.api import open_run

    with report_errors():
        found = open_run(run).status()
        if as_json:
            print(json.dumps(found))
        else:
            show_status(found)


def show_status(found: dict[str, Any]) -> None:
    """Print a search's state and its best networks."""
    from napari_menndl.notebook.terminal import status_view

    out.print(status_view(found))


def stop(run: RunArgument) -> None:
    """Ask a search to stop; it can be resumed."""
    from napari_menndl.api import open_run

    with report_errors():
        opened = open_run(run)
        if opened.state != "running":
            echo(f"{run} is not running ({opened.state}).")
            return
        opened.stop()
        opened.wait()
        echo(f"Stopped. Resume with: napari-menndl search --resume --run {run}")


def merge(
    runs: Annotated[list[Path], typer.Argument(help="Run folders of the islands.")],
    run: Annotated[Path, typer.Option(help="Run folder to create.")] = Path("merged.menndl"),
) -> None:
    """Join the run folders of several islands into one to look at and to predict with; it cannot be resumed."""
    from napari_menndl.api import merge_runs

    with report_errors():
        show_status(merge_runs(runs, run, note=lambda words: echo(f"Note: {words}")).status())


def report(
    run: RunArgument,
    out_file: Annotated[Path | None, typer.Option("--out", help="Page to write [default: RUN.html].")] = None,
    movie: Annotated[Path | None, typer.Option(help="Movie to predict and to score, with --annotation.")] = None,
    annotation: Annotated[Path | None, typer.Option(help="Annotation of that movie.")] = None,
    labelled: Annotated[
        int | None, typer.Option(help="Frame of that movie learned from: defects born after it are scored apart.")
    ] = None,
    pixel_size: PixelSize = None,
    signal: Signal = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it exists.")] = False,
) -> None:
    """Write a search as one HTML page: data, settings, networks, scores, pictures, and a methods paragraph."""
    from napari_menndl.api import open_annotation, open_run
    from napari_menndl.notebook.report import write_report

    with report_errors():
        opened = open_run(run)
        place = out_file or run.with_suffix(".html")
        check_new(place, overwrite=overwrite)
        shown = None if movie is None else open_as_asked(movie, pixel_size, signal)
        truth = None
        if annotation is not None and shown is not None:
            truth = open_annotation(annotation, shown)
        elif annotation is not None:
            raise InputError("a movie and its annotation", "an annotation alone", "Give --movie too.")
        echo(f"Wrote {write_report(opened, place, shown, truth, () if labelled is None else (labelled,))}")
