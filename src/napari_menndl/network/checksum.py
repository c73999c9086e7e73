"""Checksum inside a safetensors file, which detects any damaged or missing bytes.

The SHA-256 is computed over all bytes, with its own 64 digits as zeros, so that it covers the entire file. Other
readers of safetensors see it as ordinary metadata.
"""

from __future__ import annotations

import hashlib
import json
import re

#: Metadata key of the checksum, and its placeholder during computation.
NAME = "sha256"
BLANK = "0" * 64
_PLACE = re.compile(rb'"sha256":"(?=.{64})', re.DOTALL)
_DIGEST = re.compile(rb'"[0-9a-f]{64}"')


def seal(blob: bytes) -> bytes:
    """Insert the checksum into safetensors bytes whose metadata have `NAME`: `BLANK`."""
    at = blob.index(f'"{NAME}":"{BLANK}"'.encode()) + len(NAME) + 4
    return b"".join((blob[:at], hashlib.sha256(blob).hexdigest().encode(), blob[at + len(BLANK) :]))


def is_intact(blob: bytes) -> bool:
    """Whether bytes are an undamaged safetensors file.

    Files without a checksum, as other programs write them, only need the full length.
    """
    # The first eight bytes are the header's length, little-endian.
    start = 8 + int.from_bytes(blob[:8], "little")
    header = blob[8:start]
    place = _PLACE.search(header)
    if place is not None:
        at = 8 + place.end()
        sha = hashlib.sha256(blob[:at])
        sha.update(BLANK.encode())
        sha.update(memoryview(blob)[at + len(BLANK) :])
        return blob[at : at + len(BLANK)] == sha.hexdigest().encode()
    # A digest without its key is a damaged checksum, not an absent one.
    return _DIGEST.search(header) is None and _is_whole(header, len(blob) - start)


def _is_whole(header: bytes, length: int) -> bool:
    """Whether the tensors listed in the header end with the file."""
    try:
        tensors = json.loads(header)
        ends = [int(one["data_offsets"][1]) for name, one in tensors.items() if name != "__metadata__"]
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return False
    return max(ends, default=0) == length
