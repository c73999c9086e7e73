"""Journal of a search: one checksummed JSON object per line, one writer, any number of readers."""

from __future__ import annotations

import json
import math
import os
import time
import warnings
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.files import Pause, wait_for_room

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

Fact = dict[str, Any]
#: Length of the checksum at the end of a line [byte].
_TAIL = len(b',"crc32":"01234567"}\n')
#: Start of a birth's line, and the text before its genome, the last field; quotes within text are escaped.
_BIRTH, _GENOME = b'{"kind":"born",', b',"genome":{'
_parse = json.JSONDecoder().raw_decode


class Journal:
    """Writer of a journal.

    When `commit` returns, everything recorded is on disk; a write that failed leaves nothing. An incomplete last line,
    left by a process that died while writing, is cut off on opening.

    Parameters
    ----------
    path : Path
        Created when absent.
    pause : callable, optional
        Called with the error while the disk is full; what is recorded is kept and written once there is room.

    Raises
    ------
    InputError
        If a line before the last is damaged: a search must not continue from an incomplete history.
    """

    def __init__(self, path: Path, pause: Pause | None = None) -> None:
        self.path = path
        self._pause = pause
        self._lines: list[bytes] = []
        self._length = 0
        if path.exists():
            for _, self._length in _good_lines(path, 0, strict=True):
                pass
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        os.ftruncate(self._file, self._length)

    def record(self, kind: str, **facts: Any) -> Fact:
        """Record a fact with the time [unix s]; it is on disk after the next `commit`."""
        fact = {"kind": kind, "time": round(time.time(), 3), **facts}
        self._lines.append(_to_line(fact))
        return fact

    def flush(self) -> None:
        """Write everything recorded so that readers see it; a power failure may still undo it."""
        if self._lines:
            wait_for_room(lambda: self._write(sync=False), self._pause)

    def commit(self) -> None:
        """Write everything recorded to disk for good; wait while the disk is full."""
        if self._lines:
            self._length = wait_for_room(lambda: self._write(sync=True), self._pause)
            self._lines.clear()

    def _write(self, sync: bool) -> int:
        """Write all lines since the last commit, including those already flushed; return the offset of their end."""
        try:
            os.lseek(self._file, self._length, os.SEEK_SET)
            left = memoryview(b"".join(self._lines))
            end = self._length + len(left)
            while left:
                left = left[os.write(self._file, left) :]
            if sync:
                os.fsync(self._file)
        except OSError:
            # Remove lines that were partly written: the next attempt writes them all.
            os.ftruncate(self._file, self._length)
            raise
        return end

    def close(self) -> None:
        """Close the file without committing."""
        os.close(self._file)

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def iterate_journal(
    path: Path, offset: int = 0, *, strict: bool = False, genomes: bool = True
) -> Iterator[tuple[Fact, int]]:
    """Yield each fact and the offset [byte] at which its line ends, keeping one line in memory.

    Damaged lines at the end are ignored: their writer is still writing, or died while writing.

    Parameters
    ----------
    path : Path
    offset : int [byte]
        Offset of the start of a line.
    strict : bool
        Whether a damaged line followed by good ones raises an error instead of a warning.
    genomes : bool
        Whether births include their genomes, which are most of a journal.

    Raises
    ------
    InputError
        If `strict`, for a damaged line followed by good ones.
    """
    for body, end in _good_lines(path, offset, strict=strict):
        if not genomes and body.startswith(_BIRTH):
            body = body.partition(_GENOME)[0]
        with understood(path):
            fact = _parse(body.decode() + "}")[0]
        yield fact, end


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """Report content that cannot be interpreted as damage, even if its checksum is right.

    Raises
    ------
    InputError
        For any such error raised within.
    """
    try:
        yield
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise not_written(path, f"{type(error).__name__}: {error}") from error


def not_written(path: Path, found: str) -> InputError:
    """Return the error for a line that no search wrote."""
    remedy = "Restore the file from a copy, or start a new search."
    return InputError("a journal that a search wrote", f"{path}: {found}", remedy)


def _good_lines(path: Path, offset: int, *, strict: bool = False) -> Iterator[tuple[bytes, int]]:
    """Yield the text before the checksum of each intact line, and the offset at which the line ends."""
    damaged: list[int] = []
    with path.open("rb") as file:
        file.seek(offset)
        for line in file:
            start, offset = offset, offset + len(line)
            body = line[:-_TAIL]
            if line[-_TAIL:] != _tail(body):
                damaged.append(start)
                continue
            if damaged:
                _complain(path, damaged[0], strict)
                damaged.clear()
            yield body, offset


def _complain(path: Path, offset: int, strict: bool) -> None:
    with path.open("rb") as file:
        number = file.read(offset).count(b"\n") + 1
    error = InputError(
        "a journal whose lines match their checksums",
        f"line {number} of {path} damaged",
        "Restore the file from a copy, or start a new search; the results so far can still be read.",
    )
    if strict:
        raise error
    warnings.warn(str(error), stacklevel=4)


def _to_line(fact: Fact) -> bytes:
    try:
        text = _write(fact)
    except ValueError:
        text = _write(_finite(fact))
    body = text.encode()[:-1]
    return body + _tail(body)


def _tail(body: bytes) -> bytes:
    return b',"crc32":"%08x"}\n' % zlib.crc32(body)


def _plain(value: Any) -> Any:
    """Convert a NumPy scalar to a Python number."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} does not belong in a journal")


_write = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=_plain).encode


def _finite(value: Any) -> Any:
    """Replace numbers that are not finite by None, because JSON has no NaN."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
