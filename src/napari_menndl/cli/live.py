"""The command follow: live prediction without a window."""

# No postponed annotations: typer makes the options from the evaluated types.

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from napari_menndl.cli.arguments import PixelSize, Thresholds, read_pixel_size, read_thresholds
from napari_menndl.cli.terminal import echo, err, report_errors
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from napari_menndl.predict.live import FrameReport


def follow(
    source: Annotated[
        Path,
        typer.Argument(
            help="What is being written: a folder of single images, a TIFF file, a zarr array, an MRC file, or HDF5 "
            "such as .emd in SWMR mode; it need not be there yet."
        ),
    ],
    network: Annotated[Path, typer.Option(help="Run folder, of a running search, too; or a saved network.")],
    to: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for defects.csv and frames.csv; begun again, they are continued."),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print one line of JSON per frame on standard output, and nothing else there."),
    ] = False,
    existing: Annotated[bool, typer.Option("--existing", help="Predict the frames already there, too.")] = False,
    every_frame: Annotated[
        bool,
        typer.Option(
            "--every-frame", help="Predict every frame, however late, instead of the newest when they come too fast."
        ),
    ] = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="After the first frame, a quarter of the networks: those that agree best.")
    ] = False,
    pixel_size: PixelSize = None,
    threshold: Thresholds = None,
) -> None:
    """Predict every new frame while a microscope writes it, until Ctrl-C; --json is for scripts that control one."""
    from napari_menndl.live import follow as follow_api

    with report_errors(), _asked_to_end() as (ended, end):
        if to is None and not as_json:
            raise InputError("a folder for the tables", "none", "Give --out FOLDER, or --json for lines of JSON.")

        def print_line(report: "FrameReport") -> None:
            try:
                print(json.dumps(report.to_json(), allow_nan=False), flush=True)
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest goes
                note("Nobody reads the lines of JSON any more.")
                end()

        def note(text: str) -> None:
            err.print("[yellow]Note[/]", escape(text), highlight=False, soft_wrap=True)

        err.print(f"Following {source}; Ctrl-C ends it.", markup=False, highlight=False, soft_wrap=True)
        summary = follow_api(
            source,
            network,
            out=to,
            on_frame=print_line if as_json else lambda report: echo(_words(report)),
            note=note,
            existing=existing,
            every_frame=every_frame,
            pixel_size=read_pixel_size(pixel_size),
            fast=fast,
            thresholds=read_thresholds(threshold),
            stop=ended,
        )
        err.print(str(summary), markup=False, highlight=False, soft_wrap=True)
        if to is not None:
            err.print(f"Tables: {to}", markup=False, highlight=False, soft_wrap=True)


def _words(report: "FrameReport") -> str:
    """Return a line on a frame: how many defects of which class, and how long after it appeared."""
    found = report.prediction
    if found is None:
        return f"Frame {report.number}: {report.state}{': ' * bool(report.note)}{report.note}"
    count = len(found.defects)
    classes = ", ".join(f"{n} {name}" for name, n in found.counts.items() if n)
    late = "" if report.latency is None else f", {report.latency:.2f} s after it appeared"
    return f"Frame {report.number}: {count} defect{'s' * (count != 1)}{f' ({classes})' if count else ''}{late}"


@contextmanager
def _asked_to_end() -> Iterator[tuple[Callable[[], bool], Callable[[], None]]]:
    """Context in which Ctrl-C or SIGTERM asks to end, and only a second one interrupts.

    Yields whether it was asked, and a function that asks.
    """
    asked = threading.Event()

    def hear(number: int, _: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, hear) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set, asked.set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
