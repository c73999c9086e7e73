"""Commands on what was found: tracks, export-prediction."""

# No postponed annotations: typer makes the options from the evaluated types.

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_menndl.cli.arguments import NONE, AsJson, read_pixel_size
from napari_menndl.cli.options import settings_options
from napari_menndl.cli.terminal import echo, out, report_errors
from napari_menndl.errors import InputError
from napari_menndl.tracks.settings import TrackSettings

if TYPE_CHECKING:
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.tracks.tracks import Tracks


@settings_options(TrackSettings)
def tracks(
    source: Annotated[
        Path, typer.Argument(metavar="PREDICTION_OR_CSV", help="What `predict` wrote: the zarr folder, or the table.")
    ],
    settings: dict[str, Any],
    to: Annotated[Path, typer.Option("--out", help="Folder for the tables and the plot.")],
    size: Annotated[
        str | None, typer.Option(help="Of a table: height and width of the frames [px], as in 512 or 512,256.")
    ] = None,
    frames: Annotated[
        str | None,
        typer.Option(help="Of a table: number of frames of the movie, or those looked at, as in 0-9,12."),
    ] = None,
    pixel_size: Annotated[
        str | None, typer.Option("--pixel-size", help="Pixel size [nm], where it is not known: one number, or Y,X.")
    ] = None,
    frame_time: Annotated[
        float | None, typer.Option("--frame-time", help="Time from frame to frame [s], where it is not known.")
    ] = None,
    dose: Annotated[float | None, typer.Option(help="Electrons on an area in one frame [e⁻/nm²].")] = None,
    movie: Annotated[str | None, typer.Option(help="Of a table of several movies: the one to follow.")] = None,
    unit: Annotated[str | None, typer.Option(help="Of another program's table that does not say it: px or nm.")] = None,
    linked: Annotated[
        str | None, typer.Option(help="Column with the trajectory of each defect, if they are linked already.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow defects from frame to frame: trajectories, events (born, moved, grown, vanished) and their rates."""
    from napari_menndl.tracks.tracks import track_defects

    with report_errors():
        known = {
            "pixel_size": read_pixel_size(pixel_size),
            "frame_time": frame_time,
            "dose": dose,
        }
        if known["pixel_size"] == NONE:
            raise InputError("a pixel size [nm]", NONE, "Leave it out: without one, lengths are in pixels.")
        given: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
        if source.is_dir():
            of_tables = {"size": size, "frames": frames, "movie": movie, "unit": unit, "linked": linked}
            if only := [f"--{name}" for name, value in of_tables.items() if value is not None]:
                raise InputError("a table with " + ", ".join(only), f"{source}, a folder", "Leave that out.")
            found = _stored(source).tracks(**settings, **given)
        else:
            found = track_defects(
                source,
                shape=None if size is None else _size(size),
                frames=None if frames is None else _frames(frames),
                movie=movie,
                unit=unit,
                linked=linked,
                **settings,
                **given,
            )
        written = found.save(to)
        if as_json:
            print(json.dumps(found.summary()))
        else:
            out.print(_rates(found))
            echo(f"Wrote {len(found)} trajectories and {len(found.events)} events: {to}/")
            echo(", ".join(path.name for path in written))


def export_prediction(
    prediction: Annotated[Path, typer.Argument(help="What `predict` wrote.")],
    to: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
) -> None:
    """Write a stored prediction for other programs: OME-Zarr with labels, defects as CSV and Parquet."""
    from rich.progress import Progress

    from napari_menndl.predict.prediction_export import export_prediction as write_export

    with report_errors():
        stored = _stored(prediction)
        with Progress(console=out, transient=True) as bar:
            task = bar.add_task("Exporting", total=len(stored))
            written = write_export(
                stored, to, lambda done, total: bar.update(task, completed=done, total=total), overwrite=overwrite
            )
        for path in written:
            echo(f"Wrote {path}")


def _stored(path: Path) -> "Prediction":
    from napari_menndl.predict.prediction import Prediction

    return Prediction.open(path)


def _size(text: str) -> tuple[int, int]:
    try:
        sides = [int(side) for side in text.replace("x", ",").replace("×", ",").split(",")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise InputError("a size of frames such as 512, or height,width [px]", repr(text), "Give --size 512,256.")
    return sides[0], sides[-1]


def _frames(text: str) -> int | tuple[int, ...]:
    from napari_menndl.search.frame_numbers import parse_frames

    return int(text) if text.strip().isdigit() else parse_frames(text, 10**9)


def _rates(found: "Tracks") -> Any:
    """Return a table of the events of the whole movie, with their rates."""
    from rich.table import Table

    from napari_menndl.tracks.rates import LEVEL, TOTAL

    rates = found.rates[(found.rates["interval"] == TOTAL) & (found.rates["class"] != TOTAL)]
    unit = str(rates["unit"].iloc[0]) if len(rates) else ""
    table = Table("event", "class", "number", f"rate [{unit}]".replace("[", r"\["), f"{LEVEL:.0%} interval")
    events = found.events.groupby(["event", "class"]).size()
    for row in rates.to_dict("records"):
        number = int(events.get((row["event"], row["class"]), 0))
        if number:
            counts = f"{number}" if number == row["count"] else rf"{number} ({row['count']} counted)"
            table.add_row(
                str(row["event"]),
                str(row["class"]),
                counts,
                f"{row['rate']:.3g}",
                f"{row['rate_low']:.2g} to {row['rate_high']:.2g}",
            )
    return table
