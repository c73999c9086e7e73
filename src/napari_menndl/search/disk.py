"""Writing that waits while the disk is full."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
T = TypeVar("T")

#: Called when the disk is full; returns when the write should be tried again, or raises to give up.
Pause = Callable[[OSError], None]


def wait_for_room(write: Callable[[], T], pause: Pause | None) -> T:
    """Call `write` until it no longer fails for lack of space; without `pause`, let the error through."""
    while True:
        try:
            return write()
        except OSError as error:
            if pause is None or error.errno not in _FULL:
                raise
            pause(error)
