"""Files with several images: which of them is the movie."""

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
    """One of the movies that a file may be opened as.

    Attributes
    ----------
    number : int
        Of its image in the file; of the first, where several follow one another.
    name : str
        What the file calls it; may be empty.
    shape : tuple of int
    dtype : dtype or None
    pixel_size : (y, x) float [nm] or None
    note : str
        What is to be known before it is chosen; may be empty.
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
    """Which image of a file the movie is.

    Attributes
    ----------
    source : str
        The file.
    options : tuple of Option
        All its images, those that cannot be opened included.
    likely : int or None
        The number of the one that is taken where nobody is asked; None where none would be.
    """

    source: str
    options: tuple[Option, ...]
    likely: int | None


#: What is taken of several images alike, the most telling of atoms' positions and defects first.
_PREFERRED = ("haadf", "adf", "maadf", "laadf", "bf")
#: Puts a question to a person and yields the number of the option that is chosen.
Ask: TypeAlias = "Callable[[Question], int]"
#: What is said of the signal to open: its name or number, who is to be asked, or nothing.
Wanted: TypeAlias = "str | int | Ask | None"


@dataclass(frozen=True)
class Signal:
    """One of the images of a file: a series of a TIFF file, an image of a zarr group.

    Attributes
    ----------
    number : int
        Its place in the file, from 0.
    name : str
        What the file calls it; may be empty.
    shape : tuple of int
    dtype : dtype or None
    axes : FrameAxes or None
        Where its frames lie; None where it is no movie.
    problem : InputError or None
        Why it is none.
    apart : bool
        Whether the file means it as an image of its own, not as pages that follow others.
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
        """In all its frames."""
        count, height, width = self.axes.shape if self.axes else (0, 0, 0)
        return count * height * width

    def follows(self, other: Signal) -> bool:
        """Whether both can be frames of one movie: alike but for their count and a number in their names."""
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
    """The signals that are the movie, one after another.

    Signals that are alike follow one another: a program that appends page by page writes such files. Of several others
    the one with most pixels is taken; previews are smaller, or have colour.

    Parameters
    ----------
    signals : sequence of Signal
        At least one.
    wanted : str, int, callable or None
        The name or the number of a signal, if a person chose one; who is asked where there are several.
    source : str
        Named in errors and warnings.
    pixel_size : callable
        ``pixel_size(number)`` of a signal [nm], for a person to see.

    Raises
    ------
    InputError
        If there is no such signal, or none that is a movie.

    Warns
    -----
    UserWarning
        What was taken and what was not, where nobody chose.
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
    # Beside a larger image of more axes, one of which may be time, the rest are previews.
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
            f"{' …' if len(left) > 6 else ''}. Choose another with signal=…, by number or name"
        )
    if said:
        text = "; ".join(said)
        warnings.warn(f"{text[0].upper() + text[1:] if not text.startswith(source) else text}.", stacklevel=3)
    return taken


def detector_rank(name: str) -> int:
    """The place of a signal's detector among those that are preferred; behind them where it has none of their names."""
    words = re.split(r"[^a-z]+", name.lower())
    return next((rank for rank, word in enumerate(_PREFERRED) if word in words), len(_PREFERRED))


def _likelihood(group: Sequence[Signal]) -> tuple[int, int, int]:
    """What decides which of several images is the movie: its pixels first."""
    first = group[0]
    # A picture of the screen has the size of the image, but fewer grey values.
    depth = first.dtype.itemsize if first.dtype else 0
    return sum(signal.pixels for signal in group), depth, -detector_rank(first.name)


def _options(
    signals: Sequence[Signal],
    groups: Sequence[Sequence[Signal]],
    pixel_size: Callable[[int], tuple[float, float] | None],
) -> tuple[Option, ...]:
    def size_of(number: int) -> tuple[float, float] | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # said of the one that is opened
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
    """Ask one person once about files that hold the same images, as the files of a series do."""
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
    """Refuse a choice where there is none: a single image or array."""
    if wanted not in (None, 0, "0") and not callable(wanted):
        raise InputError(f"no choice of a signal: {source} holds one", repr(wanted), "Leave signal out.")
