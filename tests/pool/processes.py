"""Schedulers and workers in processes of their own, as `dask scheduler` and `dask worker` start them."""

import contextlib
import os
import socket
import subprocess
import sys

import psutil
from waiting import gone


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def dask_process(kind, *arguments, env=None):
    command = [sys.executable, "-m", "distributed.cli.dask_" + kind, *map(str, arguments)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    # What the pool tells workers as soon as it is connected: until then sampling could block them.
    environment = os.environ | {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"} | (env or {})
    return subprocess.Popen(command, env=environment, **quiet)


def start_scheduler(port):
    return dask_process("scheduler", "--host", "127.0.0.1", "--port", port, "--dashboard-address", "127.0.0.1:0")


def start_worker(address, folder, threads=2, env=None, preload=None):
    options = ("--preload", preload) if preload else ()
    options += ("--nthreads", threads, "--host", "127.0.0.1", "--no-dashboard", "--memory-limit", 0)
    return dask_process("worker", address, *options, "--local-directory", folder, env=env)


def end(*processes):
    for process in processes:
        family = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()
        assert gone(family)
