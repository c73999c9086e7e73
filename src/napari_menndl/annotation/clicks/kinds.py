"""Classes of points from the columns of a table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from napari_menndl.annotation.clicks.header import CLASS, CLASS_PERHAPS, LABELS, NO_MATTER, Column
from napari_menndl.annotation.clicks.text import doubt
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: If a column that may contain names of objects has more values than this, they are no classes.
MOST_KINDS = 20


def find_classes(columns: Sequence[Column], source: str) -> tuple[pd.Series | None, str]:
    """Determine the class of each point.

    Parameters
    ----------
    columns : sequence of Column
        The columns that are neither coordinates nor frames.
    source : str
        Named in errors.

    Returns
    -------
    (n,) Series of str or None
    str
        The column it is from, in words; empty for a column "class" and without classes.

    Raises
    ------
    InputError
        Points without a class if others have one; several possible columns that group the points differently.
    """
    filled = [c for c in columns if not c.blank.all()]
    sure = sorted((c for c in filled if c.word in CLASS), key=lambda c: (c.numeric, CLASS.index(c.word)))
    order = {word: place for place, word in enumerate(CLASS_PERHAPS)}
    perhaps = [c for c in filled if c.word in CLASS_PERHAPS or (c not in sure and _named_like_a_class(c))]
    perhaps.sort(key=lambda c: order.get(c.word, -1))
    for column in sure[:1]:
        if column.blank.any():
            raise InputError(
                f"a class for every point in column {column.name} of {source}",
                f"none in row {int(column.blank.to_numpy().argmax())}",
                "Fill it in, or remove that row.",
            )
    left = [c for c in perhaps if c.differs and c.blank.any()]
    sorting = [c for c in perhaps if c not in left and _sorts(c)]
    sorting.sort(key=lambda c: c.numeric)
    if not sure and sorting and any(not _alike(c, sorting[0]) for c in sorting):
        raise InputError(
            f"one column that says the class in {source}",
            f"{', '.join(c.name for c in sorting)}, which sort the points differently",
            "Name the right one class.",
        )
    chosen = next(iter([*sure, *sorting]), None)
    left += [c for c in [*sure, *sorting] if c.differs and chosen is not None and not _alike(c, chosen)]
    unknown = [c for c in filled if c not in [*sure, *perhaps] and _may_sort(c)]
    left += [c for c in unknown if chosen is None or not _alike(c, chosen)]
    if left:
        doubt(
            f"Left out of {source}: column {', '.join(c.name for c in left)}. "
            "If it says the class or the frame of a point, name it class or frame."
        )
    if chosen is None:
        return None, ""
    numbered = chosen in perhaps and chosen.numeric
    names = chosen.words.map(lambda word: f"{chosen.name} {word}") if numbered else chosen.words
    return names, "" if chosen.name == "class" else f"class from column {chosen.name}"


def _named_like_a_class(column: Column) -> bool:
    """Whether a column has a name such as "annotation class" or "Defektklasse", and words or whole numbers in it."""
    if not re.search("class|klasse|categor|kategor|species|spezies", column.word):
        return False
    return not column.numeric or bool((pd.to_numeric(column.words) % 1 == 0).all())


def _sorts(column: Column) -> bool:
    """Whether a column that may contain the class does so, rather than numbers or names of objects."""
    kinds = column.words.nunique()
    if kinds == 1:
        return not column.numeric and column.word not in LABELS
    if column.word in LABELS and kinds == len(column.words):
        return kinds <= 2 and not column.words.str.contains(r"\d").any()
    return kinds <= MOST_KINDS or column.word not in LABELS


def _alike(one: Column, other: Column) -> bool:
    """Whether two columns group the points in the same way."""
    groups = pd.MultiIndex.from_arrays([one.words, other.words]).nunique()
    return bool(groups == one.words.nunique() == other.words.nunique())


def _may_sort(column: Column) -> bool:
    """Whether a column with an unknown name contains different words or whole numbers, and so may be classes."""
    if NO_MATTER.fullmatch(column.word) or not column.differs:
        return False
    return not column.numeric or bool((pd.to_numeric(column.words) % 1 == 0).all())
