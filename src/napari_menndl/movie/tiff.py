"""Frames and calibration of TIFF files: ImageJ, OME, DigitalMicrograph's and HyperSpy's exports, plain ones."""

from __future__ import annotations

import logging
import math
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.axes import frame_axes
from napari_menndl.movie.calibration import has_unit, read_frame_time, read_pixel_size
from napari_menndl.movie.movie import Movie, lazy_frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


#: What tifffile logs of a file that ends too early: in its chain of pages, or before its description.
_BROKEN = re.compile(
    "invalid page offset|invalid offset to page|failed to reshape|corrupted file|TiffTag 270 .*invalid value offset"
)
#: ImageJ composes no more channels; more of them are frames that were saved as channels.
_MOST_CHANNELS = 7


class TiffFrames:
    """Reads single frames of a TIFF file's first series; opens the file at the first one, also after unpickling."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pages: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_pages": None}

    def __call__(self, t: int) -> NDArray[Any]:
        if self._pages is None:
            # A page per chunk: a frame is read at once, however many strips it was written in.
            store = tifffile.imread(self.path, aszarr=True, series=0, level=0, chunkmode="page")
            self._pages = zarr.open_array(store, mode="r")
        pages = self._pages
        lead = np.unravel_index(t, pages.shape[:-2]) if pages.ndim > 2 else ()
        return np.asarray(pages[(*(int(i) for i in lead), slice(None), slice(None))])


def read_tiff(path: Path) -> Movie:
    """The first series of a TIFF file as a movie.

    Raises
    ------
    InputError
        If it is no TIFF file, is damaged or cut short, is compressed in a way that cannot be read here,
        holds colour, or has more axes than time, height and width.
    """
    try:
        with _complaints() as complaints, tifffile.TiffFile(path) as tiff:
            if not tiff.pages or not tiff.series:
                raise InputError("a TIFF file with an image", f"none in {path}", "Export the movie again.")
            series = tiff.series[0]
            if len(tiff.series) > 1:
                others = ", ".join(str(s.shape) for s in tiff.series[1:4])
                warnings.warn(
                    f"{path.name} holds {len(tiff.series)} series of images; the first, {series.shape}, "
                    f"is the movie (others: {others}).",
                    stacklevel=3,
                )
            axes = series.axes
            if axes.count("C") == 1 and series.shape[axes.index("C")] > _MOST_CHANNELS:
                axes = axes.replace("C", "I")
            shape = frame_axes(series.shape, axes, str(path))
            _check_codec(tiff, path)
            _check_length(tiff, shape[0], path, complaints)
            pixel_size, frame_time = _calibration(tiff, path.name)
            dtype = series.dtype
    except InputError:
        raise
    except Exception as error:  # a damaged file ends in many kinds of error, in struct's for one
        raise InputError(
            f"a TIFF file at {path}", str(error), "Check that it was copied completely, or export it again."
        ) from error
    return Movie(lazy_frames(TiffFrames(path), shape, dtype), pixel_size, frame_time, path.stem, str(path))


def _check_codec(tiff: tifffile.TiffFile, path: Path) -> None:
    page = tiff.series[0].keyframe
    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    except KeyError:
        raise InputError(
            "a TIFF file without compression, or with Deflate",
            f"compression {page.compression!r} in {path}",
            "Save it uncompressed, or install the package imagecodecs.",
        ) from None


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What tifffile only logs while it opens a file, a broken chain of pages for one."""
    said: list[str] = []

    def listen(record: logging.LogRecord) -> bool:
        said.append(record.getMessage())
        return False

    logger = logging.getLogger("tifffile")
    logger.addFilter(listen)
    try:
        yield said
    finally:
        logger.removeFilter(listen)


def _check_length(tiff: tifffile.TiffFile, count: int, path: Path, complaints: list[str]) -> None:
    """Say at once that a file is cut short: tifffile drops missing pages, or fails in the middle of a movie."""
    series = tiff.series[0]
    promised = int((tiff.imagej_metadata or {}).get("images", 1))
    if series.dataoffset is not None:
        end = series.dataoffset + series.nbytes
    else:
        pages = [page for page in (series.pages[0], series.pages[-1]) if page is not None]
        end = max(o + n for page in pages for o, n in zip(page.dataoffsets, page.databytecounts, strict=False))
    broken = any(_BROKEN.search(text) for text in complaints)
    if broken or end > tiff.filehandle.size or promised > count:
        raise InputError(
            "a complete TIFF file",
            f"{path} is cut short, after {tiff.filehandle.size} bytes",
            "Copy it anew from where it was recorded.",
        )


def _calibration(tiff: tifffile.TiffFile, source: str) -> tuple[tuple[float, float] | None, float | None]:
    page = tiff.pages.first
    tags = {tag.code: tag.value for tag in page.tags}
    if tiff.is_ome and tiff.ome_metadata:
        return _ome(tiff.ome_metadata, source)
    imagej = tiff.imagej_metadata or {}
    frame_time = None
    if "finterval" in imagej:
        frame_time = read_frame_time(float(imagej["finterval"]), imagej.get("tunit", "s"), source)
    if 65009 in tags and has_unit(str(tags.get(65003))):  # DigitalMicrograph's tags: x, then y
        values = float(tags.get(65010, math.nan)), float(tags[65009])
        return read_pixel_size(values, (str(tags.get(65004)), str(tags[65003])), source), frame_time
    size = _length(tags.get(283)), _length(tags.get(282))
    if imagej:
        unit = str(imagej.get("unit", ""))
        return read_pixel_size(size, (str(imagej.get("yunit", unit)), unit), source), frame_time
    unit = {2: "inch", 3: "cm"}.get(int(tags.get(296, 1)), "")
    with warnings.catch_warnings():
        # Nearly every program writes a printer's 72 dots per inch: no calibration, and not worth a warning.
        warnings.simplefilter("ignore")
        return read_pixel_size(size, (unit, unit), source), frame_time


def _length(resolution: tuple[int, int] | None) -> float:
    """Length per pixel of a TIFF resolution, a fraction of pixels over length."""
    if not resolution or not resolution[0]:
        return math.nan
    return resolution[1] / resolution[0]


def _ome(xml: str, source: str) -> tuple[tuple[float, float] | None, float | None]:
    image = tifffile.xml2dict(xml)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    frame_time = None
    if "TimeIncrement" in pixels:
        frame_time = read_frame_time(float(pixels["TimeIncrement"]), pixels.get("TimeIncrementUnit", "s"), source)
    if "PhysicalSizeX" not in pixels:
        return None, frame_time
    x = float(pixels["PhysicalSizeX"])
    y = float(pixels.get("PhysicalSizeY", math.nan))
    # OME's schema: micrometres where no unit is given.
    units = str(pixels.get("PhysicalSizeYUnit", "µm")), str(pixels.get("PhysicalSizeXUnit", "µm"))
    return read_pixel_size((y, x), units, source), frame_time
