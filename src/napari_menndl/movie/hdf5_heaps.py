"""Detection of damaged HDF5 heaps, which the HDF5 library would read in an endless loop."""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

#: Start of a global heap, which holds texts of attributes: signature, version, three zeros (HDF5 File Format
#: Specification, III.E).
_HEAP = b"GCOL\x01\0\0\0"
#: Distance from the beginning and the end of a file within which heaps are searched [bytes]; frames lie between.
WITHIN = 1 << 26


def check_heaps(path: Path) -> None:
    """Refuse a file with a heap whose free space has size 0, on which the HDF5 library loops endlessly.

    Raises
    ------
    InputError
        If there is such a heap.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        ends = (0, WITHIN), (max(WITHIN, len(content) - WITHIN), len(content))
        for start, end in ends:
            at = content.find(_HEAP, start, end)
            while at >= 0:
                if _is_endless(content, at):
                    raise InputError(
                        f"a complete file at {path}",
                        f"a damaged heap at byte {at}",
                        "Copy it anew from where it was recorded, or export the movie as TIFF.",
                    )
                at = content.find(_HEAP, at + len(_HEAP), end)


def _is_endless(content: mmap.mmap, at: int) -> bool:
    end = min(at + struct.unpack_from("<Q", content, at + 8)[0], len(content)) if at + 16 <= len(content) else 0
    place = at + 16
    while place + 16 <= end:
        number, size = struct.unpack_from("<H6xQ", content, place)
        if number == size == 0:
            return True
        # An object has a header of 16 bytes and is padded to 8; free space includes its header in its size.
        place += 16 + -(-size // 8) * 8 if number else size
    return False
