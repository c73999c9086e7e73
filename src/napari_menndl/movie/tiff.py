"""Frames of TIFF files: ImageJ, OME, DigitalMicrograph's and HyperSpy's exports, plain ones."""

from __future__ import annotations

import logging
import os
import re
import warnings
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.absent import absent_frame, type_with_nan, warn_of_absent, warn_of_fill, without_fill
from napari_menndl.movie.axes import FrameAxes, check_dtype, frame_axes
from napari_menndl.movie.formats import TIFF, by_suffix
from napari_menndl.movie.movie import Movie, lazy_frames
from napari_menndl.movie.signals import Signal, choose
from napari_menndl.movie.tiff_header import Header, header_of, scale_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray


#: What tifffile logs of a file that ends too early: in its chain of pages, or before its description.
_BROKEN = re.compile(
    "invalid page offset|invalid offset to page|failed to reshape|corrupted file|TiffTag 270 .*invalid value offset"
)
#: What it logs of files that belong to a recording and are not there.
_LACKS_FILES = re.compile("is missing files")
#: ImageJ composes no more channels; more of them are frames that were saved as channels.
_MOST_CHANNELS = 7
#: Files whose pages are known at a time; none of them is held open.
_KNOWN = 32


class TiffPages:
    """The pages of a TIFF file, sorted into series; the file is open only while it is read from.

    Parameters
    ----------
    path : Path
    plain : bool
        Whether the pages are sorted by their own size and type, not by what the header says of them.

    Attributes
    ----------
    series : list of tifffile series
    header : Header
    pages : int
        In this file.
    complaints : list of str
        What tifffile says about it.
    """

    def __init__(self, path: Path, plain: bool) -> None:
        self.path = path
        flags: dict[str, Any] = (
            dict.fromkeys(("is_ome", "is_imagej", "is_shaped", "is_mmstack"), False) if plain else {}
        )
        with complaints() as self.complaints, tifffile.TiffFile(path, **flags) as tiff:
            self.header = header_of(tiff) if tiff.pages else Header()
            self.pages = len(tiff.pages)
            self.series = list(tiff.series) if tiff.pages else []
            self.byteorder = tiff.byteorder
            self.size = tiff.filehandle.size
            for series in self.series:
                series.dataoffset  # noqa: B018 - known from now on, without the file
        self._arrays: dict[int, Any] = {}

    def array(self, number: int, whole_frames: bool = True) -> Any:
        """A series as an array that is read where it is looked at."""
        if number not in self._arrays:
            series = self.series[number]
            if len(self._arrays) >= _KNOWN:
                self._arrays.clear()
            if series.dataoffset is not None and not whole_frames:
                dtype = np.dtype(self.byteorder + series.dtype.char)
                return np.memmap(self.path, dtype, "r", series.dataoffset, series.shape)
            # A page per chunk: a frame is read at once, however many strips it was written in.
            store = series.aszarr(level=0, chunkmode="page", read_only=True, _openfiles=0)
            self._arrays[number] = zarr.open_array(store, mode="r")
        return self._arrays[number]

    def promised(self) -> int:
        """Images that the series consist of, by what the header says."""
        return sum(level.size // max(level.keyframe.size, 1) for series in self.series for level in series.levels)

    def files(self) -> set[Path]:
        """The files that hold the pages."""
        if not any(series.is_multifile for series in self.series):
            return {Path(os.path.abspath(self.path))}
        pages = (page for series in self.series for page in series if page is not None)
        return {Path(name) for name in {page.parent.filehandle.path for page in pages}}


def tiff_pages(path: Path, plain: bool = False) -> TiffPages:
    """The pages of a file as it is now; remembered for the next frame."""
    about = path.stat()
    return _pages_of(path, (about.st_ino, about.st_mtime_ns, about.st_size), plain)


@lru_cache(maxsize=_KNOWN)
def _pages_of(path: Path, stamp: tuple[int, int, int], plain: bool) -> TiffPages:
    return TiffPages(path, plain)


class TiffFrames:
    """Reads single frames of a TIFF file, also after unpickling.

    Parameters
    ----------
    path : Path
    series : tuple of int
        Numbers of series whose frames follow one another.
    axes : FrameAxes
        Of each of them.
    absent : mapping of frame to str
        Why it is not there.
    plain : bool
        See `TiffPages`.
    fill : float or None
        The value of pixels without a measurement.
    """

    def __init__(
        self,
        path: Path,
        series: tuple[int, ...],
        axes: FrameAxes,
        absent: Mapping[int, str],
        plain: bool = False,
        fill: float | None = None,
    ) -> None:
        self.path = path
        self.series = series
        self.axes = axes
        self.absent = dict(absent)
        self.plain = plain
        self.fill = fill

    def __call__(self, t: int) -> NDArray[Any]:
        if t in self.absent:
            raise absent_frame(t, str(self.path), self.absent[t])
        which, index = divmod(t, self.axes.shape[0])
        frame = self.axes.cut(tiff_pages(self.path, self.plain).array(self.series[which], self.axes.last), index)
        return frame if self.fill is None else without_fill(frame, self.fill)


def read_tiff(path: Path, signal: str | int | None = None) -> Movie:
    """The images of a TIFF file that are a movie.

    Parameters
    ----------
    path : Path
    signal : str, int or None
        The name or the number of the series to take; None: series that are alike follow one another, and of others
        the largest is taken, with a warning.

    Raises
    ------
    InputError
        If it is no TIFF file, is damaged or cut short, is compressed in a way that cannot be read here,
        holds complex numbers or colour, or has more axes than time, height and width.
    """
    try:
        return _read(path, signal)
    except InputError:
        raise
    except Exception as error:  # a damaged file ends in many kinds of error, in struct's for one
        raise InputError(
            f"a TIFF file at {path}", str(error), "Check that it was copied completely, or export it again."
        ) from error


def _read(path: Path, signal: str | int | None) -> Movie:
    pages, plain = _believable(path)
    if not pages.series:
        raise InputError("a TIFF file with an image", f"none in {path}", "Export the movie again.")
    header = tiff_pages(path).header
    main = path.with_name(header.main_file) if header.main_file else path
    if main != path and main.is_file() and by_suffix(main) is TIFF and not tiff_pages(main).header.main_file:
        return _read(main, signal)
    chosen = choose([_signal(pages, number, path) for number in range(len(pages.series))], signal, path.name)
    numbers, axes = tuple(one.number for one in chosen), chosen[0].axes
    assert axes is not None  # of a signal that was chosen
    _check_complete(pages, numbers, axes, path)
    _check_codec(pages.series[numbers[0]].keyframe, path)
    for complaint in filter(_LACKS_FILES.search, pages.complaints):
        warnings.warn(f"Files of the recording that {path.name} belongs to are missing: {complaint}", stacklevel=4)
    absent, why = _absent(pages, numbers, axes, header, path)
    warn_of_absent(absent, len(numbers) * axes.shape[0], path.name, why)
    if header.fill is not None:
        warn_of_fill(header.fill, path.name)
    pixel_size, frame_time = scale_of(header, path.name, numbers[0])
    dtype = pages.series[numbers[0]].dtype
    frames = lazy_frames(
        TiffFrames(path, numbers, axes, dict.fromkeys(absent, why), plain, header.fill),
        (len(numbers) * axes.shape[0], *axes.shape[1:]),
        dtype if header.fill is None else type_with_nan(dtype),
    )
    return Movie(frames, pixel_size, frame_time, path.stem, str(path), frozenset(pages.files()))


def _believable(path: Path) -> tuple[TiffPages, bool]:
    """The pages as the header sorts them, or as they are where it counts them wrongly."""
    try:
        pages, problem = tiff_pages(path), None
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:  # from what the header says
        pages, problem = None, error
    promised = 0
    if pages is not None:
        promised = max(pages.promised(), int(pages.header.imagej.get("images", 1)))
        lost = any(_BROKEN.search(text) for text in pages.complaints)
        if pages.pages <= 1 or (not lost and promised <= pages.promised() and pages.pages <= pages.promised()):
            return pages, False
    try:
        as_they_are = tiff_pages(path, plain=True)
    except Exception:  # then it is not the header that is wrong
        as_they_are = None
    if as_they_are is None or any(_BROKEN.search(text) for text in as_they_are.complaints):
        if pages is None:
            raise problem or ValueError(path)
        return pages, False
    promise = f"promises {promised} images" if promised else f"cannot be read ({problem})"
    warnings.warn(
        f"The header of {path.name} {promise}, the file holds {as_they_are.pages}: the pages count, not the header.",
        stacklevel=5,
    )
    return as_they_are, True


def _signal(pages: TiffPages, number: int, path: Path) -> Signal:
    series = pages.series[number]
    letters = series.axes
    apart = series.kind == "ome"
    try:
        if letters.count("C") == 1 and series.shape[letters.index("C")] > _MOST_CHANNELS:
            count = series.shape[letters.index("C")]
            warnings.warn(f"The {count} channels of {path.name} are taken for frames.", stacklevel=5)
            letters = letters.replace("C", "I")
        # ImageJ saves every stack as slices.
        stacks = "TQZ" if series.kind == "imagej" else "TQ"
        axes = frame_axes(series.shape, letters, str(path), stacks)
        check_dtype(series.dtype, str(path))
    except InputError as problem:
        return Signal(number, series.name, series.shape, series.dtype, None, problem, apart)
    return Signal(number, series.name, series.shape, series.dtype, axes, None, apart)


def _absent(
    pages: TiffPages, numbers: tuple[int, ...], axes: FrameAxes, header: Header, path: Path
) -> tuple[list[int], str]:
    """Frames without a page, or without a strip of it, and why."""
    absent: list[int] = []
    for place, number in enumerate(numbers):
        series = pages.series[number]
        if series.dataoffset is not None:
            continue
        lacking = [i for i, page in enumerate(series) if not _is_there(page)]
        if lacking and not (axes.last and len(series) == axes.shape[0]):
            raise InputError(
                "a complete TIFF file",
                f"{path}, {len(lacking)} of whose {len(series)} pages are missing",
                "Copy it anew from where it was recorded.",
            )
        absent += [place * axes.shape[0] + i for i in lacking]
    files = header.absent_files(path.parent)
    named = f"{', '.join(files[:3])}{' …' if len(files) > 3 else ''}"
    return absent, f"{named} should be beside it, but is not there" if files else "no page of it holds them"


def _is_there(page: Any) -> bool:
    return page is not None and bool(page.dataoffsets) and all(page.databytecounts)


def _check_codec(page: Any, path: Path) -> None:
    try:
        if page.compression != 1:
            tifffile.TIFF.DECOMPRESSORS[page.compression]
        if page.predictor != 1:
            tifffile.TIFF.UNPREDICTORS[page.predictor]
    except KeyError:
        raise codec_error(f"compression {page.compression!r} in {path}") from None


def codec_error(found: str) -> InputError:
    """The error of a TIFF file that is compressed in a way that cannot be read here."""
    return InputError(
        "a TIFF file without compression, or with Deflate",
        found,
        'Save it uncompressed, or install the package imagecodecs: pip install "napari-menndl[codecs]".',
    )


@contextmanager
def complaints() -> Iterator[list[str]]:
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


def _check_complete(pages: TiffPages, numbers: tuple[int, ...], axes: FrameAxes, path: Path) -> None:
    """Say at once that a file is cut short: tifffile drops missing pages, or fails in the middle of a movie."""
    short = any(_BROKEN.search(text) for text in pages.complaints)
    for series in (pages.series[number] for number in numbers):
        if series.dataoffset is not None:
            short |= series.dataoffset + series.nbytes > pages.size
            continue
        pages_there: list[Any] = [page for page in series if _is_there(page)]
        for page in pages_there:
            whole = zip(page.dataoffsets, page.databytecounts, strict=False)
            short |= any(offset + count > page.parent.filehandle.size for offset, count in whole)
    promised = int(pages.header.imagej.get("images", 1)) if pages.series[numbers[0]].kind == "imagej" else 1
    if short or promised > len(numbers) * axes.shape[0]:
        raise InputError(
            "a complete TIFF file",
            f"{path} is cut short, after {pages.size} bytes",
            "Copy it anew from where it was recorded.",
        )
