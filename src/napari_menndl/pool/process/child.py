"""The trainer child: ``python -m napari_menndl.pool.process.child ENTRY`` calls one function for each message.

Standard input and output carry messages and nothing else: whatever libraries print goes to standard error. The child
lives exactly as long as its standard input: when that closes, its owner is dead or done with it, and it exits at once,
in the middle of training if need be, taking along whatever processes it started.
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

#: The owner ends a child at its time limit; where it is dead and nothing else works, this ends it so much later [s].
_BACKSTOP = 60.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until standard input closes or nothing came for `--idle` seconds."""
    parser = argparse.ArgumentParser(prog="napari_menndl.pool.process.child")
    parser.add_argument("entry", help="module:function")
    parser.add_argument("--nice", type=int, default=0)
    parser.add_argument("--idle", type=float, default=120.0, help="exit after so long without a job [s]")
    options = parser.parse_args(arguments)

    if options.nice and hasattr(os, "nice"):
        os.nice(options.nice)
    for name in ("SIGINT", "SIGTERM"):
        # Ctrl-C and a batch system's SIGTERM are for the owner to act on, who may want this job finished.
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1, all_threads=True)
    _be_the_first_to_go()
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
            # Needs no GIL: ends the job even where the owner died and `_listen` cannot run. Where the owner cannot ask
            # where it hangs, it says so at the time limit itself.
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


def _be_the_first_to_go() -> None:
    """Have Linux choose this process, not its owner, when the machine runs out of memory."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def _take_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Keep the protocol's pipes to ourselves: descriptor 0 becomes empty and 1 becomes standard error."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What was printed before a crash is worth having.
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
    # Not sys.exit: threads that a library left behind must not keep a child alive that is done.
    code = main()
    sys.stderr.flush()
    os._exit(code)
