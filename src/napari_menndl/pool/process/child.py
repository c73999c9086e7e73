"""Main program of a trainer: ``python -m napari_menndl.pool.process.child ENTRY`` calls a function per message.

Standard input and output carry messages only; output of libraries goes to standard error. The child lives as long as
its standard input is open: when that closes, its owner has exited or no longer needs it, and the child exits at once,
even during a training, together with all processes it started.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import IO

from napari_menndl.pool.process.entry import call_entry, failure_of, load_entry, needs_fresh_process
from napari_menndl.pool.process.messages import Message, read_message, write_message

#: Time after the job's time limit at which a child ends itself, if its owner has died and nothing else works [s].
_BACKSTOP = 60.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until standard input closes or no message arrives for `--idle` seconds."""
    parser = argparse.ArgumentParser(prog="napari_menndl.pool.process.child")
    parser.add_argument("entry", help="module:function")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--idle", type=float, default=120.0, help="exit after so long without a job [s]")
    options = parser.parse_args(arguments)

    if options.nice and hasattr(os, "nice"):
        os.nice(options.nice)
    for name in ("SIGINT", "SIGTERM"):
        # Ctrl-C and a batch system's SIGTERM are handled by the owner, which may want this job to finish.
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    _prefer_for_oom_kill()
    requests, replies = _take_pipes()
    jobs: queue.SimpleQueue[Message] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, jobs), daemon=True).start()

    try:
        function = load_entry(options.entry)
    except Exception as error:
        failure = failure_of(error)
        write_message(replies, {"failure": [failure.kind, failure.message, failure.traceback]})
        return 1
    write_message(replies, {"failure": None})
    while True:
        try:
            header, attachment = jobs.get(timeout=options.idle)
        except queue.Empty:
            return 0
        if header["timeout"] is not None:
            # Needs no GIL: ends the job even if the owner has died and `_listen` cannot run. Without SIGUSR1 the owner
            # cannot request a traceback, so the child dumps it at the time limit itself.
            later = header["timeout"] + (_BACKSTOP if hasattr(signal, "SIGUSR1") else 0.0)
            faulthandler.dump_traceback_later(max(0.001, later), exit=True)
        payload, blob, failed = call_entry(function, header["payload"], attachment)
        faulthandler.cancel_dump_traceback_later()
        reply = {
            "payload": payload,
            "failure": None if failed is None else [failed.kind, failed.message, failed.traceback],
            "recycle": needs_fresh_process(failed),
        }
        write_message(replies, reply, blob)


def _prefer_for_oom_kill() -> None:
    """Make Linux kill this process rather than its owner when memory runs out."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Reserve the pipes for the protocol: redirect descriptor 0 to empty input and 1 to standard error."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Line buffering, so that output before a crash is not lost.
        sys.stdout.reconfigure(line_buffering=True)
    return requests, replies


def _listen(requests: IO[bytes], jobs: queue.SimpleQueue[Message]) -> None:
    try:
        while (message := read_message(requests)) is not None:
            jobs.put(message)
    finally:
        if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
            os.killpg(os.getpid(), signal.SIGKILL)
        os._exit(1)


if __name__ == "__main__":
    # Not sys.exit, which would wait for threads that libraries left running.
    code = main()
    sys.stderr.flush()
    os._exit(code)
