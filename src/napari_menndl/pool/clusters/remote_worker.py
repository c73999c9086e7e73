"""Dask worker at the remote end of an ssh connection: ``python -m napari_menndl.pool.clusters.remote_worker``.

The worker's settings, including keys, arrive as one line of JSON on standard input, and are never on the command line
or on disk. Afterwards, heartbeats arrive there. If they stop, or standard input closes, the pool is gone, and the
worker exits at once, together with its trainers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import selectors
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import psutil

#: Time without a heartbeat after which the connection counts as dead, whatever ssh reports [s].
SILENCE = 90.0
_PREFIX = "napari-menndl-"


def main() -> int:
    """Work until standard input closes or heartbeats stop, or until the scheduler is lost."""
    message = json.loads(sys.stdin.buffer.readline())
    # Staged files must be private on a machine with several users.
    os.umask(0o077)
    _tidy()
    folder = tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-")

    def leave(code: int = 0) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(code)  # even if something hangs; trainers exit when their standard input closes

    threading.Thread(target=_listen, args=(leave,), daemon=True).start()
    code = 1
    try:
        if refused := _check(message):
            print(refused, file=sys.stderr, flush=True)
            code = 3
        else:
            asyncio.run(_work(message, folder))
            code = 0
    finally:
        leave(code)
    return code


def _tidy() -> None:
    """Remove the folders of workers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _check(message: dict[str, Any]) -> str:
    """Describe which versions differ from the pool's; empty if none does."""
    from napari_menndl.pool.worker.tasks import versions

    ours, theirs = versions(), message["versions"]
    wrong = [name for name in theirs if ours.get(name) != theirs[name]]
    if not wrong:
        return ""
    here, there = (", ".join(f"{name} {found.get(name)}" for name in wrong) for found in (ours, theirs))
    return f"{here} here, where the search has {there}; install the same versions"


async def _work(message: dict[str, Any], folder: str) -> None:
    import dask
    from dask.system import CPU_COUNT
    from distributed import Worker
    from distributed.security import Security

    from napari_menndl.pool.process.hardware import visible_gpus

    dask.config.set(message["config"])
    slots = message["slots"] or len(visible_gpus()) * message["networks_per_gpu"] or CPU_COUNT
    security = Security(
        require_encryption=True,
        tls_ca_file=message["authority"],
        tls_worker_cert=message["certificate"],
        tls_worker_key=message["key"],
    )
    async with Worker(
        message["scheduler"],
        nthreads=slots,
        name=message["name"],
        host="127.0.0.1",
        port=message["port"],
        contact_address=message["contact"],
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        local_directory=folder,
        death_timeout=60,
        security=security,
    ) as worker:
        await worker.finished()


def _listen(leave: Any) -> None:
    """Exit when heartbeats stop or standard input closes."""
    with contextlib.suppress(OSError, ValueError), selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.buffer, selectors.EVENT_READ)
        while selector.select(SILENCE) and os.read(sys.stdin.fileno(), 4096):
            pass
    leave()


if __name__ == "__main__":
    sys.exit(main())
