"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_menndl.errors import InputError
from napari_menndl.movie.formats import FORMATS
from napari_menndl.movie.preparation import Average, Bin, Crop, Drift, Step

MovieArgument = Annotated[
    Path, typer.Argument(help=f"Movie: {', '.join(map(str, FORMATS))}; or a folder of single frames.")
]
RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
Signal = Annotated[
    str | None, typer.Option("--signal", help="Of a file with several images: name or number of the one to open.")
]
PixelSize = Annotated[
    float | None, typer.Option("--pixel-size", help="Pixel size [nm], where the movie's file does not say it.", min=0)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
DriftOption = Annotated[
    bool, typer.Option("--drift", help="Correct the sample's drift first: frames are moved by whole pixels.")
]
CropOption = Annotated[
    str | None,
    typer.Option(
        "--crop",
        help="Then cut out top,left,height,width [px], as in 20,30,256,256; or, after --drift: common, the area that "
        "all frames show.",
    ),
]
AverageOption = Annotated[
    int | None, typer.Option("--average", help="Then average so many consecutive frames into one.")
]
BinOption = Annotated[int | None, typer.Option("--bin", help="Then average squares of so many pixels along a side.")]


def preparation(drift: bool, crop: str | None, average: int | None, binned: int | None) -> tuple[Step, ...]:
    """The steps that a person asks for, in the order in which they are done; a cut is given in recorded pixels."""
    steps: list[Step] = [Drift()] if drift else []
    steps += [_crop(crop)] if crop is not None else []
    steps += [Average(average)] if average is not None else []
    steps += [Bin(binned)] if binned is not None else []
    return tuple(steps)


def _crop(text: str) -> Crop:
    if text.strip() == "common":
        return Crop(common=True)
    try:
        top, left, height, width = map(int, text.split(","))
    except ValueError:
        raise InputError("top,left,height,width in pixels, or common", repr(text), "Give --crop 0,0,256,256.") from None
    return Crop(top, left, height, width)
