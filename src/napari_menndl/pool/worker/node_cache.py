"""Copies of what jobs need, on the machine they run on: brought there once, verified, kept for the next pool."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from pathlib import Path

from filelock import FileLock, Timeout

from napari_menndl.pool.worker.staging import StagedInput, digest_of, pieces_of, write_piece

#: Copies that nobody has used for so long are removed, and what an interrupted staging left [s].
_UNUSED, _UNFINISHED = 7 * 86400.0, 3600.0
#: Another process that stages the same is waited for so long [s].
_WAIT = 600.0


class NotStagedError(Exception):
    """There is no copy on this machine, and it cannot make one by itself."""


class NodeCache:
    """The copies on one machine, shared by all its workers; each process verifies one before it first uses it.

    Parameters
    ----------
    folder : path
        On a disk of this machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._verified: set[str] = set()

    def find(self, cargo: StagedInput) -> Path:
        """Return the path of a copy, made from the source if that can be read here.

        Raises
        ------
        NotStagedError
            The bytes have to be sent.
        OSError
            There is no room, or no permission.
        """
        place = self.folder / cargo.digest / cargo.base
        if cargo.digest not in self._verified or not place.exists():
            with self._lock(cargo.digest):
                if not self.intact(cargo):
                    shutil.rmtree(place.parent, ignore_errors=True)
                    self._copy_source(cargo)
            self._verified.add(cargo.digest)
        os.utime(place.parent)
        return place

    def intact(self, cargo: StagedInput) -> bool:
        """Read the copy again; when it is damaged, `find` makes a new one."""
        place = self.folder / cargo.digest / cargo.base
        try:
            intact = place.exists() and digest_of(place) == cargo.digest
        except OSError:
            intact = False
        if not intact:
            self._verified.discard(cargo.digest)
        return intact

    def part(self, cargo: StagedInput) -> Path:
        """Make a folder beside, for pieces."""
        part = self.folder / f".{cargo.digest}.{uuid.uuid4().hex}"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._prune()
        part.mkdir()
        return part

    def put(self, cargo: StagedInput, part: Path) -> None:
        """Take what pieces have made a copy of into use.

        Raises
        ------
        ValueError
            It is not what was announced.
        """
        with self._lock(cargo.digest):
            self._take(cargo, part)

    def _take(self, cargo: StagedInput, part: Path) -> None:
        try:
            if digest_of(part / cargo.base) != cargo.digest or len(list(part.iterdir())) != 1:
                raise ValueError(f"the {cargo.name} that arrived is not the one that was announced")
            if not self.intact(cargo):
                shutil.rmtree(self.folder / cargo.digest, ignore_errors=True)
                part.rename(self.folder / cargo.digest)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _copy_source(self, cargo: StagedInput) -> None:
        source = Path(cargo.source)
        try:
            here = source.exists() and digest_of(source) == cargo.digest
        except OSError:
            here = False
        if not here:
            raise NotStagedError
        part = self.part(cargo)
        try:
            for piece in pieces_of(source):
                write_piece(part, piece)
            self._take(cargo, part)
        except ValueError as error:  # the source changes, or the disk does not keep what is written
            raise NotStagedError from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _lock(self, digest: str) -> FileLock:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileLock(self.folder / f"{digest}.lock", timeout=_WAIT)

    def _prune(self) -> None:
        now = time.time()
        for old in [one for one in self.folder.iterdir() if one.is_dir()]:
            unfinished = old.name.startswith(".")
            try:
                if now - old.stat().st_mtime < (_UNFINISHED if unfinished else _UNUSED):
                    continue
                with FileLock(self.folder / f"{old.name.lstrip('.').partition('.')[0]}.lock", timeout=0):
                    shutil.rmtree(old, ignore_errors=True)
            except (OSError, Timeout):
                continue
