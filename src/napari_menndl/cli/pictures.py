"""The command pictures: frames with their defects, as PNG and as a film."""

# No postponed annotations: typer makes the options from the evaluated types.

from pathlib import Path
from typing import Annotated

import typer

from napari_menndl.cli.arguments import MOVIE_HELP, PixelSize, Signal, open_as_asked
from napari_menndl.cli.terminal import echo, measuring_drift, out, report_errors
from napari_menndl.errors import InputError


def pictures(
    prediction: Annotated[Path, typer.Argument(help="What `predict` wrote.")],
    movie: Annotated[Path, typer.Argument(help=f"The movie that was predicted. {MOVIE_HELP}")],
    to: Annotated[Path | None, typer.Option("--pictures", help="Folder for a PNG of each frame.")] = None,
    film: Annotated[Path | None, typer.Option(help="Film to write, film.mp4: raw and overlay side by side.")] = None,
    annotation: Annotated[
        Path | None, typer.Option(help="Annotation to compare with: white found, purple false, orange missed.")
    ] = None,
    frames: Annotated[str | None, typer.Option(help="Only these frames, as in 3,5-9; left out: all.")] = None,
    rate: Annotated[float, typer.Option(help="Frames per second of the film.")] = 10.0,
    pixel_size: PixelSize = None,
    signal: Signal = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace pictures and a film that exist.")] = False,
) -> None:
    """Draw each frame raw and beside it with its defects, as pictures, as a film, or both."""
    from rich.progress import Progress

    from napari_menndl.api import open_annotation
    from napari_menndl.movie.preparation import prepared_alike
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.review.film import draw_movie
    from napari_menndl.search.frame_numbers import parse_frames

    with report_errors():
        if to is None and film is None:
            raise InputError("--pictures FOLDER or --film FILE.mp4", "neither", "Give one of them, or both.")
        stored = Prediction.open(prediction)
        with measuring_drift() as progress:
            shown = prepared_alike(open_as_asked(movie, pixel_size, signal), stored.spec.steps, progress)
        found = Prediction.open(prediction, shown)
        chosen = [t for t in range(len(found)) if found.is_written(t)]
        if frames is not None:
            chosen = list(parse_frames(frames, len(found)))
        elif len(chosen) < len(found):
            echo(f"{len(found) - len(chosen)} of {len(found)} frames are not predicted yet, and left out.")
        compared = None if annotation is None else open_annotation(annotation, shown)
        with Progress(console=out) as bar:
            task = bar.add_task(f"Drawing {shown.name}", total=len(chosen))
            written = draw_movie(
                found,
                shown,
                pictures=to,
                film=film,
                annotation=compared,
                frames=chosen,
                rate=rate,
                overwrite=overwrite,
                progress=lambda done, _: bar.update(task, completed=done),
            )
        if to is not None:
            echo(f"Wrote {len(chosen)} pictures to {to}")
        if film is not None:
            echo(f"Wrote {written[-1]}")
