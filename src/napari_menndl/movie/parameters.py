"""Settings as frozen dataclasses whose fields carry title, unit, help and range, once for docs, forms and options."""

from __future__ import annotations

import math
from dataclasses import field, fields
from typing import Any, TypeVar, cast

from napari_menndl.errors import InputError

T = TypeVar("T")


def parameter(default: T, title: str, unit: str, text: str, low: float, high: float, source: str = "") -> T:
    """A dataclass field with a title, a unit, a help text, a range and where its default comes from."""
    metadata = {"title": title, "unit": unit, "help": text, "min": low, "max": high, "source": source}
    return field(default=default, metadata=metadata)


def documented(settings: type[T]) -> type[T]:
    """Class decorator: the section "Attributes" of the docstring, made from the fields."""
    lines = [(settings.__doc__ or "").rstrip(), "", "    Attributes", "    ----------"]
    for f in fields(cast("Any", settings)):
        meta = f.metadata
        source = f" Source: {meta['source']}." if meta["source"] else ""
        lines += [
            f"    {f.name} : {f.type} [{meta['unit']}], by default {f.default}",
            f"        {meta['help']}{source}",
        ]
    settings.__doc__ = "\n".join([*lines, "    "])
    return settings


def check_ranges(settings: Any) -> None:
    """InputError for the first field that is no finite number within its range."""
    for f in fields(settings):
        value, meta = getattr(settings, f.name), f.metadata
        number = isinstance(value, int | float) and math.isfinite(value)
        if not number or not meta["min"] <= value <= meta["max"]:
            unit = "" if meta["unit"] == "1" else f" {meta['unit']}"
            raise InputError(
                f"{f.name} ({meta['title'].lower()}) between {meta['min']:g} and {meta['max']:g}{unit}",
                repr(value),
                f"The default is {f.default!r}.",
            )
