"""Settings described once: the metadata of dataclass fields are used in checks, docs, forms and options.

The keys are ``title``, ``unit`` (empty or ``"1"``: none), ``help``, ``min`` and ``max`` (inclusive), ``options`` (the
allowed values), ``source`` (where the default comes from) and ``form`` (for the builder of forms only).
"""

from __future__ import annotations

import functools
import math
from dataclasses import MISSING, field, fields
from numbers import Real
from typing import TYPE_CHECKING, Any, TypeVar, cast

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from dataclasses import Field

T = TypeVar("T")


def about(title: str, unit: str = "", note: str = "", **more: Any) -> dict[str, Any]:
    """Return the metadata of a field.

    Parameters
    ----------
    title, unit, note : str
        Shown to users; the note becomes the key ``help``.
    **more
        Further keys: those listed in the module, and any that a group of settings defines.
    """
    return {"title": title, "unit": unit, "help": note, **more}


def setting(default: T, title: str, unit: str = "", note: str = "", **more: Any) -> T:
    """Return a dataclass field with a default and the metadata of `about`."""
    return field(default=default, metadata=about(title, unit, note, **more))


def unit_of(metadata: Mapping[str, Any]) -> str:
    """Return the unit to show; "" for a dimensionless number."""
    unit = str(metadata.get("unit", ""))
    return "" if unit == "1" else unit


def violations(settings: Any) -> Iterator[tuple[Field[Any], Any, str]]:
    """Yield each disallowed value with its field and the allowed values; the values of a tuple are checked singly.

    None is allowed where it is the default.
    """
    kind: Any = type(settings)
    for one, options, low, high in _limits(kind):
        given = getattr(settings, one.name)
        for value in _singly(given) if isinstance(given, tuple) else (given,):
            if value is None and one.default is None:
                continue
            if options is not None and value not in options:
                yield one, value, f"one of {', '.join(map(str, options))}"
            if low is not None and not _within(value, low, high):
                yield one, value, f"between {low:g} and {high:g} {unit_of(one.metadata)}".rstrip()


def _singly(values: tuple[Any, ...]) -> Iterator[Any]:
    for one in values:
        if isinstance(one, tuple):
            yield from _singly(one)
        else:
            yield one


@functools.cache
def _limits(settings: type[Any]) -> tuple[tuple[Field[Any], Any, float | None, float], ...]:
    """Return options, lowest and highest value of the restricted fields; cached for millions of genes."""
    limits = []
    for one in fields(settings):
        options, bounded = one.metadata.get("options"), "min" in one.metadata or "max" in one.metadata
        if options is not None or bounded:
            low = one.metadata.get("min", -math.inf) if bounded else None
            limits.append((one, options, low, one.metadata.get("max", math.inf)))
    return tuple(limits)


def _within(value: Any, low: float, high: float) -> bool:
    number = isinstance(value, (int, float, Real))  # int and float first: the check for Real is slow
    return number and math.isfinite(value) and bool(low <= value <= high)


def check(settings: Any) -> None:
    """Raise InputError for the first value that is not allowed."""
    for one, value, allowed in violations(settings):
        title = one.metadata["title"].lower()
        name = one.name if title == one.name.replace("_", " ") else f"{one.name} ({title})"
        remedy = "Correct it." if one.default is MISSING else f"The default is {one.default!r}."
        raise InputError(f"{name} {allowed}", repr(value), remedy)


def documented(settings: type[T]) -> type[T]:
    """Class decorator: add a section "Attributes", made from the fields, to the docstring."""
    lines = [(settings.__doc__ or "").rstrip(), "", "    Attributes", "    ----------"]
    for one in fields(cast("Any", settings)):
        meta = one.metadata
        unit = f" [{meta['unit']}]" if meta.get("unit") else ""
        source = f" Source: {meta['source']}." if meta.get("source") else ""
        default = "" if one.default is MISSING else f", by default {one.default}"
        lines += [f"    {one.name} : {one.type}{unit}{default}"]
        lines += [f"        {text}"] if (text := f"{meta['help']}{source}".strip()) else []
    settings.__doc__ = "\n".join([*lines, "    "])
    return settings
