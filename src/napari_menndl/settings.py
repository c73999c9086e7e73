"""Settings described once: what the metadata of a dataclass field say feeds checks, docs, forms and options.

The keys are ``title``, ``unit`` (empty or ``"1"``: none), ``help``, ``min`` and ``max`` (inclusive), ``options`` (the
values there are), ``source`` (where the default comes from) and ``form`` (what only the form's maker understands).
"""

from __future__ import annotations

import math
from dataclasses import field, fields
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar, cast

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from dataclasses import Field

T = TypeVar("T")


def about(title: str, unit: str = "", note: str = "", **more: Any) -> dict[str, Any]:
    """Metadata of a field.

    Parameters
    ----------
    title, unit, note : str
        For a person; the note becomes the key ``help``.
    **more
        The other keys, those of the module and whatever a family of settings knows besides.
    """
    return {"title": title, "unit": unit, "help": note, **more}


def setting(default: T, title: str, unit: str = "", note: str = "", **more: Any) -> T:
    """A dataclass field with a default and the metadata of `about`."""
    return field(default=default, metadata=about(title, unit, note, **more))


def unit_of(metadata: Mapping[str, Any]) -> str:
    """The unit to show; empty for a bare number."""
    unit = str(metadata.get("unit", ""))
    return "" if unit == "1" else unit


def departures(settings: Any) -> Iterator[tuple[Field[Any], Any, str]]:
    """Yield each field's value that its metadata do not allow, with what they allow; a tuple's values one by one."""
    for one in fields(settings):
        given, allowed = getattr(settings, one.name), one.metadata
        for value in given if isinstance(given, tuple) else (given,):
            if "options" in allowed and value not in allowed["options"]:
                yield one, value, f"one of {', '.join(map(str, allowed['options']))}"
            if ("min" in allowed or "max" in allowed) and not _within(value, allowed):
                bounds = f"between {allowed.get('min', -math.inf):g} and {allowed.get('max', math.inf):g}"
                yield one, value, f"{bounds} {unit_of(allowed)}".rstrip()


def _within(value: Any, allowed: Mapping[str, Any]) -> bool:
    number = isinstance(value, (int, float, Real))  # the first two spare genes, made by the thousand, the slow third
    return number and math.isfinite(value) and allowed.get("min", value) <= value <= allowed.get("max", value)


def check(settings: Any) -> None:
    """InputError for the first value that is not allowed."""
    for one, value, allowed in departures(settings):
        expected = f"{one.name} ({one.metadata['title'].lower()}) {allowed}"
        raise InputError(expected, repr(value), f"The default is {one.default!r}.")


def documented(settings: type[T]) -> type[T]:
    """Class decorator: the section "Attributes" of the docstring, made from the fields."""
    lines = [(settings.__doc__ or "").rstrip(), "", "    Attributes", "    ----------"]
    for one in fields(cast("Any", settings)):
        meta = one.metadata
        unit = f" [{meta['unit']}]" if meta.get("unit") else ""
        source = f" Source: {meta['source']}." if meta.get("source") else ""
        lines += [f"    {one.name} : {one.type}{unit}, by default {one.default}"]
        lines += [f"        {text}"] if (text := f"{meta['help']}{source}".strip()) else []
    settings.__doc__ = "\n".join([*lines, "    "])
    return settings
