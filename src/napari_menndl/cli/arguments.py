"""Arguments and options that several commands have in common."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from napari_menndl.errors import InputError
from napari_menndl.movie.calibration import PLAUSIBLE_ANISOTROPY
from napari_menndl.movie.formats import FORMATS
from napari_menndl.movie.preparation import Average, Bin, Crop, Drift

if TYPE_CHECKING:
    from napari_menndl.movie.movie import Movie, Step

MOVIE_HELP = f"Movie: {', '.join(map(str, FORMATS))}; or a folder of single frames."
RunArgument = Annotated[Path, typer.Argument(help="Run folder.")]
NetworkArgument = Annotated[Path, typer.Argument(help="Run folder, or a network saved from one (.safetensors).")]
Signal = Annotated[
    str | None, typer.Option("--signal", help="Of a file with several images: name or number of the one to open.")
]
PixelSize = Annotated[
    str | None,
    typer.Option(
        "--pixel-size",
        help="Pixel size [nm], where the movie's file does not say it: one number, or Y,X; none: take it as unknown.",
    ),
]
Background = Annotated[
    int | None,
    typer.Option("--background", help="Label images: the value of no defect, where it is not taken rightly."),
]
Thresholds = Annotated[
    list[str] | None,
    typer.Option(
        "--threshold",
        metavar="CLASS=P",
        help="Threshold of a class, as in 'S vacancy=0.4'; of several classes given several times.",
    ),
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
    """Return the preparation steps that are asked for, in their order; the crop is in pixels of the recorded frames."""
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


def open_as_asked(path: Path, pixel_size: str | None, signal: str | None) -> Movie:
    """Open a movie with the pixel size and the signal from the command line.

    Raises
    ------
    InputError
        If the movie cannot be opened, or the pixel size is invalid.
    """
    from napari_menndl.movie.reading import open_movie

    if pixel_size is None:
        return open_movie(path, signal=signal)
    if pixel_size.strip().lower() == "none":
        return replace(open_movie(path, signal=signal), pixel_size=None)
    return open_movie(path, pixel_size=read_pixel_size(pixel_size), signal=signal)


def read_pixel_size(text: str) -> float | list[float]:
    """Read a pixel size [nm] as typed: one number, or Y,X; InputError for anything else."""
    try:
        sides = [float(side) for side in text.split(",")]
    except ValueError:
        raise InputError("a pixel size [nm] such as 0.02, or Y,X, or none", repr(text), "Correct it.") from None
    if len(sides) == 2 and not max(sides) <= PLAUSIBLE_ANISOTROPY * min(sides):  # "1,5" may be a decimal comma
        raise InputError(
            "a pixel size [nm] such as 1.5, or Y,X of a pixel that is nearly square",
            repr(text),
            "Write a decimal point, not a comma. If pixels are so far from square, give pixel_size=(y, x) in Python.",
        )
    return sides[0] if len(sides) == 1 else sides


def read_thresholds(given: list[str] | None) -> dict[str, float]:
    """Parse the values ``CLASS=P`` of a repeated option to thresholds by class."""
    thresholds: dict[str, float] = {}
    for one in given or []:
        text, equals, value = one.rpartition("=")
        name = text.strip()
        try:
            threshold = float(value)
        except ValueError:
            equals = ""
        if not equals or not name:
            raise InputError("a class and its threshold, as in 'S vacancy=0.4'", repr(one), "Correct it.")
        if name in thresholds:
            raise InputError("one threshold for each class", f"two for {name!r}", "Leave one of them out.")
        thresholds[name] = threshold
    return thresholds
