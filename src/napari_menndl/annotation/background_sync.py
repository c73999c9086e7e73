"""fsync in a background thread.

A file that was written survives a crash or `kill -9` of its process. To survive a power cut it must be synced to the
disk, which may take long, and is therefore done in a background thread.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# Python waits for the pending work of this thread before it exits.
_thread = ThreadPoolExecutor(1, thread_name_prefix="fsync")
_waiting: set[Path] = set()


def fsync_soon(file: Path) -> None:
    """Sync a file that was just written or renamed, and its folder; pending calls for one file are merged."""
    if file not in _waiting:
        _waiting.add(file)
        try:
            _thread.submit(_fsync, file)
        except RuntimeError:  # Python is exiting, and the executor accepts no more work
            _fsync(file)


def wait_for_fsync() -> None:
    """Wait until all files passed to `fsync_soon` before are synced."""
    _thread.submit(lambda: None).result()


def _fsync(file: Path) -> None:
    _waiting.discard(file)  # before the sync: later writes need another one
    for path, mode in ((file, os.O_RDWR), (file.parent, os.O_RDONLY)):
        with suppress(OSError):  # removed in the meantime, or not supported, as for folders on Windows
            handle = os.open(path, mode)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
