"""Files of ours: written whole or not at all, and never outside the folder that somebody named."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from napari_menndl.errors import InputError


def atomic_write(path: Path, data: bytes) -> None:
    """Write a file beside, flush it to the disk, and rename it into place; raises OSError where that fails."""
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


def check_links(folder: Path) -> None:
    """Refuse a folder of ours in which a link leads out of it: a search would read, change or delete what lies there.

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
