"""Meaning of a table's column names, in many spellings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Sequence

_BRACKETS = re.compile(r"(.*?)[\s_/]*[\[(]\s*([^\[\]()]*?)\s*[\])]")
_TAIL = re.compile(r"(.*?)[\s_/.-]+(px|pix|pixels?|pm|nm|[µμu]m|microns?|å|angstroms?|ångströms?)", re.IGNORECASE)

_SPELLINGS = [
    "{}",
    *("pos{}", "position{}", "{}pos", "{}position", "coord{}", "coordinate{}", "{}coord", "{}coordinate"),
    *("center{}", "centre{}", "{}center", "{}centre", "centroid{}", "{}centroid", "point{}", "marker{}", "{}m"),
    *("pixel{}", "px{}"),
]
_PAIRS = [tuple(s.format(axis) for axis in "yx") for s in _SPELLINGS]
_PAIRS += [("row", "column"), ("row", "col"), ("rows", "cols"), ("r", "c")]
#: napari's axes, and scikit-image's centroids: numbered, the last two are y and x.
_NUMBERED = ("axis", "centroid", "centroidweighted", "weightedcentroid")

FRAME_FROM_0 = frozenset({"frame", "frames", "t", "tindex", "timeindex", "frameindex", "frameidx", "frameid"})
FRAME_FROM_1 = frozenset({"slice", "slices", "slicenumber", "sliceno", "slicenr", "tpos", "tslice"})
TIME = frozenset({"time", "times", "positiont", "timestamp", "seconds"})
DEPTH = frozenset({"z", "zpos", "posz", "zposition", "positionz", "depth", "markerz"})
CHANNEL = frozenset({"c", "ch", "channel", "cpos"})
FILE = frozenset({"image", "imagename", "file", "filename", "path", "title", "movie", "source", "stack", "series"})
CLASS = ("class", "classname", "classes", "defectclass", "pointclass", "classification", "classlabel", "classid")
#: Columns that often contain the class; their cells decide whether they do.
CLASS_PERHAPS = (
    *("defecttype", "defectkind", "defect", "category", "kind", "species", "element", "atomtype", "atom"),
    *("groupname", "group", "counter", "labelname", "type", "typename", "celltype", "tag", "label", "labels", "name"),
)
#: Columns that contain names of objects or images as often as classes.
LABELS = frozenset({"label", "labels", "name", "tag"})
#: Columns without a use in an annotation: measurements, numbers of rows and objects.
NO_MATTER = re.compile(
    "|".join(
        (
            r"|unnamed\d*|index|no|nr|id|number|num|n|count|value|key|row(id|number)?|points?|spots?",
            r"(track|spot|point|object|parent|roi|cell|marker)?id|particle|track|[tpl]id|(parent)?object(type)?|parent|roi",
            r"x|y|[xy]m|b[xy]|width|height|major|minor|angle|(min)?feret.*|bbox\d*|perim.*|circ.*|ar|round.*|solidity",
            r"area.*|mean.*|std.*|mode|min.*|max.*|median.*|(raw)?intden|skew|kurt|length|eulernumber|extent",
            r"quality|radius|visibility|mass|rawmass|size|ecc.*|signal|ep|snr|confidence|probability|score|outcome",
            r"vertexindex|shapetype",
        )
    )
)


@dataclass(frozen=True)
class Column:
    """A column of a table, with its name parsed.

    Attributes
    ----------
    name : str
        As in the table.
    word : str
        Letters and digits of the name in lower case, without the unit: "posx" from "Pos. X [nm]".
    unit : str or None
        From the brackets in the name, or its end.
    cells : (n,) Series
    """

    name: str
    word: str
    unit: str | None
    cells: pd.Series

    @property
    def blank(self) -> pd.Series:
        """(n,) bool: empty cells."""
        return self.cells.isna() | self.words.eq("")

    @property
    def words(self) -> pd.Series:
        """(n,) str: the cells as text, whole numbers without a fraction."""
        text = self.cells.where(self.cells.notna(), "").astype(str).str.strip()
        whole = text.str.extract(r"^([+-]?\d+)(?:\.0*)?$", expand=False)  # as pandas and napari write a class 1
        return whole.where(text.ne(""), "") if len(text) and (whole.notna() | text.eq("")).all() else text

    @property
    def differs(self) -> bool:
        """Whether the cells have more than one value."""
        return self.words.nunique() > 1

    @property
    def numeric(self) -> bool:
        """Whether every cell is a number."""
        return bool(pd.to_numeric(self.words, errors="coerce").notna().all())


def split_name(name: str) -> tuple[str, str | None]:
    """Return word and unit of a column's name: ``("centroidx", "µm")`` for "Centroid X µm"."""
    text, unit = name.strip().lstrip("\ufeff"), None
    if found := _BRACKETS.fullmatch(text) or _TAIL.fullmatch(text):
        text, unit = found[1], found[2]
    return re.sub(r"[^a-z0-9]", "", text.casefold()), unit


def read_columns(table: pd.DataFrame) -> list[Column]:
    """Return the columns of a table, with their names parsed."""
    return [
        Column(str(name).strip(), *split_name(str(name)), table.iloc[:, i].reset_index(drop=True))
        for i, name in enumerate(table.columns)
    ]


def find_places(words: Sequence[str]) -> list[str]:
    """Return the words of the coordinate columns, y and x last, napari's further axes before; empty if none."""
    for pair in _PAIRS:
        if set(pair) <= set(words):
            return list(pair)
    for stem in _NUMBERED:
        numbered = {w for w in words if re.fullmatch(rf"{stem}\d+", w)}
        if len(numbered) > 1:
            return sorted(numbered, key=lambda w: int(w.removeprefix(stem)))
    return []


def names_places(fields: list[str]) -> bool:
    """Whether the fields of a line contain names of coordinate columns."""
    return bool(find_places([split_name(field)[0] for field in fields]))


def same_axis(field: str, word: str) -> bool:
    """Whether a cell repeats the axis of its column: "X" below "POSITION_X"."""
    given = split_name(field)[0]
    return any(given == pair[axis] for axis in (0, 1) if any(word == p[axis] for p in _PAIRS) for pair in _PAIRS)
