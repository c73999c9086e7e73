"""Meanings of the names of a table's columns, however they are spelled."""

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
#: Columns that often hold the class. What else they may hold is told by their cells.
CLASS_PERHAPS = (
    *("defecttype", "defectkind", "defect", "category", "kind", "species", "element", "atomtype", "atom"),
    *("groupname", "group", "counter", "labelname", "type", "typename", "celltype", "tag", "label", "labels", "name"),
)
#: Names of objects or of images as often as of classes.
LABELS = frozenset({"label", "labels", "name", "tag"})
#: Measurements, numbers of rows and objects: nothing that an annotation could use.
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
    """A column, and what its name says.

    Attributes
    ----------
    name : str
        As the table has it.
    word : str
        Letters and digits of the name in lower case, without the unit: "posx" of "Pos. X [nm]".
    unit : str or None
        As in brackets or at the end of the name.
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
        """The cells as text, whole numbers without a fraction: (n,) str."""
        text = self.cells.where(self.cells.notna(), "").astype(str).str.strip()
        whole = text.str.extract(r"^([+-]?\d+)(?:\.0*)?$", expand=False)  # as pandas and napari write a class 1
        return whole.where(text.ne(""), "") if len(text) and (whole.notna() | text.eq("")).all() else text

    @property
    def differs(self) -> bool:
        """Whether not every cell is the same."""
        return self.words.nunique() > 1

    @property
    def numeric(self) -> bool:
        """Whether every cell is a number."""
        return bool(pd.to_numeric(self.words, errors="coerce").notna().all())


def split_name(name: str) -> tuple[str, str | None]:
    """The word and the unit of a column's name: ``("centroidx", "µm")`` of "Centroid X µm"."""
    text, unit = name.strip().lstrip("\ufeff"), None
    if found := _BRACKETS.fullmatch(text) or _TAIL.fullmatch(text):
        text, unit = found[1], found[2]
    return re.sub(r"[^a-z0-9]", "", text.casefold()), unit


def read_columns(table: pd.DataFrame) -> list[Column]:
    """The columns of a table, each with what its name says."""
    return [
        Column(str(name).strip(), *split_name(str(name)), table.iloc[:, i].reset_index(drop=True))
        for i, name in enumerate(table.columns)
    ]


def find_places(words: Sequence[str]) -> list[str]:
    """The words of the columns that place a point, y and x last; before them napari's further axes. Empty if none."""
    for pair in _PAIRS:
        if set(pair) <= set(words):
            return list(pair)
    for stem in _NUMBERED:
        numbered = {w for w in words if re.fullmatch(rf"{stem}\d+", w)}
        if len(numbered) > 1:
            return sorted(numbered, key=lambda w: int(w.removeprefix(stem)))
    return []


def names_places(fields: list[str]) -> bool:
    """Whether a line of a file names columns that place a point."""
    return bool(find_places([split_name(field)[0] for field in fields]))


def same_axis(field: str, word: str) -> bool:
    """Whether a cell repeats what its column is: "X" below "POSITION_X"."""
    given = split_name(field)[0]
    return any(given == pair[axis] for axis in (0, 1) if any(word == p[axis] for p in _PAIRS) for pair in _PAIRS)
