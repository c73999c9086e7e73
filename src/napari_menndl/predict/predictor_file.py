"""File of a trained network or ensemble: safetensors with a description in JSON, which cannot execute code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write, named
from napari_menndl.network.weights import from_bytes, to_bytes

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from torch import Tensor

#: Metadata key of the description.
MARK = "napari-menndl"
SCHEMA = 1
REMEDY = "Give a file that napari-menndl saved, or take a fresh copy of it."


def save_file(path: str | os.PathLike[str], kind: str, about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Path:
    """Write a file atomically.

    Parameters
    ----------
    path : path
    kind : str
        Kind of content: ``"network"``, ``"ensemble"``.
    about : mapping
        Description, stored as JSON.
    tensors : mapping of str to Tensor

    Raises
    ------
    InputError
        If the path cannot be written.
    """
    path = named(Path(path), "the network")
    described = json.dumps({"schema": SCHEMA, "kind": kind, **about})
    try:
        atomic_write(path, to_bytes(tensors, {MARK: described}))
    except OSError as problem:
        raise InputError("a place that can be written", f"{path}: {problem}", "Choose another folder.") from problem
    return path


def open_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read a file.

    Returns
    -------
    about : dict
        As saved, with ``"kind"``.
    tensors : dict of str to Tensor

    Raises
    ------
    InputError
        If it is missing, damaged, not from napari-menndl, or from a newer version.
    """
    path = Path(path)
    try:
        blob = path.read_bytes()
    except OSError as problem:
        raise InputError("a saved network or ensemble", f"{path}: {problem}", "Check the path.") from problem
    try:
        tensors, metadata = from_bytes(blob)
    except InputError as problem:
        raise InputError("a saved network or ensemble", f"{path}: {problem.found}", REMEDY) from problem
    try:
        about = json.loads(metadata[MARK])
        schema, known = about["schema"], isinstance(about["kind"], str)
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(
            "a network that napari-menndl saved", f"{path}, written by another program", REMEDY
        ) from problem
    if not known or not isinstance(schema, int) or schema > SCHEMA:
        found = f"version {schema!r} in {path}"
        raise InputError(f"a network of schema version {SCHEMA} or older", found, "Update napari-menndl.")
    return about, tensors
