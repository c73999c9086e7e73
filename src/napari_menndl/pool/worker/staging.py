"""What every job needs, known by its digest, and how it travels: in pieces."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_menndl.pool.process.messages import Message

#: Files travel in pieces of this size, so that a worker still answers meanwhile [byte].
PIECE = 8 * 2**20


@dataclass(frozen=True)
class SharedInput:
    """A folder or file of this machine that every job needs.

    Attributes
    ----------
    name : str
        The field of a job's payload in which its path stands.
    path : str or path
        It must not change while the pool is open.
    """

    name: str
    path: str | os.PathLike[str]


@dataclass(frozen=True)
class StagedInput:
    """What a worker is told of something carried.

    Attributes
    ----------
    name : str
        As in `SharedInput`.
    source : str
        Its path where the pool was opened; on a shared file system it is there for the worker, too.
    digest : str
        SHA-256 over names and contents.
    """

    name: str
    source: str
    digest: str

    @classmethod
    def of(cls, carried: SharedInput) -> StagedInput:
        """Look at what is to be carried.

        Raises
        ------
        InputError
            There is nothing at its path.
        """
        source = Path(carried.path).absolute()
        if not source.exists():
            raise InputError(f"the {carried.name} at {source}", "nothing there", "Correct the path.")
        return cls(carried.name, str(source), digest_of(source))

    @property
    def base(self) -> str:
        return Path(self.source).name


def files_of(path: Path) -> list[tuple[str, Path]]:
    """Return the files of a folder, or a lone one: name from its own name on, and path; in the order of names."""
    if path.is_file():
        return [(path.name, path)]
    found = (Path(place) / name for place, _, names in os.walk(path) for name in names)
    return sorted((file.relative_to(path.parent).as_posix(), file) for file in found)


def digest_of(path: Path) -> str:
    """Return the SHA-256 over names, sizes and contents."""
    sha = hashlib.sha256()
    for name, file in files_of(path):
        with file.open("rb") as stream:
            sha.update(json.dumps([name, os.fstat(stream.fileno()).st_size]).encode())
            while chunk := stream.read(2**20):
                sha.update(chunk)
    return sha.hexdigest()


def pieces_of(path: Path) -> Iterator[Message]:
    """Yield the files in pieces: a header of ``"name"`` and ``"offset"``, and at most `PIECE` bytes."""
    for name, file in files_of(path):
        with file.open("rb") as stream:
            offset = 0
            while (chunk := stream.read(PIECE)) or not offset:
                yield {"name": name, "offset": offset}, chunk
                offset += len(chunk)
                if len(chunk) < PIECE:
                    break


def write_piece(folder: Path, piece: Message) -> None:
    """Write a piece below a folder.

    Raises
    ------
    ValueError
        Its name leads elsewhere.
    OSError
        It cannot be written.
    """
    header, chunk = piece
    name, offset = header["name"], header["offset"]
    parts = PurePosixPath(name).parts
    if not parts or any(part in ("..", "/") or set(part) & set("\\:\0") for part in parts):
        raise ValueError(f"a file named {name!r} is not written")
    file = folder.joinpath(*parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("r+b" if offset else "wb") as stream:
        stream.seek(offset)
        stream.write(chunk)
