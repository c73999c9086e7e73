"""Messages of a JSON header and raw bytes, length-prefixed; used on trainers' pipes and with Dask workers.

Layout: ``b"NMPL"``, header length (uint32), attachment length (uint64), header (UTF-8 JSON), attachment; big-endian.
"""

from __future__ import annotations

import io
import json
import math
import struct
from typing import IO, Any

from napari_menndl.errors import GENOME_FAILURES, POOL_FAILURES, Failure
from napari_menndl.pool.protocol import Outcome

_HEAD = struct.Struct(">4sIQ")
_MAGIC = b"NMPL"

#: Largest header and attachment that are sent or accepted [byte].
HEADER_LIMIT = 64 * 2**20
LIMIT = 2**30

Message = tuple[dict[str, Any], bytes]


def write_message(stream: IO[bytes], header: dict[str, Any], attachment: bytes = b"") -> None:
    """Write one message and flush.

    Raises
    ------
    ValueError
        If header or attachment exceed the limit; nothing is written then.
    TypeError
        If the header cannot be converted to JSON.
    """
    text = json.dumps(header, separators=(",", ":")).encode()
    if len(text) > HEADER_LIMIT or len(attachment) > LIMIT:
        raise ValueError(
            f"a message of {len(text)} + {len(attachment)} bytes is over the limit of {HEADER_LIMIT} + {LIMIT}"
        )
    stream.write(_HEAD.pack(_MAGIC, len(text), len(attachment)) + text)
    if attachment:
        stream.write(attachment)
    stream.flush()


def read_message(stream: IO[bytes]) -> Message | None:
    """Read one message; None if the stream ends, between messages or within one.

    Raises
    ------
    ValueError
        If the data are not a message, or its lengths exceed the limit.
    """
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    magic, header_length, attachment_length = _HEAD.unpack(head)
    if magic != _MAGIC or header_length > HEADER_LIMIT or attachment_length > LIMIT:
        raise ValueError("what arrived is no message of this protocol")
    text = stream.read(header_length)
    attachment = stream.read(attachment_length) if attachment_length else b""
    if len(text) < header_length or len(attachment) < attachment_length:
        return None
    header = json.loads(text)
    if not isinstance(header, dict):
        raise ValueError("a message's header must be a JSON object")
    return header, attachment


def pack(messages: list[Message]) -> bytes:
    """Concatenate messages to bytes; `unpack` is the inverse."""
    stream = io.BytesIO()
    for header, attachment in messages:
        write_message(stream, header, attachment)
    return stream.getvalue()


def unpack(data: bytes) -> list[Message]:
    """Split the output of `pack` into messages.

    Raises
    ------
    ValueError
        If the bytes are not a sequence of complete messages.
    """
    stream = io.BytesIO(data)
    messages = []
    while stream.tell() < len(data):
        message = read_message(stream)
        if message is None:
            raise ValueError("the last message is cut off")
        messages.append(message)
    return messages


def outcome_to_message(outcome: Outcome) -> Message:
    """Convert an outcome to a message."""
    failure = outcome.failure
    header = {
        "key": outcome.key,
        "payload": outcome.payload,
        "failure": None if failure is None else [failure.kind, failure.message, failure.traceback],
        "slot": outcome.slot,
        "started": outcome.started,
        "finished": outcome.finished,
    }
    return header, outcome.attachment


def outcome_from_message(message: Message) -> Outcome:
    """Convert a message to an outcome; raises KeyError, TypeError or ValueError for any other message."""
    header, attachment = message
    payload, failure = header["payload"], header["failure"]
    started, finished = float(header["started"]), float(header["finished"])
    if not (isinstance(payload, dict) if failure is None else payload is None):
        raise ValueError("an outcome has either a payload or a failure")
    if not (math.isfinite(started) and math.isfinite(finished)):
        raise ValueError("an outcome's times must be finite")
    failed = None if failure is None else Failure(*map(str, failure))
    if failed is not None and failed.kind not in GENOME_FAILURES | POOL_FAILURES:
        raise ValueError(f"there is no failure of kind {failed.kind[:40]!r}")
    return Outcome(str(header["key"]), payload, attachment, failed, str(header["slot"]), started, finished)
