"""Files with several images: which of them is the movie."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from napari_menndl.movie.axes import FrameAxes


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


def choose(signals: Sequence[Signal], wanted: str | int | None, source: str) -> list[Signal]:
    """The signals that are the movie, one after another.

    Signals that are alike follow one another: a program that appends page by page writes such files. Of several others
    the one with most pixels is taken; previews are smaller, or have colour.

    Parameters
    ----------
    signals : sequence of Signal
        At least one.
    wanted : str, int or None
        The name or the number of a signal, if a person chose one.
    source : str
        Named in errors and warnings.

    Raises
    ------
    InputError
        If there is no such signal, or none that is a movie.

    Warns
    -----
    UserWarning
        What was taken and what was not, where nobody chose.
    """
    if wanted is not None:
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
    if not groups:
        raise next((s.problem for s in signals if s.problem), None) or InputError("an image", source, "Export it anew.")
    # A picture of the screen has the size of the image, but fewer grey values.
    taken = max(groups, key=lambda g: (sum(s.pixels for s in g), g[0].dtype.itemsize if g[0].dtype else 0))
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


def only_one(wanted: str | int | None, source: str) -> None:
    """Refuse a choice where there is none: a single image or array."""
    if wanted not in (None, 0, "0"):
        raise InputError(f"no choice of a signal: {source} holds one", repr(wanted), "Leave signal out.")
