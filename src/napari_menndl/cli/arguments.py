"""Arguments and options that several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_menndl.movie.formats import FORMATS

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
