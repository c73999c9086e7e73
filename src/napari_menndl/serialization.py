"""Conversion of dataclasses to JSON and back, with a check of all names, types and values by their declared types.

Readers and writers are made once per type and cached, since millions of genomes are converted.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from napari_menndl.errors import InputError
from napari_menndl.settings import check

T = TypeVar("T")

_SCALARS = (int, float, bool, str)


@functools.cache
def _hints(record: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(record)
    return {one.name: hints[one.name] for one in dataclasses.fields(record)}


@functools.cache
def _required(record: type[Any]) -> frozenset[str]:
    missing = dataclasses.MISSING
    return frozenset(one.name for one in dataclasses.fields(record) if one.default is one.default_factory is missing)


# ------------------------------------------------------------------ writing


def encode(value: Any) -> Any:
    """Convert dataclasses and tuples to dicts and lists; the ``kind`` of a dataclass is included."""
    kind: Any = type(value)
    if (writers := _writers(kind)) is not None:
        plain = {"kind": value.kind} if hasattr(value, "kind") else {}
        for name, write in writers:
            plain[name] = write(getattr(value, name))
        return plain
    if isinstance(value, (tuple, list)):
        return [encode(one) for one in value]
    return value.item() if hasattr(value, "item") else value


@functools.cache
def _writers(record: type[Any]) -> tuple[tuple[str, Callable[[Any], Any]], ...] | None:
    """Return names and writers of a dataclass's fields; None for any other type."""
    if not dataclasses.is_dataclass(record):
        return None
    return tuple((name, _writer(hint)) for name, hint in _hints(record).items())


def _writer(hint: Any) -> Callable[[Any], Any]:
    # By the declared type, so that 1 and 1.0 have the same digest; null, which a journal has for NaN, stays null.
    if hint in _SCALARS:
        return lambda value: None if value is None else hint(value)
    inner = set(typing.get_args(hint)) - {Ellipsis}
    if typing.get_origin(hint) is tuple and len(inner) == 1 and inner <= set(_SCALARS):
        scalar = inner.pop()
        return lambda values: [None if one is None else scalar(one) for one in values]
    return encode


# ------------------------------------------------------------------ reading


class _MisfitError(Exception):
    """Error of a reader; in `expected`, ``{}`` stands for the place in the data, which the callers add to."""

    def __init__(self, expected: str, found: str, remedy: str = "Correct it.") -> None:
        self.expected, self.found, self.remedy, self.place = expected, found, remedy, ""

    def inside(self, place: str) -> _MisfitError:
        self.place = place + self.place
        return self


Reader = Callable[[Any], Any]


def decode(hint: Any, data: Any, where: str, *, lenient: bool = False) -> Any:
    """Invert `encode`, with a check of all names, types and values.

    Parameters
    ----------
    hint : type
        A dataclass, a union of dataclasses distinguished by ``kind``, a tuple or dict type, a subclass of str, or int,
        float, bool, str; each also with None as an alternative.
    data : object
        From JSON.
    where : str
        Name of the data in errors.
    lenient : bool
        For data with a checksum, or of another version: unknown fields are ignored, numbers and texts not checked.

    Raises
    ------
    InputError
        For a missing field, an unknown kind, an object or list in place of something else, or a value that the
        dataclass refuses; if not lenient, for an unknown field or a wrong type, too.
    """
    return _read(_reader(hint, lenient), data, where)


def from_mapping(cls: type[T], data: Mapping[str, Any]) -> T:
    """Create settings, which check their types by `check_types`, from a file's names and values.

    Raises
    ------
    InputError
        For an unknown or missing name, a wrong type or a value outside its range.
    """
    record: Any = cls
    known = _hints(record)
    if unknown := sorted(set(map(str, data)) - known.keys()):
        raise InputError(f"settings among {', '.join(known)}", ", ".join(unknown), "Correct or remove the name.")
    if missing := sorted(_required(record) - data.keys()):
        raise InputError(f"a value for {', '.join(missing)}", "none", "Add it.")
    return cls(**data)


def check_types(settings: Any) -> None:
    """Convert each field of a frozen dataclass to its declared type; call it in ``__post_init__``.

    Raises
    ------
    InputError
        For a value of the wrong type, NaN, or one that the field's metadata do not allow.
    """
    record: Any = type(settings)
    for name, hint in _hints(record).items():
        value = getattr(settings, name)
        if isinstance(value, float) and not math.isfinite(value):
            check(settings)  # a range, if it has one, says more than that it must be finite
            if hint is float and math.isinf(value):
                continue  # without a range: a threshold above everything, for example
        object.__setattr__(settings, name, _read(_reader(hint, False), value, name))
    check(settings)


def _read(reader: Reader, data: Any, where: str) -> Any:
    try:
        return reader(data)
    except _MisfitError as wrong:
        expected = wrong.expected.replace("{}", where + wrong.place)
        raise InputError(expected, wrong.found, wrong.remedy) from wrong.__cause__


@functools.cache
def _reader(hint: Any, lenient: bool) -> Reader:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _union_reader(inner, lenient)
    if origin is tuple:
        return _tuple_reader(inner, lenient)
    if origin is dict:
        return _dict_reader(inner[1], lenient)
    return _record_reader(hint, lenient) if dataclasses.is_dataclass(hint) else _scalar_reader(hint, lenient)


def _scalar_reader(hint: Any, lenient: bool) -> Reader:
    if hint is Any or (lenient and hint in _SCALARS):
        return lambda data: data
    name = "a finite number" if hint is float else hint.__name__
    # An int is accepted as a float, since JSON does not distinguish 1 from 1.0.
    accepted = {hint, int if hint is float else str if issubclass(hint, str) else hint}

    def read(data: Any) -> Any:
        if type(data) in accepted and (hint is not float or abs(data) <= sys.float_info.max):
            return hint(data)
        if getattr(data, "shape", None) == ():
            return read(data.item())  # a NumPy scalar, from a script
        raise _MisfitError(f"{name} for {{}}", repr(data))

    return read


def _tuple_reader(inner: tuple[Any, ...], lenient: bool) -> Reader:
    open_end = inner[-1] is Ellipsis
    size = "a list" if open_end else f"a list of {len(inner)}"

    def read(data: Any) -> Any:
        if not isinstance(data, (list, tuple)) or (not open_end and len(data) != len(inner)):
            raise _MisfitError(f"{size} for {{}}", repr(data))
        values = []
        for place, one in enumerate(data):
            try:
                values.append(_reader(inner[0 if open_end else place], lenient)(one))
            except _MisfitError as wrong:
                raise wrong.inside(f"[{place}]") from wrong.__cause__
        return tuple(values)

    return read


def _dict_reader(inner: Any, lenient: bool) -> Reader:
    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _MisfitError("names and values for {}", repr(data))
        values = {}
        for name, one in data.items():
            try:
                values[name] = _reader(inner, lenient)(one)
            except _MisfitError as wrong:
                raise wrong.inside(f"[{name!r}]") from wrong.__cause__
        return values

    return read


def _union_reader(union: tuple[Any, ...], lenient: bool) -> Reader:
    one, *others = (hint for hint in union if hint is not types.NoneType)
    read = _kind_reader((one, *others), lenient) if others else _reader(one, lenient)
    return (lambda data: None if data is None else read(data)) if types.NoneType in union else read


def _kind_reader(union: tuple[Any, ...], lenient: bool) -> Reader:
    readers = {one.kind: _reader(one, lenient) for one in union}

    def read(data: Any) -> Any:
        kind = data.get("kind") if isinstance(data, dict) else data
        if not isinstance(kind, str) or kind not in readers:
            known = ", ".join(readers)
            newer = "A newer version may have written it: update."
            raise _MisfitError(f"a gene of kind {known} for {{}}", repr(kind), newer)
        return readers[kind](data)

    return read


def _record_reader(record: Any, lenient: bool) -> Reader:
    kind = getattr(record, "kind", None)
    readers = {name: _reader(hint, lenient) for name, hint in _hints(record).items()}
    known = readers.keys() | ({"kind"} if kind is not None else set())
    required = _required(record)

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _MisfitError("fields in braces for {}", repr(data))
        if kind is not None and not lenient and data.get("kind") != kind:
            raise _MisfitError(f"a gene of kind {kind} for {{}}", repr(data.get("kind")))
        if not lenient and (unknown := data.keys() - known):
            fields = ", ".join(readers)
            raise _MisfitError(
                f"for {{}} the fields {fields}", f"unknown {', '.join(sorted(unknown))}", "Correct or remove it."
            )
        values = {}
        for name, reader in readers.items():
            if name in data:
                try:
                    values[name] = reader(data[name])
                except _MisfitError as wrong:
                    raise wrong.inside(f".{name}") from wrong.__cause__
        if missing := required - values.keys():
            raise _MisfitError(f"for {{}} the field {', '.join(sorted(missing))}", "none", "Add it.")
        try:
            return record(**values)
        except InputError:
            raise
        except ValueError as problem:
            raise _MisfitError("a usable {}", str(problem)) from problem

    return read
