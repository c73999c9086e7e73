"""The command next: where annotating should teach a search most."""

# No postponed annotations: typer makes the options from the evaluated types.

import json
from pathlib import Path
from typing import Annotated

import typer

from napari_menndl.cli.arguments import MOVIE_HELP, AsJson, NetworkArgument, PixelSize, Signal, open_as_asked
from napari_menndl.cli.terminal import echo, err, measuring_drift, report_errors


def suggest(
    network: NetworkArgument,
    movie: Annotated[Path, typer.Argument(help=MOVIE_HELP)],
    annotation: Annotated[Path | None, typer.Option(help="What is annotated already, and not suggested again.")] = None,
    frames: Annotated[
        str | None, typer.Option(help="Only these frames, as in 3,5-9; left out: 20, evenly spread.")
    ] = None,
    edge: Annotated[int, typer.Option(help="Edge of a region [px].")] = 128,
    count: Annotated[int, typer.Option(help="Most regions to suggest.")] = 5,
    pixel_size: PixelSize = None,
    signal: Signal = None,
    as_json: AsJson = False,
) -> None:
    """Say which frame and region to annotate next: where the networks of the answer disagree on most defects."""
    from rich.progress import Progress

    from napari_menndl.api import open_annotation
    from napari_menndl.movie.preparation import prepared_alike
    from napari_menndl.opening import open_network
    from napari_menndl.predict.suggest import suggest_regions
    from napari_menndl.search.frame_numbers import parse_frames

    with report_errors():
        opened = open_network(network)
        with measuring_drift() as progress:
            shown = prepared_alike(open_as_asked(movie, pixel_size, signal), opened.steps, progress)
        known = None if annotation is None else open_annotation(annotation, shown)
        with Progress(console=err, transient=True) as bar:
            task = bar.add_task(f"Looking at {shown.name}", total=None)
            found = suggest_regions(
                opened,  # type: ignore[arg-type]
                shown,
                annotation=known,
                frames=None if frames is None else parse_frames(frames, len(shown)),
                edge=edge,
                count=count,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        if as_json:
            print(json.dumps([one.to_json() for one in found]))
            return
        if not found:
            echo("The networks agree on everything there.")
        for one in found:
            y0, x0, y1, x1 = one.region
            classes = ", ".join(f"{n} {name}" for name, n in one.doubtful.items()) or "none"
            echo(
                f"Frame {one.frame}, rows {y0} to {y1 - 1}, columns {x0} to {x1 - 1}: {one.defects} defects, of which "
                f"the networks disagree on {classes}."
            )
