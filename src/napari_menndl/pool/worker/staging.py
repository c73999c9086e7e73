"""Shared inputs: their digest, and their transfer in chunks."""

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

#: Size of the chunks in which files are sent, so that a worker can respond in between [byte].
PIECE = 8 * 2**20


@dataclass(frozen=True)
class SharedInput:
    """A folder or file of this machine that all jobs need.

    Attributes
    ----------
    name : str
        Name of the field of the job's payload that holds the path.
    path : str or path
        Path, whose content must not change while the pool is open.
    """

    name: str
    path: str | os.PathLike[str]


@dataclass(frozen=True)
class StagedInput:
    """Description of a shared input for workers.

    Attributes
    ----------
    name : str
        As in `SharedInput`.
    source : str
        Path on the machine that opened the pool; workers on a shared file system can read it.
    digest : str
        SHA-256 of names, sizes and contents.
    """

    name: str
    source: str
    digest: str

    @classmethod
    def of(cls, shared_input: SharedInput) -> StagedInput:
        """Describe a shared input.

        Raises
        ------
        InputError
            If nothing exists at its path.
        """
        source = Path(shared_input.path).absolute()
        if not source.exists():
            raise InputError(f"the {shared_input.name} at {source}", "nothing there", "Correct the path.")
        return cls(shared_input.name, str(source), digest_of(source))

    @property
    def base(self) -> str:
        return Path(self.source).name


def files_of(path: Path) -> list[tuple[str, Path]]:
    """Return the files of a folder, or a single file, as (relative name, path), sorted by name."""
    if path.is_file():
        return [(path.name, path)]
    found = (Path(place) / name for place, _, names in os.walk(path) for name in names)
    return sorted((file.relative_to(path.parent).as_posix(), file) for file in found)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of names, sizes and contents."""
    sha = hashlib.sha256()
    for name, file in files_of(path):
        with file.open("rb") as stream:
            sha.update(json.dumps([name, os.fstat(stream.fileno()).st_size]).encode())
            while chunk := stream.read(2**20):
                sha.update(chunk)
    return sha.hexdigest()


def pieces_of(path: Path) -> Iterator[Message]:
    """Yield the files in chunks: a header with ``"name"`` and ``"offset"``, and at most `PIECE` bytes."""
    for name, file in files_of(path):
        with file.open("rb") as stream:
            offset = 0
            while (chunk := stream.read(PIECE)) or not offset:
                yield {"name": name, "offset": offset}, chunk
                offset += len(chunk)
                if len(chunk) < PIECE:
                    break


def write_piece(folder: Path, piece: Message) -> None:
    """Write a chunk below a folder.

    Raises
    ------
    ValueError
        If its name leads out of the folder.
    OSError
        If it cannot be written.
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
