"""Records, dataclasses with typed fields, written to JSON and read back from it."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing
from typing import Any

from napari_menndl.errors import InputError


@functools.cache
def _hints(record: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(record)


def encode(value: Any) -> Any:
    """Turn dataclasses and tuples into what JSON knows; a dataclass with a ``kind`` is tagged with it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        tag = {"kind": value.kind} if hasattr(value, "kind") else {}
        named = {f.name: (hints[f.name], getattr(value, f.name)) for f in dataclasses.fields(value)}
        return tag | {
            # By the declared type, so that 1 and 1.0 are the same gene and have the same digest.
            name: hint(one) if hint in (int, float, bool, str) else encode(one)
            for name, (hint, one) in named.items()
        }
    if isinstance(value, (tuple, list)):
        return [encode(one) for one in value]
    return value.item() if hasattr(value, "item") else value


def decode(hint: Any, data: Any, where: str) -> Any:
    """Undo `encode`, believing nothing.

    Parameters
    ----------
    hint : type
        A dataclass, a union of dataclasses told apart by ``kind``, a tuple type, or int, float, bool, str.
    data : object
        From JSON.
    where : str
        Names the place in the file, for the error.

    Raises
    ------
    InputError
        On an unknown field or kind, a wrong type, or a value that the dataclass itself refuses.
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_kind(inner, data, where)
    if origin is tuple:
        open_end = inner[-1] is Ellipsis
        if not isinstance(data, list) or (not open_end and len(data) != len(inner)):
            size = "a list" if open_end else f"a list of {len(inner)}"
            raise InputError(f"{size} at {where}", repr(data), "Correct the file.")
        kinds = inner[:1] * len(data) if open_end else inner
        return tuple(decode(kind, one, f"{where}[{i}]") for i, (kind, one) in enumerate(zip(kinds, data, strict=True)))
    if dataclasses.is_dataclass(hint):
        return _decode_record(hint, data, where)
    right = isinstance(data, hint) or (hint is float and isinstance(data, int))
    if not right or (isinstance(data, bool) and hint is not bool) or (hint is float and not math.isfinite(data)):
        raise InputError(f"{hint.__name__} at {where}", repr(data), "Correct the file.")
    return hint(data)


def _decode_kind(union: tuple[Any, ...], data: Any, where: str) -> Any:
    kinds = {one.kind: one for one in union}
    kind = data.get("kind") if isinstance(data, dict) else data
    if not isinstance(kind, str) or kind not in kinds:
        known = ", ".join(kinds)
        raise InputError(
            f"a gene of kind {known} at {where}", repr(kind), "A newer version may have written it: update."
        )
    return _decode_record(kinds[kind], data, where)


def _decode_record(record: Any, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise InputError(f"fields in braces at {where}", repr(data), "Correct the file.")
    if hasattr(record, "kind"):
        if data.get("kind") != record.kind:
            raise InputError(f"a gene of kind {record.kind} at {where}", repr(data.get("kind")), "Correct the file.")
        data = {name: one for name, one in data.items() if name != "kind"}
    hints = _hints(record)
    declared = {f.name: f for f in dataclasses.fields(record)}
    required = {name for name, f in declared.items() if f.default is f.default_factory is dataclasses.MISSING}
    if unknown := data.keys() - declared.keys():
        known = ", ".join(declared)
        raise InputError(
            f"at {where} the fields {known}", f"unknown {', '.join(sorted(unknown))}", "Correct or remove it."
        )
    if missing := required - data.keys():
        raise InputError(f"at {where} the field {', '.join(sorted(missing))}", "none", "Add it.")
    values = {name: decode(hints[name], one, f"{where}.{name}") for name, one in data.items()}
    try:
        return record(**values)
    except InputError:
        raise
    except ValueError as problem:
        raise InputError(f"a usable {where}", str(problem), "Correct the file.") from problem
