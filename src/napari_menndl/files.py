"""Atomic writing of files, and a check that a folder has no links that lead out of it."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from napari_menndl.errors import InputError


def atomic_write(path: Path, data: bytes) -> None:
    """Write a temporary file, fsync it, and rename it to `path`; OSError if that fails."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def named(path: Path, what: str) -> Path:
    """Return a path to write to; InputError if it has no name of its own, such as ``""``, ``"."`` or ``"/"``."""
    if path.name in ("", ".."):
        raise InputError(f"a path with a name for {what}", repr(str(path)), "Add a name to the folder.")
    return path


def check_links(folder: Path) -> None:
    """Refuse a folder with a link that leads out of it: the link's target would be read, changed or deleted.

    Raises
    ------
    InputError
        If there is such a link.
    """
    inside = os.path.realpath(folder)
    for place, folders, files in os.walk(inside):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            if os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(inside):
                raise InputError(
                    "a folder that holds its own files",
                    f"the link {Path(path).relative_to(inside)} in {folder}, which leads to {os.path.realpath(path)}",
                    "Put the files themselves in its place, or remove the link.",
                )
