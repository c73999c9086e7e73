"""Validation of settings from users and files: each value is converted to its declared type, or refused."""

from __future__ import annotations

import dataclasses
import math
import typing
from typing import TYPE_CHECKING, Any, TypeVar

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


def check_types(settings: Any) -> None:
    """Convert each field of a frozen dataclass to its declared type; call it in ``__post_init__``.

    Raises
    ------
    InputError
        For a value of the wrong type, or one that the field's metadata do not allow.
    """
    hints = typing.get_type_hints(type(settings))
    for one in dataclasses.fields(settings):
        value = _typed(one.name, getattr(settings, one.name), hints[one.name], one.metadata)
        object.__setattr__(settings, one.name, value)


def from_mapping(cls: type[T], data: Mapping[str, Any]) -> T:
    """Create settings from a file's names and values; omitted fields keep their defaults.

    Raises
    ------
    InputError
        For an unknown or missing name, a wrong type or a value outside its range.
    """
    fields = dataclasses.fields(typing.cast("Any", cls))
    known = [one.name for one in fields]
    if unknown := sorted(set(map(str, data)) - set(known)):
        raise InputError(f"settings among {', '.join(known)}", ", ".join(unknown), "Correct or remove the name.")
    missing = [one.name for one in fields if one.default is dataclasses.MISSING and one.name not in data]
    if missing:
        raise InputError(f"a value for {', '.join(missing)}", "none", "Add it.")
    return cls(**data)


def _typed(name: str, value: Any, hint: Any, allowed: Any) -> Any:
    """Convert a value to its declared type; InputError if that is not possible or the value is not allowed."""
    kinds = [kind for kind in getattr(hint, "__args__", (hint,)) if kind not in (type(None), Ellipsis)]
    if value is None and type(None) in getattr(hint, "__args__", ()):
        return None
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"a list for {name}", repr(value), "Correct the setting.")
        return tuple(_typed(name, one, kinds[0], allowed) for one in value)
    kind = kinds[0]
    value = value.item() if hasattr(value, "item") else value
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise InputError(f"{kind.__name__} for {name}", repr(value), "Correct the setting.")
    if "options" in allowed and value not in allowed["options"]:
        raise InputError(f"{name} among {', '.join(allowed['options'])}", repr(value), "Choose one of them.")
    low, high = allowed.get("min", -math.inf), allowed.get("max", math.inf)
    # So that NaN is out of bounds too, without limits as well.
    if kind in (int, float) and not low <= value <= high:
        unit = f" {allowed['unit']}" if allowed.get("unit") else ""
        limits = "that is a number" if (low, high) == (-math.inf, math.inf) else f"between {low:g} and {high:g}{unit}"
        raise InputError(f"{name} {limits}", f"{value:g}", "Correct the setting.")
    return value
