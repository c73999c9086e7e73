"""Files that outlast a power cut, without anyone waiting for it.

A file that was written outlives the process that wrote it, `kill -9` included. What it does not outlive until it is
synced is the machine; that takes as long as the disk takes, and happens on a thread beside.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Python waits for its work before it exits.
_thread = ThreadPoolExecutor(1, thread_name_prefix="fsync")
_waiting: set[Path] = set()


def fsync_soon(file: Path) -> None:
    """Sync a file that was written or renamed just now, and the folder that names it; once for all calls that wait."""
    if file not in _waiting:
        _waiting.add(file)
        try:
            _thread.submit(_fsync, file)
        except RuntimeError:  # Python is ending and takes no more work for other threads
            _fsync(file)


def wait_for_fsync() -> None:
    """Return when everything is synced that was written before."""
    _thread.submit(lambda: None).result()


def _fsync(file: Path) -> None:
    _waiting.discard(file)  # what is written from here on needs a sync of its own
    for path, mode in ((file, os.O_RDWR), (file.parent, os.O_RDONLY)):
        with suppress(OSError):  # gone by now (undone, empty again), or a place without it, as a folder on Windows
            handle = os.open(path, mode)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
