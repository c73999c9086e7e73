"""Frames of TIFF files: ImageJ, OME, exports of DigitalMicrograph and HyperSpy, plain ones."""

from __future__ import annotations

import logging
import os
import re
import warnings
from bisect import bisect_right
from contextlib import contextmanager
from functools import lru_cache
from itertools import accumulate
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
from napari_menndl.movie.sidecar import with_sidecar
from napari_menndl.movie.signals import Signal, Wanted, choose
from napari_menndl.movie.tiff_header import Header, header_of, metadata_of, scale_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray


#: tifffile's log messages on truncated files: in the chain of pages, or before the description.
_BROKEN = re.compile(
    "invalid page offset|invalid offset to page|failed to reshape|corrupted file|TiffTag 270 .*invalid value offset"
)
#: tifffile's log message on missing files of a recording.
_LACKS_FILES = re.compile("is missing files")
#: Most channels of an ImageJ composite; more are frames that were saved as channels.
_MOST_CHANNELS = 7
#: Files whose page index is cached; none of them is kept open.
_KNOWN = 32


class TiffPages:
    """Pages of a TIFF file, grouped into series; the file is open only during reads.

    Parameters
    ----------
    path : Path
    plain : bool
        Whether pages are grouped by their own size and dtype, ignoring the header.

    Attributes
    ----------
    series : list of tifffile series
    header : Header
    pages : int
        Number of pages in this file.
    complaints : list of str
        Messages that tifffile logged about the file.
    """

    def __init__(self, path: Path, plain: bool) -> None:
        self.path = path
        flags: dict[str, Any] = (
            dict.fromkeys(("is_ome", "is_imagej", "is_shaped", "is_mmstack"), False) if plain else {}
        )
        with complaints() as self.complaints, tifffile.TiffFile(path, **flags) as tiff:
            self.header = header_of(tiff) if tiff.pages else Header()
            self.header.check_files(str(path))
            self.pages = len(tiff.pages)
            self.series = list(tiff.series) if tiff.pages else []
            self.byteorder = tiff.byteorder
            self.size = tiff.filehandle.size
            for series in self.series:
                series.dataoffset  # noqa: B018 - known from now on, without the file
        self._arrays: dict[int, Any] = {}

    def array(self, number: int, whole_frames: bool = True) -> Any:
        """Return a series as an array that is read on access."""
        if number not in self._arrays:
            series = self.series[number]
            if len(self._arrays) >= _KNOWN:
                self._arrays.clear()
            if series.dataoffset is not None and not whole_frames:
                dtype = np.dtype(self.byteorder + series.dtype.char)
                return np.memmap(self.path, dtype, "r", series.dataoffset, series.shape)
            # One chunk per page: a frame is read at once, whatever its number of strips.
            store = series.aszarr(level=0, chunkmode="page", read_only=True, _openfiles=0)
            self._arrays[number] = zarr.open_array(store, mode="r")
        return self._arrays[number]

    def promised(self) -> int:
        """Return the number of images that the header announces, without those in SubIFDs, which are no pages."""
        levels = (level for series in self.series for level in series.levels if not level.keyframe.is_subifd)
        return sum(level.size // max(level.keyframe.size, 1) for level in levels)

    def files(self) -> set[Path]:
        """Return the files that hold the pages."""
        if not any(series.is_multifile for series in self.series):
            return {Path(os.path.abspath(self.path))}
        pages = (page for series in self.series for page in series if page is not None)
        return {Path(name) for name in {page.parent.filehandle.path for page in pages}}


def tiff_pages(path: Path, plain: bool = False) -> TiffPages:
    """Return the pages of a file in its present state, cached for the next frame."""
    about = path.stat()
    return _pages_of(path, (about.st_ino, about.st_mtime_ns, about.st_size), plain)


@lru_cache(maxsize=_KNOWN)
def _pages_of(path: Path, stamp: tuple[int, int, int], plain: bool) -> TiffPages:
    return TiffPages(path, plain)


class TiffFrames:
    """Reads single frames of a TIFF file; can be pickled.

    Parameters
    ----------
    path : Path
    series : sequence of (int, FrameAxes)
        Numbers of the series whose frames are concatenated, with their axes.
    absent : mapping of frame to str
        Reason why it is absent.
    plain : bool
        See `TiffPages`.
    fill : float or None
        Value that marks pixels without a measurement.
    """

    def __init__(
        self,
        path: Path,
        series: Sequence[tuple[int, FrameAxes]],
        absent: Mapping[int, str],
        plain: bool = False,
        fill: float | None = None,
    ) -> None:
        self.path = path
        self.series = tuple(series)
        self.ends = list(accumulate(axes.shape[0] for _, axes in series))
        self.absent = dict(absent)
        self.plain = plain
        self.fill = fill

    def __call__(self, t: int) -> NDArray[Any]:
        if t in self.absent:
            raise absent_frame(t, str(self.path), self.absent[t])
        number, axes = self.series[bisect_right(self.ends, t)]
        before = self.ends[bisect_right(self.ends, t)] - axes.shape[0]
        frame = axes.cut(tiff_pages(self.path, self.plain).array(number, axes.last), t - before)
        return frame if self.fill is None else without_fill(frame, self.fill)


def read_tiff(path: Path, signal: Wanted = None) -> Movie:
    """Open the images of a TIFF file as a movie.

    Parameters
    ----------
    path : Path
    signal : str, int, callable or None
        Name or number of the series; None: similar series are concatenated, and of others the largest is taken, with a
        warning.

    Raises
    ------
    InputError
        If it is not a TIFF file, is damaged or truncated, has an unsupported compression, holds complex numbers or
        colour, or has more axes than time, height and width.
    """
    try:
        return _read(path, signal)
    except InputError:
        raise
    except Exception as error:  # damaged files cause many types of error, such as struct.error
        raise InputError(
            f"a TIFF file at {path}", str(error), "Check that it was copied completely, or export it again."
        ) from error


def _read(path: Path, signal: Wanted) -> Movie:
    pages, plain, header = _believable(path)
    if not pages.series:
        raise InputError("a TIFF file with an image", f"none in {path}", "Export the movie again.")
    main = path.with_name(header.main_file) if header.main_file else path
    if main != path and main.is_file() and by_suffix(main) is TIFF and not tiff_pages(main).header.main_file:
        return _read(main, signal)
    signals = [_signal(pages, number, path) for number in range(len(pages.series))]
    chosen = choose(signals, signal, path.name, lambda number: scale_of(header, path.name, number)[0])
    series = [(one.number, one.axes) for one in chosen if one.axes is not None]
    first, axes = series[0]
    count = sum(axes.shape[0] for _, axes in series)
    _check_complete(pages, series, path)
    _check_codec(pages.series[first].keyframe, path)
    for complaint in filter(_LACKS_FILES.search, pages.complaints):
        warnings.warn(f"Files of the recording that {path.name} belongs to are missing: {complaint}", stacklevel=4)
    _warn_of_colours(pages.series[first].keyframe, path)
    absent, why = _absent(pages, series, header, path)
    warn_of_absent(absent, count, path.name, why)
    if header.fill is not None:
        warn_of_fill(header.fill, path.name)
    pixel_size, frame_time = scale_of(header, path.name, first)
    dtype = pages.series[first].dtype
    lacking = dict.fromkeys(absent, why)
    frames = lazy_frames(
        TiffFrames(path, series, lacking, plain, header.fill),
        (count, *axes.shape[1:]),
        dtype if header.fill is None else type_with_nan(dtype),
    )
    files = frozenset(pages.files())
    pixel_size, metadata = with_sidecar(path, axes.shape[2], pixel_size, metadata_of(header, path.name, first))
    named = len(signals) > len(chosen) == 1 and pages.series[first].kind == "ome" and chosen[0].name
    name = f"{path.stem} {chosen[0].name}" if named else path.stem
    return Movie(frames, pixel_size, frame_time, name, str(path), files, lacking, metadata)


def _believable(path: Path) -> tuple[TiffPages, bool, Header]:
    """Return the pages as grouped by the header, or (True) by themselves if the header counts them wrongly."""
    pages, why = None, ""
    try:
        pages = tiff_pages(path)
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:  # caused by the header
        problem = error
        why = f"cannot be read ({problem})"
    if pages is not None:
        why = _miscounted(pages)
        if not why:
            return pages, False, pages.header
    try:
        plain = tiff_pages(path, plain=True)
    except Exception:  # then the error is not in the header
        plain = None
    if plain is None or any(_BROKEN.search(text) for text in plain.complaints):
        if pages is None:
            raise problem
        return pages, False, pages.header
    warnings.warn(
        f"The header of {path.name} {why}, the file holds {plain.pages}: the pages count, not the header.", stacklevel=5
    )
    return plain, True, pages.header if pages else plain.header


def _miscounted(pages: TiffPages) -> str:
    """Describe a wrong count of images in the header; empty if it is right."""
    taken = pages.promised()
    promised = max(taken, int(pages.header.imagej.get("images", 1)))
    if pages.pages <= 1:  # a single page may describe all frames that follow it
        return ""
    lost = any(_BROKEN.search(text) for text in pages.complaints)
    # OME files, and files of a set, may lack pages: those are reported as absent frames.
    stack = all(series.kind in ("shaped", "imagej") for series in pages.series)
    if lost or taken < max(pages.pages, promised) or (stack and taken > pages.pages):
        return f"promises {promised} images"
    return ""


def _signal(pages: TiffPages, number: int, path: Path) -> Signal:
    series = pages.series[number]
    letters = series.axes
    apart = series.kind == "ome"
    try:
        if series.kind == "imagej" and letters.count("C") == 1 and series.shape[letters.index("C")] > _MOST_CHANNELS:
            count = series.shape[letters.index("C")]
            warnings.warn(f"The {count} channels of {path.name} are taken for frames.", stacklevel=5)
            letters = letters.replace("C", "I")
        # ImageJ saves every stack as Z slices.
        stacks = "TQZ" if series.kind == "imagej" else "TQ"
        axes = frame_axes(series.shape, letters, str(path), stacks)
        check_dtype(series.dtype, str(path))
    except InputError as problem:
        return Signal(number, series.name, series.shape, series.dtype, None, problem, apart)
    return Signal(number, series.name, series.shape, series.dtype, axes, None, apart)


def _absent(
    pages: TiffPages, chosen: Sequence[tuple[int, FrameAxes]], header: Header, path: Path
) -> tuple[list[int], str]:
    """Return the frames without a page, or without a strip of one, and why."""
    absent: list[int] = []
    before = 0
    for number, axes in chosen:
        series = pages.series[number]
        before += axes.shape[0]
        if series.dataoffset is not None:
            continue
        lacking = [i for i, page in enumerate(series) if not _is_there(page)]
        if lacking and not (axes.last and len(series) == axes.shape[0]):
            raise InputError(
                "a complete TIFF file",
                f"{path}, {len(lacking)} of whose {len(series)} pages are missing",
                "Copy it anew from where it was recorded.",
            )
        absent += [before - axes.shape[0] + i for i in lacking]
    files = header.absent_files(path.parent)
    named = f"{', '.join(files[:3])}{' …' if len(files) > 3 else ''}"
    return absent, f"{named} should be beside it, but is not there" if files else "no page of it holds them"


def _is_there(page: Any) -> bool:
    return page is not None and bool(page.dataoffsets) and all(page.databytecounts)


def _check_codec(page: Any, path: Path) -> None:
    try:
        if page.compression != 1:
            _try(tifffile.TIFF.DECOMPRESSORS[page.compression])
        if page.predictor != 1:
            tifffile.TIFF.UNPREDICTORS[page.predictor]
    except (KeyError, ImportError):
        raise codec_error(f"compression {page.compression!r} in {path}") from None


def _warn_of_colours(page: Any, path: Path) -> None:
    """Warn if an image is displayed otherwise than in increasing grey."""
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and page.bitspersample > 1:
        warnings.warn(
            f"{path.name} says that 0 is white: its numbers are taken as they are, so that bright is dark where a "
            "program for pictures shows it.",
            stacklevel=5,
        )
    colours = page.colormap if page.photometric == tifffile.PHOTOMETRIC.PALETTE else None
    if colours is not None and not ((colours == colours[0]).all() and (np.diff(colours[0].astype(int)) >= 0).all()):
        warnings.warn(
            f"{path.name} is shown in colours of a palette: the numbers in it are taken as grey values, as in an image "
            "that ImageJ saved with a lookup table. They are none if the image was reduced to so many colours.",
            stacklevel=5,
        )


def _try(decode: Callable[[bytes], Any]) -> None:
    """Raise ImportError if a codec is only registered: some are imported on first use."""
    try:
        decode(b"")
    except ImportError:
        raise
    except Exception:  # an error on empty input is expected
        return


def codec_error(found: str) -> InputError:
    """Return the error for a TIFF file with an unsupported compression."""
    return InputError(
        "a TIFF file without compression, or with Deflate",
        found,
        'Save it uncompressed, or install the package imagecodecs: pip install "napari-menndl[codecs]".',
    )


@contextmanager
def complaints() -> Iterator[list[str]]:
    """Collect what tifffile only logs while it opens a file, such as a broken chain of pages."""
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


def _check_complete(pages: TiffPages, chosen: Sequence[tuple[int, FrameAxes]], path: Path) -> None:
    """Raise on opening if a file is truncated: tifffile drops missing pages, or fails in the middle of a movie."""
    short = any(_BROKEN.search(text) for text in pages.complaints)
    for series in (pages.series[number] for number, _ in chosen):
        if series.dataoffset is not None:
            short |= series.dataoffset + series.nbytes > pages.size
            continue
        pages_there: list[Any] = [page for page in series if _is_there(page)]
        for page in pages_there:
            whole = zip(page.dataoffsets, page.databytecounts, strict=False)
            short |= any(offset + count > page.parent.filehandle.size for offset, count in whole)
            like = page.keyframe
            if like.compression == 1:
                row = -(-like.imagewidth * like.samplesperpixel * like.bitspersample // 8)
                short |= sum(page.databytecounts) < like.imagelength * row
    promised = int(pages.header.imagej.get("images", 1)) if pages.series[chosen[0][0]].kind == "imagej" else 1
    if short or promised > sum(axes.shape[0] for _, axes in chosen):
        raise InputError(
            "a complete TIFF file",
            f"{path} is cut short, after {pages.size} bytes",
            "Copy it anew from where it was recorded.",
        )
