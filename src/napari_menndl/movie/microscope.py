"""Movies from microscope file formats: choice of the signal, axis order and calibration."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.absent import warn_of_absent
from napari_menndl.movie.axes import letter_of
from napari_menndl.movie.calibration import has_unit, read_frame_time, read_pixel_size
from napari_menndl.movie.formats import MICROSCOPE
from napari_menndl.movie.hdf5 import hdf5_arrays, zspy_arrays
from napari_menndl.movie.metadata import read_metadata
from napari_menndl.movie.movie import Movie, lazy_frames
from napari_menndl.movie.ome_zarr import NO_CHUNKS
from napari_menndl.movie.signals import Option, Question, Wanted, detector_rank
from napari_menndl.movie.stored import gatan_arrays, mrc_arrays, nion_arrays, tia_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_menndl.movie.stored import Axis, StoredArray

_LISTS = {
    "Gatan DigitalMicrograph": gatan_arrays,
    "FEI TIA": tia_arrays,
    "FEI TIA's index": tia_arrays,
    "MRC": mrc_arrays,
    "HyperSpy in zarr": zspy_arrays,
    "Nion Swift": nion_arrays,
}
_Y = re.compile(r"(?:[rkq]_?)?y|(?:scan|position|pos)[ _-]?y|y[ _-]?(?:axis|position|pos)|height|rows?", re.IGNORECASE)
_X = re.compile(
    r"(?:[rkq]_?)?x|(?:scan|position|pos)[ _-]?x|x[ _-]?(?:axis|position|pos)|width|col(?:umn)?s?", re.IGNORECASE
)
_RECIPROCAL = re.compile(r"1/.*|mrad|rad|deg|°", re.IGNORECASE)
_SPECTRAL = re.compile(r"[mkMG]?(?:eV|Hz|V)|ev|kev|hz")


@dataclass(frozen=True)
class Layout:
    """Indices of a signal's axes of height, width and frames; `doubt` says why it may not be a movie."""

    y: int = 0
    x: int = 0
    t: int | None = None
    doubt: str = ""
    readable: bool = True
    guessed: bool = False


class MicroscopeFrames:
    """Reads single frames (Y, X) of a signal in any axis order; keeps no file open."""

    def __init__(self, signal: StoredArray, layout: Layout) -> None:
        self.read = signal.read
        self.ndim = len(signal.axes)
        self.layout = layout

    def __call__(self, t: int) -> NDArray[Any]:
        index: list[int | slice] = [0] * self.ndim
        index[self.layout.y] = index[self.layout.x] = slice(None)
        if self.layout.t is not None:
            index[self.layout.t] = t
        frame = self.read(tuple(index))
        return frame if self.layout.y < self.layout.x else frame.T


def read_microscope(path: Path, signal: Wanted = None) -> Movie:
    """Open one signal of a microscope file as a movie; a warning names it if the file has several.

    Parameters
    ----------
    path : Path
        File in one of the formats of `formats.MICROSCOPE`.
    signal : str, int or callable, optional
        Name, part of the name, or number of the signal. By default the stack of images, or the image; a named signal is
        read even if it is a stack of something else, such as diffraction patterns.

    Returns
    -------
    Movie
        `pixel_size` (y, x) [nm] and `frame_time` [s] from the file, None if missing or, with a `CalibrationWarning`,
        implausible.

    Raises
    ------
    InputError
        If the file is damaged or of another format, if the package that reads it is missing, if there is no such
        signal, or if the signal is not (T, Y, X) of real numbers.
    """
    signals = list_arrays(path)
    layouts = [lay_out(one) for one in signals]
    number = _choose(path, signals, layouts, signal)
    chosen, layout = signals[number], layouts[number]
    for note in chosen.notes:
        warnings.warn(f"{path.name}: {note}", stacklevel=2)
    if layout.guessed:
        places = {layout.y: "height", layout.x: "width", layout.t: "frames"}
        order = ", ".join(places[i] for i in range(len(chosen.axes)) if i in places)
        warnings.warn(
            f"{path.name} does not name its axes of height and width: {chosen.shape} is taken as {order}.", stacklevel=2
        )
    y, x = chosen.axes[layout.y], chosen.axes[layout.x]
    t = None if layout.t is None else chosen.axes[layout.t]
    shape = 1 if t is None else t.size, y.size, x.size
    dtype = chosen.dtype.newbyteorder("=")
    frames = MicroscopeFrames(chosen, layout)
    absent = [] if layout.t is None or not hasattr(chosen.read, "unwritten") else chosen.read.unwritten(layout.t)
    warn_of_absent(absent, shape[0], path.name, NO_CHUNKS)
    try:
        frames(shape[0] - 1)  # fails now if the file is truncated or its compression unsupported
    except Exception as error:
        raise _damaged(path, error) from error
    pixel_size = read_pixel_size((y.scale, x.scale), (y.units, x.units), path.name)
    frame_time = read_frame_time(t.scale, t.units, path.name) if t is not None and has_unit(t.units) else None
    name = path.stem if len(signals) == 1 else f"{path.stem} {chosen.name}"
    return Movie(
        lazy_frames(frames, shape, dtype),
        pixel_size,
        frame_time,
        name,
        str(path),
        absent=dict.fromkeys(absent, NO_CHUNKS),
        metadata=read_metadata(chosen.facts, path.name),
    )


def list_arrays(path: Path) -> list[StoredArray]:
    """List the arrays of a microscope file with names, axes and dtypes; InputError if it cannot be opened."""
    suffix = path.suffix.lower()
    try:
        beginning = b"folder" if path.is_dir() else _beginning(path)
    except OSError as error:
        raise InputError(f"a readable file at {path}", str(error), "Check its permissions and the disk.") from error
    if not beginning:
        raise InputError("a microscope's file", f"an empty file, {path}", "Copy it anew from where it was recorded.")
    content = next((one for one in MICROSCOPE if any(beginning.startswith(mark) for mark in one.beginnings)), None)
    named = next((one for one in MICROSCOPE if suffix in one.suffixes), content)
    if named is None:
        raise InputError("a microscope's file", str(path), "Export the movie as TIFF.")
    if named.beginnings and content is not named:
        remedy = f"Rename it to end in {content.suffixes[0]}" if content else "Copy it anew from where it was recorded"
        raise InputError(
            f"a file of {named.name}",
            f"{path}, whose content is {content.name if content else 'of another kind, or damaged'}",
            f"{remedy}, or export the movie as TIFF.",
        )
    try:
        signals = list(_LISTS.get(named.name, hdf5_arrays)(path))
    except InputError:
        raise
    except Exception as error:  # file libraries raise many types of error for damaged files
        raise _damaged(path, error) from error
    if not signals:
        raise InputError("a movie or an image", f"no array of numbers in {path}", "Open another file.")
    return signals


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(8)


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"a complete file at {path}",
        f"{type(error).__name__}: {error}",
        "Copy it anew from where it was recorded, or export the movie as TIFF.",
    )


def lay_out(signal: StoredArray) -> Layout:
    """Find the axes of frames, height and width of a signal by the names, units and roles of its axes."""
    axes = signal.axes
    long = [i for i, axis in enumerate(axes) if axis.size != 1]
    if signal.dtype.kind == "c" or any("imag" in name.lower() for name in signal.dtype.names or ()):
        return Layout(doubt="complex numbers", readable=False)
    if signal.dtype.kind not in "buif":
        return Layout(doubt="colour or records", readable=False)
    if len(long) < 2 or len(axes) < 2:
        return Layout(doubt="a spectrum or a line", readable=False)
    y, x, guessed = _height_width(axes, long)
    rest = [i for i in long if i not in (y, x)]
    last = axes[long[-1]]
    narrow = last.size in (3, 4) and min(axes[y].size, axes[long[0]].size) > 4
    if guessed and len(long) > 2 and narrow and not letter_of(last.name):
        return Layout(doubt="colour, it seems", readable=False)
    if len(rest) > 1:
        return Layout(doubt=f"{len(long)}-dimensional, as 4D-STEM and maps of spectra are", readable=False)
    doubt = signal.kind
    if rest and letter_of(axes[rest[0]].name) in ("C", "S"):
        doubt = doubt or f"along {axes[rest[0]].name!r}, not time"
    roles = [i for i in long if axes[i].image]
    if any(_SPECTRAL.fullmatch(axis.units) for axis in axes) or (len(roles) == 1 and roles[0] not in (y, x)):
        doubt = doubt or "spectra"
    elif any(_RECIPROCAL.fullmatch(axes[i].units) for i in (y, x)):
        doubt = doubt or f"diffraction patterns, in {axes[y].units or axes[x].units}"
    return Layout(y, x, rest[0] if rest else None, doubt, guessed=guessed)


def _height_width(axes: tuple[Axis, ...], long: list[int]) -> tuple[int, int, bool]:
    """Return the axes of height and width, and whether they were guessed.

    They are those of an image by role, else by name, else the last two that are not named as something else, such as
    time.
    """
    roles = [i for i in range(len(axes)) if axes[i].image]
    for group in ([roles] if len(roles) == 2 else []) + [list(range(len(axes)))]:
        heights = [i for i in group if _Y.fullmatch(axes[i].name)]
        widths = [i for i in group if _X.fullmatch(axes[i].name)]
        if len(heights) == len(widths) == 1:
            return heights[0], widths[0], False
        if group is roles:
            return roles[0], roles[1], False
    unnamed = [i for i in long if letter_of(axes[i].name) not in ("T", "C", "S", "Z")]
    y, x = unnamed[-2:] if len(unnamed) > 1 else long[-2:]
    return y, x, True


def _choose(path: Path, signals: list[StoredArray], layouts: list[Layout], wanted: Wanted) -> int:
    if wanted is not None and not callable(wanted):
        number = _find(path, signals, layouts, wanted)
        if not layouts[number].readable:
            raise InputError(
                "frames of (T, Y, X), real numbers",
                f"{_describe(number, signals, layouts)} in {path}",
                "Export one image per frame from it, or open it yourself and give the array.",
            )
        return number
    candidates = [i for i, layout in enumerate(layouts) if not layout.doubt]
    stacks = [i for i in candidates if layouts[i].t is not None] or candidates
    number = min(
        stacks, key=lambda i: (detector_rank(signals[i].name), -int(np.prod(signals[i].shape)), i), default=len(signals)
    )
    possible = sum(layout.readable for layout in layouts)
    if callable(wanted) and (possible > 1 or (possible and not candidates)):
        options = tuple(_option(i, signals[i], layouts[i]) for i in range(len(signals)))
        return wanted(Question(path.name, options, number if candidates else None))
    if not candidates:
        insist = [i for i, layout in enumerate(layouts) if layout.readable]
        remedy = (
            f"If these are the frames, insist: signal={insist[0]} (--signal {insist[0]})."
            if insist
            else "Export the images as TIFF."
        )
        raise InputError("a movie or an image", f"{_list(signals, layouts)} in {path}", remedy)
    if len(signals) > 1:
        others = _list(signals, layouts, but=number)
        warnings.warn(
            f"{path.name} holds {len(signals)} signals; {_describe(number, signals, layouts)} is the movie. "
            f"Others, for signal=… (--signal): {others}.",
            stacklevel=3,
        )
    return number


def _option(number: int, signal: StoredArray, layout: Layout) -> Option:
    """Describe a signal as a choice, with its shape in the order frames, height, width."""
    if not layout.readable:
        return Option(number, signal.name, signal.shape, signal.dtype, None, layout.doubt, possible=False)
    y, x = signal.axes[layout.y], signal.axes[layout.x]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings are given for the chosen signal only
        size = read_pixel_size((y.scale, x.scale), (y.units, x.units), "")
    shape = (1 if layout.t is None else signal.axes[layout.t].size, y.size, x.size)
    return Option(number, signal.name, shape, signal.dtype, size, layout.doubt)


def _find(path: Path, signals: list[StoredArray], layouts: list[Layout], wanted: str | int) -> int:
    text = str(wanted).strip().lower()
    if text.isdecimal() and int(text) < len(signals):
        return int(text)
    names = [signal.name.lower() for signal in signals]
    found = [i for i, name in enumerate(names) if name == text] or [i for i, name in enumerate(names) if text in name]
    if len(found) != 1 or not text:
        raise InputError(
            f"one signal {wanted!r} in {path}",
            f"{len(found) if text else 'none'}; the file holds {_list(signals, layouts)}",
            "Give its number, or more of its name.",
        )
    return found[0]


def _list(signals: list[StoredArray], layouts: list[Layout], but: int | None = None) -> str:
    numbers = [i for i in range(len(signals)) if i != but]
    text = ", ".join(_describe(i, signals, layouts) for i in numbers[:8])
    return text if len(numbers) <= 8 else f"{text} and {len(numbers) - 8} more"


def _describe(number: int, signals: list[StoredArray], layouts: list[Layout]) -> str:
    shape = " × ".join(str(n) for n in signals[number].shape)
    doubt = layouts[number].doubt
    return f"{number} {signals[number].name!r} ({shape}{': ' + doubt if doubt else ''})"
