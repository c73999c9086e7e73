"""Copies of the shared input on a machine: staged once, verified, and kept for later pools."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from pathlib import Path

from filelock import FileLock, Timeout

from napari_menndl.pool.worker.staging import StagedInput, digest_of, pieces_of, write_piece

#: Age at which unused copies are removed, and that for remains of an interrupted staging [s].
_UNUSED, _UNFINISHED = 7 * 86400.0, 3600.0
#: Time to wait for another process that stages the same input [s].
_WAIT = 600.0


class NotStagedError(Exception):
    """There is no copy on this machine, and the source cannot be read here."""


class NodeCache:
    """Copies on one machine, shared by its workers; each process verifies a copy before its first use.

    Parameters
    ----------
    folder : path
        Folder on a disk of this machine.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._verified: set[str] = set()

    def find(self, staged: StagedInput) -> Path:
        """Return the path of a copy, made from the source if it can be read here.

        Raises
        ------
        NotStagedError
            If the bytes must be sent.
        OSError
            If there is no disk space or no permission.
        """
        place = self.folder / staged.digest / staged.base
        if staged.digest not in self._verified or not place.exists():
            with self._lock(staged.digest):
                if not self.intact(staged):
                    shutil.rmtree(place.parent, ignore_errors=True)
                    self._copy_source(staged)
            self._verified.add(staged.digest)
        os.utime(place.parent)
        return place

    def intact(self, staged: StagedInput) -> bool:
        """Whether the copy is intact, by reading it again; `find` replaces a damaged one."""
        place = self.folder / staged.digest / staged.base
        try:
            intact = place.exists() and digest_of(place) == staged.digest
        except OSError:
            intact = False
        if not intact:
            self._verified.discard(staged.digest)
        return intact

    def part(self, staged: StagedInput) -> Path:
        """Create a temporary folder in the cache to write chunks to."""
        part = self.folder / f".{staged.digest}.{uuid.uuid4().hex}"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._prune()
        part.mkdir()
        return part

    def put(self, staged: StagedInput, part: Path) -> None:
        """Verify the copy assembled from chunks and make it available.

        Raises
        ------
        ValueError
            If its digest is not the announced one.
        """
        with self._lock(staged.digest):
            self._take(staged, part)

    def _take(self, staged: StagedInput, part: Path) -> None:
        try:
            if digest_of(part / staged.base) != staged.digest or len(list(part.iterdir())) != 1:
                raise ValueError(f"the {staged.name} that arrived is not the one that was announced")
            if not self.intact(staged):
                shutil.rmtree(self.folder / staged.digest, ignore_errors=True)
                part.rename(self.folder / staged.digest)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _copy_source(self, staged: StagedInput) -> None:
        source = Path(staged.source)
        try:
            here = source.exists() and digest_of(source) == staged.digest
        except OSError:
            here = False
        if not here:
            raise NotStagedError
        part = self.part(staged)
        try:
            for piece in pieces_of(source):
                write_piece(part, piece)
            self._take(staged, part)
        except ValueError as error:  # the source is being changed, or the disk is faulty
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
