"""Conversion of dataclasses with typed fields to JSON and back.

Readers and writers are made once per type and cached, since millions of genomes are converted.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

from napari_menndl.errors import InputError

_SCALARS = (int, float, bool, str)


@functools.cache
def _hints(record: type[Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(record)
    return {one.name: hints[one.name] for one in dataclasses.fields(record)}


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
    # By the declared type, so that 1 and 1.0 have the same digest.
    if hint in _SCALARS:
        writer: Callable[[Any], Any] = hint
        return writer
    inner = set(typing.get_args(hint)) - {Ellipsis}
    if typing.get_origin(hint) is tuple and len(inner) == 1 and inner <= set(_SCALARS):
        scalar = inner.pop()
        return lambda values: [scalar(one) for one in values]
    return encode


# ------------------------------------------------------------------ reading


class _MisfitError(Exception):
    """Error of a reader; in `expected`, ``{}`` stands for the place in the file, which the callers add to."""

    def __init__(self, expected: str, found: str, remedy: str = "Correct the file.") -> None:
        self.expected, self.found, self.remedy, self.place = expected, found, remedy, ""

    def inside(self, place: str) -> _MisfitError:
        self.place = place + self.place
        return self


Reader = Callable[[Any], Any]


def decode(hint: Any, data: Any, where: str) -> Any:
    """Invert `encode`, with a check of all names, types and values.

    Parameters
    ----------
    hint : type
        A dataclass, a union of dataclasses distinguished by ``kind``, a tuple type, or int, float, bool, str.
    data : object
        From JSON.
    where : str
        Name of the data in errors.

    Raises
    ------
    InputError
        For an unknown or missing field, an unknown kind, a wrong type, or a value that the dataclass refuses.
    """
    try:
        return _reader(hint)(data)
    except _MisfitError as wrong:
        expected = wrong.expected.replace("{}", where + wrong.place)
        raise InputError(expected, wrong.found, wrong.remedy) from wrong.__cause__


@functools.cache
def _reader(hint: Any) -> Reader:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _kind_reader(inner)
    if origin is tuple:
        return _tuple_reader(inner)
    return _record_reader(hint) if dataclasses.is_dataclass(hint) else _scalar_reader(hint)


def _scalar_reader(hint: type[Any]) -> Reader:
    def read(data: Any) -> Any:
        # An int is accepted as a float, since JSON does not distinguish 1 from 1.0.
        right = type(data) is hint or (hint is float and type(data) is int)
        if right and (hint is not float or abs(data) <= sys.float_info.max):
            return hint(data)
        raise _MisfitError(f"{hint.__name__} at {{}}", repr(data))

    return read


def _tuple_reader(inner: tuple[Any, ...]) -> Reader:
    open_end = inner[-1] is Ellipsis
    size = "a list" if open_end else f"a list of {len(inner)}"

    def read(data: Any) -> Any:
        if not isinstance(data, list) or (not open_end and len(data) != len(inner)):
            raise _MisfitError(f"{size} at {{}}", repr(data))
        values = []
        for place, one in enumerate(data):
            try:
                values.append(_reader(inner[0 if open_end else place])(one))
            except _MisfitError as wrong:
                raise wrong.inside(f"[{place}]") from wrong.__cause__
        return tuple(values)

    return read


def _kind_reader(union: tuple[Any, ...]) -> Reader:
    readers = {one.kind: _reader(one) for one in union}

    def read(data: Any) -> Any:
        kind = data.get("kind") if isinstance(data, dict) else data
        if not isinstance(kind, str) or kind not in readers:
            known = ", ".join(readers)
            newer = "A newer version may have written it: update."
            raise _MisfitError(f"a gene of kind {known} at {{}}", repr(kind), newer)
        return readers[kind](data)

    return read


def _record_reader(record: Any) -> Reader:
    kind = getattr(record, "kind", None)
    readers = {name: _reader(hint) for name, hint in _hints(record).items()}
    known = readers.keys() | ({"kind"} if kind is not None else set())
    required = {
        one.name for one in dataclasses.fields(record) if one.default is one.default_factory is dataclasses.MISSING
    }

    def read(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _MisfitError("fields in braces at {}", repr(data))
        if kind is not None and data.get("kind") != kind:
            raise _MisfitError(f"a gene of kind {kind} at {{}}", repr(data.get("kind")))
        if unknown := data.keys() - known:
            fields = ", ".join(readers)
            raise _MisfitError(
                f"at {{}} the fields {fields}", f"unknown {', '.join(sorted(unknown))}", "Correct or remove it."
            )
        values = {}
        for name, reader in readers.items():
            if name in data:
                try:
                    values[name] = reader(data[name])
                except _MisfitError as wrong:
                    raise wrong.inside(f".{name}") from wrong.__cause__
        if missing := required - values.keys():
            raise _MisfitError(f"at {{}} the field {', '.join(sorted(missing))}", "none", "Add it.")
        try:
            return record(**values)
        except InputError:
            raise
        except ValueError as problem:
            raise _MisfitError("a usable {}", str(problem)) from problem

    return read
