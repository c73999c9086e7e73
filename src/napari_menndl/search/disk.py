"""Writing so that a file is whole or absent, and waiting where the disk is full."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
T = TypeVar("T")

#: Called when the disk is full; returns when it is worth trying again, or raises to give up.
Pause = Callable[[OSError], None]


def wait_for_room(write: Callable[[], T], pause: Pause | None) -> T:
    """Call `write` until it no longer fails for lack of room; without `pause` the error is the caller's."""
    while True:
        try:
            return write()
        except OSError as error:
            if pause is None or error.errno not in _FULL:
                raise
            pause(error)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside, flush it to the disk, and rename it into place."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
