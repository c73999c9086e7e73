"""Choice of the movie among several images of a file."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_menndl.errors import InputError
from napari_menndl.movie.axes import ManyAxesError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np

    from napari_menndl.movie.axes import FrameAxes


@dataclass(frozen=True)
class Option:
    """One of the movies that a file can be opened as.

    Attributes
    ----------
    number : int
        Number of its image in the file; the first of several that are concatenated.
    name : str
        Name in the file; may be empty.
    shape : tuple of int
    dtype : dtype or None
    pixel_size : (y, x) float [nm] or None
    note : str
        Information for the choice; may be empty.
    possible : bool
        Whether it can be opened.
    """

    number: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    pixel_size: tuple[float, float] | None = None
    note: str = ""
    possible: bool = True


@dataclass(frozen=True)
class Question:
    """The question which image of a file is the movie.

    Attributes
    ----------
    source : str
        The file.
    options : tuple of Option
        All images of the file, including those that cannot be opened.
    likely : int or None
        The number chosen by default; None if there is none.
    """

    source: str
    options: tuple[Option, ...]
    likely: int | None


#: Detectors by preference, the most informative on positions of atoms and defects first.
_PREFERRED = ("haadf", "adf", "maadf", "laadf", "bf")
#: Asks the user a question and returns the number of the chosen option.
Ask: TypeAlias = "Callable[[Question], int]"
#: A choice of the signal: its name or number, a callable that asks the user, or None.
Wanted: TypeAlias = "str | int | Ask | None"


@dataclass(frozen=True)
class Signal:
    """One image of a file: a series of a TIFF file, an image of a zarr group.

    Attributes
    ----------
    number : int
        Position in the file, from 0.
    name : str
        Name in the file; may be empty.
    shape : tuple of int
    dtype : dtype or None
    axes : FrameAxes or None
        Axes of its frames; None if it is not a movie.
    problem : InputError or None
        Why it is not a movie.
    apart : bool
        Whether the file marks it as a separate image, not as pages that continue others.
    """

    number: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any] | None
    axes: FrameAxes | None
    problem: InputError | None = None
    apart: bool = False

    def __str__(self) -> str:
        return f"{self.number}{f' {self.name!r}' if self.name else ''} of shape {self.shape} {self.dtype}"

    @property
    def pixels(self) -> int:
        """Number of pixels in all frames."""
        count, height, width = self.axes.shape if self.axes else (0, 0, 0)
        return count * height * width

    def follows(self, other: Signal) -> bool:
        """Whether both can be parts of one movie: equal except for the number of frames and a number in their names."""
        if self.axes is None or other.axes is None or self.dtype != other.dtype:
            return False
        if self.axes.shape[1:] != other.axes.shape[1:] or self.axes.last != other.axes.last:
            return False
        if re.sub(r"\d+", "", self.name) != re.sub(r"\d+", "", other.name):
            return False
        return not self.apart or self.axes.shape[0] == other.axes.shape[0] == 1


def choose(
    signals: Sequence[Signal],
    wanted: Wanted,
    source: str,
    pixel_size: Callable[[int], tuple[float, float] | None] = lambda number: None,
) -> list[Signal]:
    """Return the signals that make up the movie, in order.

    Similar signals are concatenated: programs that append page by page write such files. Otherwise the one with most
    pixels is taken; previews are smaller, or have colour.

    Parameters
    ----------
    signals : sequence of Signal
        At least one.
    wanted : str, int, callable or None
        Name or number of a signal, or a callable that is asked if there are several.
    source : str
        Named in errors and warnings.
    pixel_size : callable
        ``pixel_size(number)`` returns that of a signal [nm], shown in the question.

    Raises
    ------
    InputError
        If there is no such signal, or none that is a movie.

    Warns
    -----
    UserWarning
        Names what was taken and what was not, if there was no choice.
    """
    if wanted is not None and not callable(wanted):
        chosen = _find(signals, wanted, source)
        if chosen.problem is not None:
            raise chosen.problem
        return [chosen]
    groups: list[list[Signal]] = []
    for signal in signals:
        if signal.axes is None:
            continue
        group = next((group for group in groups if signal.follows(group[0])), None)
        if group is None:
            groups.append([signal])
        else:
            group.append(signal)
    taken = max(groups, key=_likelihood, default=[])
    if callable(wanted):
        options = _options(signals, groups, pixel_size)
        if sum(option.possible for option in options) > 1:
            number = wanted(Question(source, options, taken[0].number if taken else None))
            chosen = next(signal for signal in signals if signal.number == number)
            if chosen.problem is not None:
                raise chosen.problem
            return next(group for group in groups if chosen in group)
    # Next to a larger image with more axes, one of which may be time, the others are previews.
    many = [one for one in signals if isinstance(one.problem, ManyAxesError)]
    larger = [one for one in many if math.prod(one.shape) > sum(two.pixels for two in taken)]
    if larger or not taken:
        problem = next((one.problem for one in (*larger, *signals) if one.problem is not None), None)
        raise problem or InputError("an image", source, "Export it anew.")
    left = [signal for signal in signals if signal not in taken]
    said = []
    if len(taken) > 1:
        said.append(f"{source} was written piece by piece: its {len(taken)} series of images follow one another")
    if left:
        said.append(
            f"{'' if said else f'of the {len(signals)} images in {source}, '}the movie is "
            f"{taken[0] if len(taken) == 1 else 'these'}, not {'; '.join(map(str, left[:6]))}"
            f"{' …' if len(left) > 6 else ''}. Choose another with signal=… (--signal), by number or name"
        )
    if said:
        text = "; ".join(said)
        warnings.warn(f"{text[0].upper() + text[1:] if not text.startswith(source) else text}.", stacklevel=3)
    return taken


def detector_rank(name: str) -> int:
    """Return the rank of a signal's detector among the preferred ones; the last rank for others."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((rank for rank, word in enumerate(_PREFERRED) if word in words), len(_PREFERRED))


def _likelihood(group: Sequence[Signal]) -> tuple[int, int, int]:
    """Return the sort key by which one of several images is the movie, its number of pixels first."""
    first = group[0]
    # A screenshot has the size of the image, but a smaller dtype.
    depth = first.dtype.itemsize if first.dtype else 0
    return sum(signal.pixels for signal in group), depth, -detector_rank(first.name)


def _options(
    signals: Sequence[Signal],
    groups: Sequence[Sequence[Signal]],
    pixel_size: Callable[[int], tuple[float, float] | None],
) -> tuple[Option, ...]:
    def size_of(number: int) -> tuple[float, float] | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings are given for the chosen signal only
            return pixel_size(number)

    options = []
    for group in groups:
        first = group[0]
        count = sum(signal.axes.shape[0] for signal in group if signal.axes)
        shape = (count, *first.axes.shape[1:]) if first.axes else first.shape
        note = f"{len(group)} series that follow one another" if len(group) > 1 else ""
        options.append(Option(first.number, first.name, shape, first.dtype, size_of(first.number), note))
    for signal in signals:
        if signal.problem is not None:
            many = isinstance(signal.problem, ManyAxesError)
            note = f"{len(signal.shape)} axes: asks next which is time" if many else f"not {signal.problem.expected}"
            size = size_of(signal.number) if many else None
            options.append(Option(signal.number, signal.name, signal.shape, signal.dtype, size, note, many))
    return tuple(sorted(options, key=lambda option: option.number))


def ask_once(ask: Ask) -> Ask:
    """Wrap a question so that files with the same images, as in a series, share one answer."""
    answers: dict[Any, int] = {}

    def answer(question: Question) -> int:
        key = tuple((one.number, one.name, one.shape[-2:], str(one.dtype)) for one in question.options)
        if key not in answers:
            answers[key] = ask(question)
        return answers[key]

    return answer


def _find(signals: Sequence[Signal], wanted: str | int, source: str) -> Signal:
    for signal in signals:
        if wanted == signal.number or (isinstance(wanted, str) and wanted.casefold() == signal.name.casefold()):
            return signal
    number = int(wanted) if isinstance(wanted, str) and wanted.isdecimal() else None
    for signal in signals:
        if signal.number == number:
            return signal
    known = "; ".join(map(str, signals[:12]))
    raise InputError(f"a signal among {known}", f"no {wanted!r} in {source}", "Choose one by its number or its name.")


def only_one(wanted: Wanted, source: str) -> None:
    """Refuse a choice of signal for a source with a single image or array."""
    if wanted not in (None, 0, "0") and not callable(wanted):
        raise InputError(f"no choice of a signal: {source} holds one", repr(wanted), "Leave signal out.")
