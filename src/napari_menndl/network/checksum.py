"""A checksum inside a safetensors file: a flipped bit or a missing end is noticed, wherever the bytes have been.

The SHA-256 is that of all bytes with its own 64 digits as zeros, so that nothing in the file lies outside it. Any other
reader of safetensors finds it among the metadata and is not disturbed.
"""

from __future__ import annotations

import hashlib
import json
import re

#: Its name among the metadata, and what stands in its place while it is computed.
NAME = "sha256"
BLANK = "0" * 64
_PLACE = re.compile(rb'"sha256":"(?=.{64})', re.DOTALL)
_DIGEST = re.compile(rb'"[0-9a-f]{64}"')


def seal(blob: bytes) -> bytes:
    """Enter the checksum into safetensors bytes whose metadata have `NAME`: `BLANK`."""
    at = blob.index(f'"{NAME}":"{BLANK}"'.encode()) + len(NAME) + 4
    return b"".join((blob[:at], hashlib.sha256(blob).hexdigest().encode(), blob[at + len(BLANK) :]))


def is_intact(blob: bytes) -> bool:
    """Whether these are safetensors bytes as they were sealed.

    Those without a checksum, as versions before this one wrote them and others do, must be whole.
    """
    # The header's length stands in the first eight bytes, little-endian.
    start = 8 + int.from_bytes(blob[:8], "little")
    header = blob[8:start]
    place = _PLACE.search(header)
    if place is not None:
        at = 8 + place.end()
        sha = hashlib.sha256(blob[:at])
        sha.update(BLANK.encode())
        sha.update(memoryview(blob)[at + len(BLANK) :])
        return blob[at : at + len(BLANK)] == sha.hexdigest().encode()
    # A checksum whose name is damaged is not one that was never there.
    return _DIGEST.search(header) is None and _is_whole(header, len(blob) - start)


def _is_whole(header: bytes, length: int) -> bool:
    """Whether the tensors that a header tells of end with the file."""
    try:
        tensors = json.loads(header)
        ends = [int(one["data_offsets"][1]) for name, one in tensors.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return False
    return max(ends, default=0) == length
