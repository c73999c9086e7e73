"""Lock for the one writer of a run folder, released when its process dies, with a note that names the holder."""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Length of the note, reserved from the start so that it can be changed in place on a full disk [byte].
_NOTE = 1024
#: Age of the note from which its holder counts as gone, where locks cannot be tried (read-only) [s].
_SILENCE = 120.0


class WriterLock:
    """Lock of a run folder for its one writer.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "search.lock"
        self._note = folder / "search.owner"
        self._lock = FileLock(str(self._path))
        self._state = ""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; may be nested.

        Raises
        ------
        InputError
            If another process holds it, or the folder cannot be written.
        """
        try:
            # Views try the lock briefly to see whether it is held: that must not turn the writer away.
            self._lock.acquire(timeout=1.0, poll_interval=0.05)
        except Timeout:
            who = self.holder()
            raise InputError(
                f"to be the only one that writes {self._folder}",
                f"process {who.get('pid', '?')} on {who.get('host', '?')} at work in it",
                "Watch that search, stop it first, or choose another run folder.",
            ) from None
        except OSError as error:
            raise unwritable(self._folder, error) from error
        try:
            if self._lock.lock_counter == 1:
                self.note("running")
            yield
        finally:
            if self._lock.lock_counter == 1:
                self.note("")
            self._lock.release()

    def note(self, state: str | None = None) -> None:
        """Write holder and state to the note if possible; None keeps the state."""
        self._state = state = self._state if state is None else state
        text = json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "state": state})
        with suppress(OSError):
            file = os.open(self._note, os.O_WRONLY | os.O_CREAT, 0o666)
            try:
                os.write(file, text.encode().ljust(_NOTE))
            finally:
                os.close(file)

    def holder(self) -> dict[str, Any]:
        """Return who holds the lock or held it last: pid, host, state; empty if nobody ever did."""
        try:
            note: dict[str, Any] = json.loads(self._note.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return note

    @property
    def is_held(self) -> bool:
        """Whether a search is running in the folder, in this process or another."""
        if self._lock.is_locked:
            return True
        if not self._path.exists():
            return False
        try:
            # Another view may be trying the lock at this moment; a search holds it longer.
            with FileLock(str(self._path), timeout=0.1, poll_interval=0.02):
                return False
        except Timeout:
            # On a busy computer a view holds it that long, too; a search that ends clears its note.
            return bool(self.holder().get("state") != "")
        except OSError:
            return bool(self.holder().get("state")) and time.time() - self._note.stat().st_mtime < _SILENCE


def unwritable(folder: Path, error: OSError) -> InputError:
    """Return the error for a folder that cannot be written."""
    return InputError(
        "a folder that can be written",
        f"{folder}: {error.strerror or error}",
        "Choose another folder, make room, or change its permissions.",
    )
