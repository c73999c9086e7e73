"""Calls of the job function, with results and all errors returned as data."""

from __future__ import annotations

import errno
import json
import re
import traceback
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import Failure
from napari_menndl.pool.process.messages import HEADER_LIMIT, LIMIT

if TYPE_CHECKING:
    from napari_menndl.pool.protocol import Entry

_CUDA = re.compile("CUDA|CUBLAS|cuDNN|CUDNN")


def load_entry(entry: str) -> Entry:
    """Import ``"module:function"``.

    Raises
    ------
    ImportError, AttributeError, ValueError
        If there is no such module or function, or the text is not of that form.
    """
    module, _, name = entry.partition(":")
    if not module or not name:
        raise ValueError(f'expected "module:function", found {entry!r}')
    function: Entry = getattr(import_module(module), name)
    return function


def failure_of(error: BaseException) -> Failure:
    """Convert an exception to a failure of the matching kind.

    Out-of-memory errors of torch and CUDA are recognised by name, to avoid importing torch.
    """
    names = {cls.__name__ for cls in type(error).__mro__}
    if names & {"MemoryError", "OutOfMemoryError"}:
        kind = "out_of_memory"
    elif isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        kind = "disk_full"
    elif isinstance(error, SystemExit):
        kind = "crashed"
    else:
        kind = "error"
    message = "".join(traceback.format_exception_only(error)).strip()
    return Failure(kind, message, "".join(traceback.format_exception(error)))


def call_entry(
    function: Entry, payload: dict[str, Any], attachment: bytes
) -> tuple[dict[str, Any] | None, bytes, Failure | None]:
    """Call the job function; return its payload and attachment, or the failure of its exception or invalid result."""
    try:
        result = function(payload, attachment)
        reply, blob = result
        if not isinstance(reply, dict) or not isinstance(blob, bytes | bytearray | memoryview):
            raise TypeError(f"a job returns (dict, bytes); found ({type(reply).__name__}, {type(blob).__name__})")
        text = json.dumps(reply)
        if len(text) > HEADER_LIMIT or len(blob) > LIMIT:
            raise ValueError(f"the result of {len(text)} + {len(blob)} bytes is over the limit")
        # Converted through JSON, so that results are the same in every pool.
        return json.loads(text), bytes(blob), None
    except (Exception, SystemExit) as error:
        return None, b"", failure_of(error)


def needs_fresh_process(failure: Failure | None) -> bool:
    """Whether a failure may have damaged the process: fragmented memory, or a lost CUDA context."""
    if failure is None:
        return False
    return failure.kind in {"out_of_memory", "crashed"} or _CUDA.search(failure.message) is not None
