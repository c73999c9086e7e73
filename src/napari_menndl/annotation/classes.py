"""Parts of an annotation: defect classes, frame status, regions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.serialization import check_types

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

#: Colours that colour-blind people can distinguish (Okabe & Ito, https://jfly.uni-koeln.de/color/);
#: purple and orange come last because a review uses such colours for false and missed defects.
COLOURS = ("#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#e69f00")

#: Labels are uint8; 0 is "no defect", and 255 is reserved, since masks use it for "marked".
MOST_CLASSES = 254

#: Limit of the number of rectangles per frame: each is drawn, and stored in the annotation's attributes.
MOST_REGIONS = 5000

#: Tolerance of a class that has neither a tolerance nor annotated defects [px].
FALLBACK = 3.0


class FrameStatus(StrEnum):
    """Progress of the annotation of one frame."""

    UNTOUCHED = "untouched"
    IN_PROGRESS = "in progress"
    COMPLETE = "complete"


class Region(NamedTuple):
    """A fully annotated rectangle: rows y0 to y1-1, columns x0 to x1-1 [px]."""

    y0: int
    x0: int
    y1: int
    x1: int

    def clipped(self, height: int, width: int) -> Region:
        """Return the part inside a frame.

        Raises
        ------
        InputError
            If no part of the rectangle lies inside the frame.
        """
        y0, x0, y1, x1 = (round(float(edge)) for edge in self)
        inside = Region(max(y0, 0), max(x0, 0), min(y1, height), min(x1, width))
        if inside.y0 >= inside.y1 or inside.x0 >= inside.x1:
            raise InputError(
                f"a region (y0, x0, y1, x1) inside the frame of {height} x {width} px",
                f"the rectangle {(y0, x0, y1, x1)}",
                "Give the upper left corner first, then the lower right one.",
            )
        return inside


def regions_of(known: npt.NDArray[np.bool_]) -> list[Region]:
    """Return rectangles that cover a mask exactly, without overlap.

    Parameters
    ----------
    known : (Y, X) bool

    Raises
    ------
    InputError
        A mask that takes more than `MOST_REGIONS` rectangles.
    """
    done: list[Region] = []
    growing: dict[tuple[int, int], int] = {}
    for y, row in enumerate([*known, np.zeros(known.shape[1], bool)]):
        ends = np.flatnonzero(np.diff(row, prepend=False, append=False))
        runs = set(zip(ends[::2].tolist(), ends[1::2].tolist(), strict=True))
        done += [Region(y0, run[0], y, run[1]) for run, y0 in growing.items() if run not in runs]
        growing = {run: growing.get(run, y) for run in runs}
        if len(done) > MOST_REGIONS:
            raise InputError(
                f"a known area of at most {MOST_REGIONS} rectangles on a frame",
                "one of more parts",
                "Give what was not looked at a simpler outline.",
            )
    return sorted(done)


@dataclass(frozen=True)
class DefectClass:
    """A class of defects.

    Attributes
    ----------
    name : str
    colour : str
        ``"#rrggbb"``.
    extended : bool
        Whether its defects are extended (such as a growing hole): matched by overlap, not by distance.
    tolerance : float or None
        Largest distance between a found and a labelled centre, in nm if the annotation's pixel size is known, else in
        px. None: 1.5 times the median radius of the annotated defects, each taken as a disc.

    Raises
    ------
    InputError
        An empty name, an invalid colour, a tolerance that is not positive, a value of another type.
    """

    name: str
    colour: str = COLOURS[0]
    extended: bool = False
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise InputError("a name for the defect class", repr(self.name), "Name it, for example 'S vacancy'.")
        if not isinstance(self.colour, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", self.colour):
            raise InputError("a colour such as '#56b4e9'", repr(self.colour), f"Correct the colour of {self.name!r}.")
        check_types(self)
        tolerance = self.tolerance
        if tolerance is not None and not 0 < tolerance < float("inf"):
            raise InputError("a positive tolerance", repr(tolerance), f"Correct the tolerance of {self.name!r}.")


def as_classes(classes: Sequence[DefectClass | str]) -> tuple[DefectClass, ...]:
    """Return defect classes from classes or names; the n-th class gets the n-th colour if only its name is given.

    Raises
    ------
    InputError
        No class, more than 254, or two with the same name.
    """
    if isinstance(classes, str | DefectClass):
        classes = (classes,)
    colours = islice(cycle(COLOURS), len(classes))
    made = tuple(
        c if isinstance(c, DefectClass) else DefectClass(c, colour) for c, colour in zip(classes, colours, strict=True)
    )
    if not 0 < len(made) <= MOST_CLASSES:
        raise InputError(f"1 to {MOST_CLASSES} defect classes", f"{len(made)}", "Label kinds of defects, not objects.")
    names = [c.name for c in made]
    if repeated := {n for n in names if names.count(n) > 1}:
        raise InputError("defect classes of different names", f"{sorted(repeated)} twice", "Rename one of them.")
    return made


def read_class_names(text: str) -> list[str] | dict[str | int, str]:
    """Parse names of classes as typed: ``"S vacancy, Mo"``, or by number, ``"1=S vacancy, 2=Mo"``.

    Raises
    ------
    InputError
        Names partly with and partly without a number, a repeated number, an empty name.
    """
    parts = [[side.strip() for side in part.split("=", 1)] for part in text.split(",")]
    names = [part[-1] for part in parts]
    keys = [part[0] for part in parts if len(part) == 2]
    if not all(names + keys) or len(keys) not in (0, len(parts)) or len(set(keys)) < len(keys):
        raise InputError("names of classes such as 'S vacancy,Mo' or '1=S vacancy,2=Mo'", repr(text), "Correct it.")
    by_number: dict[str | int, str] = {}
    by_number.update(zip(keys, names, strict=False))
    return by_number or names


def rename_classes(found: Sequence[str], names: Mapping[str | int, str], source: str) -> dict[str, str]:
    """Return new names for classes that a file only numbers.

    Parameters
    ----------
    found : sequence of str
        Names of the classes in the file: "1", "Type 1", "Counter 0".
    names : mapping of str or int to str
        New names by the name in the file or by its number; if the file has a single class, any number matches it.
    source : str
        Named in errors.

    Returns
    -------
    dict of str to str
        New name by name in the file: first those of `names`, in its order, then the classes that keep their names.

    Raises
    ------
    InputError
        A key that matches no class of the file, or several.
    """
    renamed: dict[str, str] = {}
    for key, name in names.items():
        wanted = str(key).strip().casefold()
        exact = [one for one in found if one.casefold() == wanted]
        numbered = [one for one in found if wanted.isdecimal() and one.casefold().split()[-1:] == [wanted]]
        match = exact or numbered or (list(found) if len(found) == len(names) == 1 else [])
        if len(match) != 1:
            raise InputError(
                f"one class {key} in {source}, to be named {name}", ", ".join(found) or "none", "Correct its number."
            )
        renamed[match[0]] = str(name)
    return renamed | {one: one for one in found if one not in renamed}


def as_status(status: FrameStatus | str) -> FrameStatus:
    """Return the status with a name; InputError if there is none."""
    try:
        return FrameStatus(status)
    except ValueError:
        choices = ", ".join(repr(str(s)) for s in FrameStatus)
        raise InputError(f"a status among {choices}", repr(status), "Choose one of them.") from None


def as_pixel_size(size: Sequence[float] | None) -> tuple[float, float] | None:
    """Return a pixel size (y, x) [nm], or None for unknown; InputError unless both are positive and finite."""
    if size is None:
        return None
    try:
        y, x = (float(s) for s in size)
    except (TypeError, ValueError):
        y = x = float("nan")
    if not (0 < y < float("inf") and 0 < x < float("inf")):
        raise InputError("a pixel size (y, x) in nm, both positive", f"{size!r}", "Correct it, or leave it out.")
    return y, x


def make_match_rule(
    defect: DefectClass, areas: npt.NDArray[np.int64], pixel_size: tuple[float, float] | None
) -> MatchRule:
    """Return the match rule of a class, with its own tolerance or one from the size of its annotated defects.

    Parameters
    ----------
    defect : DefectClass
    areas : (n,) int64 [px]
        Areas of its annotated defects.
    pixel_size : (y, x) float [nm] or None

    Returns
    -------
    MatchRule
        Tolerance in px. The smallest area is 3 px, or the median area of the annotated defects if that is smaller, so
        that these are not too small to be found.
    """
    area = float(np.median(areas)) if len(areas) else None
    if defect.tolerance is None:
        tolerance = FALLBACK if area is None else max(1.0, 1.5 * float(np.sqrt(area / np.pi)))
    else:
        tolerance = defect.tolerance / (1.0 if pixel_size is None else float(np.sqrt(np.prod(pixel_size))))
    return MatchRule(float(tolerance), defect.extended, 3 if area is None else max(1, min(3, int(area))))
