"""Frame numbers from the columns of a table, which count from 0 or from 1."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from napari_menndl.annotation.clicks.header import (
    CHANNEL,
    DEPTH,
    FILE,
    FRAME_FROM_0,
    FRAME_FROM_1,
    LABELS,
    TIME,
    Column,
)
from napari_menndl.annotation.clicks.text import as_numbers, doubt
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: ImageJ's labels: "movie.tif:0003-0123-0456" (slice, y, x), "movie.tif:t:3/10", "movie.tif:3/10", "movie.tif:0003".
_SLICE_IN_LABEL = [r"(?:^|:)(\d{4,})-\d{4,}-\d{4,}(?=:|$)", r"\bt:(\d+)/\d+", r":(\d+)/\d+", r":(\d{4,})(?=:|$)"]
_IMAGE_FILE = re.compile(r"\.(?:tiff?|dm[34]|emd|ser|mrc|hspy|h5|hdf5|zarr|npy|png|jpe?g|bmp|gif|czi|nd2|lif)\b", re.I)
_REMEDY = "Name the column frame if it counts from 0, Slice if it counts from 1, and give only one."


class Frames(NamedTuple):
    """The frames of the points.

    Attributes
    ----------
    numbers : (n,) int64 or None
        From 0; None if the table has no frames.
    told : str
        The column they are from and its first number, in words; empty for a column "frame".
    used : frozenset of str
        Names of the columns that are accounted for.
    """

    numbers: npt.NDArray[np.int64] | None
    told: str
    used: frozenset[str]


def find_frames(columns: Sequence[Column], axes: Sequence[Column], imagej: bool, source: str) -> Frames:
    """Determine the frame of each point.

    If there are several columns, the one whose values differ between points is taken; a column that is constant at its
    first frame is ignored.

    Parameters
    ----------
    columns : sequence of Column
    axes : sequence of Column
        napari's axes before y and x.
    imagej : bool
        Whether the table has ImageJ's columns X and Y, so that its Frame counts from 1.
    source : str
        Named in errors.

    Raises
    ------
    InputError
        Columns that contradict each other, fractions, a column that may count from 0 or from 1, and columns of time,
        depth or file names that differ between points if no column gives the frame.
    """
    asked = [c for c in columns if not c.blank.all()]
    said: list[tuple[Column, npt.NDArray[np.int64], int]] = [(c, *_counted(c, 0, source)) for c in axes]
    for column in asked:
        if _is_time(column):
            continue
        if column.word in FRAME_FROM_1 or _is_capital_frame(column):
            said.append((column, *_counted(column, 1, source)))
        elif column.word in FRAME_FROM_0:
            said.append((column, *_counted(column, 0, source)))
        elif column.word in LABELS and (slices := _slices(column)) is not None:
            said.append((column, slices, 1))
    if not said:  # a column such as "frame number", which may count from 0 or from 1
        said = [(c, *_counted(c, None, source)) for c in asked if _may_count_frames(c)]
    chosen = _choose(said, source)
    if chosen is not None and _is_capital_frame(chosen[0]) and not imagej and chosen[2] == 1 and chosen[1].any():
        name = chosen[0].name
        doubt(f"Column {name} of {source} is taken to count from 1, as ImageJ does; name it frame if it counts from 0.")
    numbers = None if chosen is None else chosen[1]
    used = {c.name for c, _, _ in said}
    for column in asked:
        if column.name not in used and column.differs and _explained(column, numbers, source):
            used.add(column.name)
    if chosen is None:
        for column in (c for c in asked if (_is_time(c) or c.word in DEPTH) and not c.differs and c.numeric):
            if float(value := column.words.iloc[0]):
                doubt(
                    f"Column {column.name} of {source} is left out, though it is {value} for every point. "
                    "If it says the frame, name it frame or Slice."
                )
        return Frames(None, "", frozenset(used))
    first, numbers, base = chosen
    for column, other, start in said:
        if column is not first and (column in axes or ((other != numbers).any() and other.any())):
            what = f"it is {other[0] + start}" if (other != numbers).any() else f"it says what {first.name} says"
            doubt(f"Column {column.name} of {source} is left out: {what} for every point.")
    told = "" if first.name == "frame" else f"frame from column {first.name}, counted from {base}"
    return Frames(numbers, told, frozenset(used))


def _counted(column: Column, base: int | None, source: str) -> tuple[npt.NDArray[np.int64], int]:
    """Return frames from 0, and the number that the column counts from; InputError if that is ambiguous."""
    values = as_numbers(column.cells, column.name, source)
    numbers = np.rint(values).astype(np.int64)
    if (astray := np.abs(values - numbers) > 0.05).any():
        raise InputError(f"whole frame numbers in column {column.name} of {source}", f"{values[astray][0]:g}", _REMEDY)
    least = numbers.min() if len(numbers) else 1
    if base is None:
        if least > 0 and len(numbers):
            raise InputError(
                f"a column frame, counted from 0, or Slice, counted from 1, in {source}",
                f"{column.name}, whose least is {least}: it may count from 0 or from 1",
                _REMEDY,
            )
        return numbers, 0
    if base == 1 and least == 0:
        if numbers.any():
            doubt(f"Column {column.name} of {source} is taken to count from 0, since a 0 is in it.")
        return numbers, 0
    return numbers - base, base


def _slices(column: Column) -> npt.NDArray[np.int64] | None:
    """Return frames from 0, parsed from ImageJ's labels; None unless each label contains one."""
    for pattern in _SLICE_IN_LABEL:
        found = column.words.str.extract(pattern, expand=False)
        if len(found) and found.notna().all():
            return np.asarray(found.astype(np.int64).to_numpy() - 1, np.int64)
    return None


def _choose(
    said: Sequence[tuple[Column, npt.NDArray[np.int64], int]], source: str
) -> tuple[Column, npt.NDArray[np.int64], int] | None:
    """Return the column to take the frames from: if several agree, the first; InputError if they differ."""
    for telling in (lambda numbers: (numbers != numbers[:1]).any(), lambda numbers: numbers.any()):
        if tell := [one for one in said if telling(one[1])]:
            if any((one[1] != tell[0][1]).any() for one in tell):
                raise InputError(
                    f"one column that says the frame in {source}",
                    f"{', '.join(c.name for c, _, _ in tell)}, which differ",
                    _REMEDY,
                )
            return tell[0]
    return said[0] if said else None


def _is_capital_frame(column: Column) -> bool:
    """Whether the column's name is Frame or Frame #, as in ImageJ."""
    return re.fullmatch(r"Frame\W*", column.name) is not None


def _may_count_frames(column: Column) -> bool:
    """Whether a column with another name may contain frame numbers, even if these are all equal."""
    named = re.search("frame|slice|time(point|step)|plane|image(index|number|num|no|nr|id)", column.word)
    return bool(named or column.word in FILE) and column.numeric


def _is_time(column: Column) -> bool:
    unit = (column.unit or "").casefold()
    return column.word in TIME or (column.word == "t" and unit not in ("", "frame", "frames"))


def _explained(column: Column, frames: npt.NDArray[np.int64] | None, source: str) -> bool:
    """Whether a column with different values is a time, depth, channel or image; warn if information is left out."""
    file = column.word in FILE or (column.word in LABELS and column.words.str.contains(_IMAGE_FILE).any())
    if not (file or _is_time(column) or column.word in DEPTH | CHANNEL):
        return False
    if frames is None and column.word not in CHANNEL:
        raise InputError(
            f"a column that says the frame in {source}",
            f"{column.name}, which differs from point to point: it may say the frame, or which image they are on",
            f"{_REMEDY} Or leave {column.name} out.",
        )
    depth = pd.to_numeric(column.words, errors="coerce").to_numpy() if column.word in DEPTH else None
    same = depth is not None and frames is not None and any(np.array_equal(depth - k, frames) for k in (0, 1))
    if not (same or _is_time(column)):
        doubt(f"Column {column.name} of {source} is left out, though it differs from point to point.")
    return True
