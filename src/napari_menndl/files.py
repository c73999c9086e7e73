"""Files: atomic writing, waiting while the disk is full, syncing in the background; the folder of a user."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import platformdirs

from napari_menndl.errors import InputError

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
T = TypeVar("T")

#: Called when the disk is full; returns when the write should be tried again, or raises to give up.
Pause = Callable[[OSError], None]

# A file that was written survives a crash or `kill -9` of its process. To survive a power cut it must be synced to the
# disk, which may take long, and is therefore done in this thread. Python waits for its pending work before it exits.
_thread = ThreadPoolExecutor(1, thread_name_prefix="fsync")
_waiting: set[Path] = set()


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


def check_new(*paths: Path, overwrite: bool) -> None:
    """Refuse to write where something is already, unless it may be replaced.

    Raises
    ------
    InputError
        If one of the paths exists.
    """
    there = [] if overwrite else [str(path) for path in paths if path.exists()]
    if there:
        more = f" and {len(there) - 1} more" if len(there) > 1 else ""
        remedy = "Choose another place, or have it replaced: --overwrite, overwrite=True."
        raise InputError("a place where nothing is yet", f"{there[0]}{more}, which exists", remedy)


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


def wait_for_room(write: Callable[[], T], pause: Pause | None) -> T:
    """Call `write` until it no longer fails for lack of space; without `pause`, let the error through."""
    while True:
        try:
            return write()
        except OSError as error:
            if pause is None or error.errno not in _FULL:
                raise
            pause(error)


def fsync_soon(file: Path) -> None:
    """Sync a file that was just written or renamed, and its folder; pending calls for one file are merged."""
    if file not in _waiting:
        _waiting.add(file)
        try:
            _thread.submit(_fsync, file)
        except RuntimeError:  # Python is exiting, and the executor accepts no more work
            _fsync(file)


def _fsync(file: Path) -> None:
    _waiting.discard(file)  # before the sync: later writes need another one
    for path, mode in ((file, os.O_RDWR), (file.parent, os.O_RDONLY)):
        with suppress(OSError):  # removed in the meantime, or not supported, as for folders on Windows
            handle = os.open(path, mode)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


def user_data() -> Path:
    """Return the folder in ``NAPARI_MENNDL_DATA`` if that is set, else the platform's folder for user data."""
    return Path(os.environ.get("NAPARI_MENNDL_DATA") or platformdirs.user_data_dir("napari-menndl", appauthor=False))
