"""Unit of clicked points: pixels or a length such as nm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from napari_menndl.annotation.clicks.discs import SAME_DEFECT
from napari_menndl.annotation.clicks.text import doubt
from napari_menndl.errors import InputError
from napari_menndl.movie.calibration import unit_in_nm

if TYPE_CHECKING:
    from napari_menndl.annotation.clicks.header import Column

_PIXELS = ("px", "pix", "pixel", "pixels")
#: Units of length to test whether coordinates are in them [nm]. Points that fit the frame in µm fit it in nm, too.
_LENGTHS = {"nm": 1.0, "Å": 0.1}
#: Limits of the probability that points in px lie by chance within the frame's size in nm: a warning below the first,
#: an error below the second.
DOUBTFUL, REFUSED = 0.01, 0.001
#: Points that all lie within this fraction of each side of the frame, with a probability below the second number, are
#: possibly not in px.
CORNER, CORNER_CHANCE = 0.25, 1e-6
_ASK = 'Say which: unit="px" or unit="nm" (--unit on the command line).'


def is_pixels(unit: str | None) -> bool:
    """Whether a unit is the pixel."""
    return unit is not None and unit.strip().casefold() in _PIXELS


def is_unit(cell: str) -> bool:
    """Whether a cell is a unit of coordinates, as in "(micron)"."""
    bare = cell.strip().strip("()[] ")
    return is_pixels(bare) or unit_in_nm(bare) is not None


def shared_unit(y: Column, x: Column, source: str) -> str | None:
    """Return the unit in the names of both columns; None if they have none.

    Raises
    ------
    InputError
        If the units differ, or are no unit of coordinates.
    """
    if y.unit == x.unit and (y.unit is None or is_unit(y.unit)):
        return y.unit
    raise InputError(
        f"columns y and x of {source} in the same unit, px or nm", f"{y.name}, {x.name}", "Correct their names."
    )


def to_pixels(
    places: npt.NDArray[np.float64],
    unit: str | None,
    given: str | None,
    pixel_size: tuple[float, float] | None,
    source: str,
) -> tuple[npt.NDArray[np.float64], str]:
    """Convert coordinates to pixels.

    Parameters
    ----------
    places : (n, 2) float64
        (y, x).
    unit : str or None
        The unit in the points' file.
    given : str or None
        The unit given by the user.
    pixel_size : (y, x) float [nm] or None
    source : str
        Named in errors.

    Returns
    -------
    (n, 2) float64 [px]
    str
        The conversion, in words.

    Raises
    ------
    InputError
        An invalid unit, or one that contradicts the file's; a unit of length if the pixel size is unknown.
    """
    if given is not None and not is_unit(given):
        raise InputError("a unit of points, px or nm (or pm, Å, µm)", f"{given!r}", "Correct it, or leave it out.")
    if unit is not None and given is not None and _size(unit) != _size(given):
        raise InputError(f"points in {unit}, as {source} says", f"unit {given!r}", "Leave the unit out, or correct it.")
    unit = given or unit
    if unit is None or is_pixels(unit):
        return places, "in px"
    if pixel_size is None:
        raise InputError(
            f"the movie's pixel size, since {source} is in {unit}",
            "none",
            "Give it with pixel_size=(y, x) in nm (--pixel-size), or give points in px.",
        )
    scale = np.array(pixel_size) / _size(unit)
    size = f"{pixel_size[0]:g}" if pixel_size[0] == pixel_size[1] else f"{pixel_size[0]:g} x {pixel_size[1]:g}"
    return places / scale, f"converted from {unit} to px of {size} nm"


def _size(unit: str) -> float:
    """Return the size of a unit [nm]; 0 for the pixel."""
    return 0.0 if is_pixels(unit) else float(unit_in_nm(unit) or 0.0)


def fits_in(
    places: npt.NDArray[np.float64], shape: tuple[int, int], pixel_size: tuple[float, float] | None
) -> str | None:
    """Return the unit of length in which points (n, 2) fit a frame of (Y, X) px; None if there is none."""
    if pixel_size is None or not len(places):
        return None
    for unit, size in _LENGTHS.items():
        frame = np.array(shape) * pixel_size / size
        if ((places >= -1) & (places <= frame + 1e-6)).all():
            return unit
    return None


def check_unit(
    places: npt.NDArray[np.float64], shape: tuple[int, int], pixel_size: tuple[float, float] | None, source: str
) -> None:
    """Refuse points without a unit that are very probably not in pixels; warn if they may not be.

    If in pixels, n points lie within one corner of a frame by chance with probability (fraction of each side)^2n.

    Parameters
    ----------
    places : (n, 2) float64
        (y, x), which lie inside the frame if they are in px.
    shape : (Y, X)
    pixel_size : (y, x) float [nm] or None
    source : str
        Named in errors.

    Raises
    ------
    InputError
        Points that fit the frame's size in nm or Å and are very improbable in px; points in one corner of the frame,
        closer to each other than defects.
    """
    if not len(places):
        return
    sides = np.array(shape, float)
    if unit := fits_in(places, shape, pixel_size):
        frame = sides * np.asarray(pixel_size) / _LENGTHS[unit]
        chance = _chance(frame / sides, len(places))
        found = (
            f"{source}: its {len(places)} points all lie within {frame[0]:.4g} x {frame[1]:.4g}, the frame's size in "
            f"{unit}, and a small part of its {shape[0]} x {shape[1]} px"
        )
        if chance < REFUSED:
            raise InputError("points of which the unit is known", found, _ASK.replace("nm", unit))
        if chance < DOUBTFUL:
            doubt(f"Points taken for px, though they may be {unit}. {found}. {_ASK.replace('nm', unit)}")
            return
    part = places.max(axis=0) / sides
    if part.max() > CORNER or _chance(np.maximum(part, 0), len(places)) >= CORNER_CHANCE:
        return
    found = (
        f"{source}: its {len(places)} points all lie in the first {places[:, 0].max():.4g} rows and "
        f"{places[:, 1].max():.4g} columns of {shape[0]} x {shape[1]} px"
    )
    nearest = np.asarray(cKDTree(places).query(places, k=2)[0])[:, 1]
    if np.median(nearest) < SAME_DEFECT:
        raise InputError(
            "points of which the unit is known", f"{found}, nearer to each other than defects in px are", _ASK
        )
    doubt(f"Points taken for px, though they may be nm. {found}. {_ASK}")


def _chance(part: npt.NDArray[np.float64], points: int) -> float:
    return float(min(part.max(), 1.0) ** (2 * points))
