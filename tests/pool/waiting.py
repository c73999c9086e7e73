"""Waiting for what processes do, with a limit."""

import time
from pathlib import Path

import psutil


def wait_until(true, seconds=30.0):
    """Wait until `true()` is; return what it said last."""
    deadline = time.monotonic() + seconds
    while not (answer := true()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


def collect(pool, count, seconds=30.0):
    """Return the outcomes of `count` jobs by key, each of which came once."""
    outcomes, deadline = {}, time.monotonic() + seconds
    while len(outcomes) < count and time.monotonic() < deadline:
        for outcome in pool.finished(timeout=1.0):
            assert outcome.key not in outcomes
            outcomes[outcome.key] = outcome
    assert len(outcomes) == count, f"only {sorted(outcomes)} came back"
    return outcomes


def one(pool, payload, attachment=b"", key="job"):
    pool.submit(key, payload, attachment)
    return collect(pool, 1)[key]


def pid_in(file):
    """Return the process id that a job writes into a file, as soon as it does."""
    path = Path(file)
    assert wait_until(lambda: path.exists() and path.read_text())
    return int(path.read_text())


def gone(pids, seconds=10.0):
    """Whether all these processes end within so long."""

    def dead(pid):
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    return wait_until(lambda: all(dead(pid) for pid in pids), seconds)
