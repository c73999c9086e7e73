"""Small jobs that do, in a trainer child, what training might do to it."""

import contextlib
import ctypes
import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ENTRY = "stand_ins:run"
#: What a trainer needs to find this module.
ENV = {"PYTHONPATH": str(Path(__file__).parent)}


def run(payload, attachment):
    """Do what ``payload["do"]`` says."""
    return globals()[f"do_{payload['do']}"](payload, attachment)


def do_echo(payload, attachment):
    return {**payload, "pid": os.getpid()}, attachment


def do_sleep(payload, attachment):
    time.sleep(payload["seconds"])
    return {"pid": os.getpid()}, b""


def do_fail(payload, attachment):
    raise ValueError("no such landscape")


def do_exhaust_memory(payload, attachment):
    raise MemoryError("not a byte left")


def do_exhaust_gpu(payload, attachment):
    class OutOfMemoryError(RuntimeError):  # as torch calls its own
        pass

    raise OutOfMemoryError("CUDA out of memory")


def do_fill_disk(payload, attachment):
    raise OSError(errno.ENOSPC, "No space left on device")


def do_answer_nonsense(payload, attachment):
    return "nonsense"


def do_exit(payload, attachment):
    print("going, going", flush=True)
    os._exit(3)


def do_segfault(payload, attachment):
    ctypes.string_at(0)


def do_crash_once(payload, attachment):
    """Dies the first time it runs, by way of a file that says so."""
    first = Path(payload["file"])
    if not first.exists():
        first.write_text("been here")
        os._exit(1)
    return {"pid": os.getpid()}, b""


def do_report_then_sleep(payload, attachment):
    """Tells its process id to whoever wants to kill it; the second time it is quick."""
    file = Path(payload["file"])
    again = file.exists()
    file.with_suffix(".new").write_text(str(os.getpid()))
    file.with_suffix(".new").rename(file)
    if not again:
        time.sleep(60)
    return {"again": again}, b""


def do_count_and_sleep(payload, attachment):
    """Leaves a line for every time it is run."""
    with Path(payload["file"]).open("a") as file:
        file.write("run\n")
    time.sleep(payload["seconds"])
    return {}, b""


def do_crash_twice_then_report(payload, attachment):
    """Dies the first two times, tells its process id and sleeps the third, and then is quick."""
    file = Path(payload["file"])
    with file.with_suffix(".runs").open("a") as runs:
        runs.write("run\n")
    match len(file.with_suffix(".runs").read_text().splitlines()):
        case 1 | 2:
            os._exit(3)
        case 3:
            return do_report_then_sleep(payload, attachment)
    return {}, b""


def do_hang_deaf(payload, attachment):
    for name in ("SIGTERM", "SIGINT"):
        with contextlib.suppress(ValueError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    while True:
        time.sleep(1)


def do_stop_itself(payload, attachment):
    os.kill(os.getpid(), signal.SIGSTOP)


def do_spawn_and_hang(payload, attachment):
    """Starts a process of its own that holds on to every pipe it can get, and hangs."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], close_fds=False)
    Path(payload["file"]).write_text(str(child.pid))
    time.sleep(300)


def do_hold_memory(payload, attachment):
    held = bytearray(payload["bytes"])
    held[::4096] = b"x" * len(held[::4096])
    time.sleep(60)


def do_read(payload, attachment):
    """Reads what every job is carried, as bytes; on a worker that is said to be sick everything fails."""
    if os.environ.get("SICK") == "yes":
        raise ValueError("a sick machine")
    content = (Path(payload["carried"]) / "deep" / "file").read_bytes()
    if payload.get("sha") not in (None, hashlib.sha256(content).hexdigest()):
        raise ValueError("not what was saved")
    return {"place": payload["carried"]}, content


def do_be_sick(payload, attachment):
    if os.environ.get("SICK") == "yes":
        os._exit(9)
    return {}, b""


def do_print(payload, attachment):
    """Prints through Python and past it, more than any pipe holds."""
    print("x" * 300_000)
    os.write(1, b"y" * 300_000)
    os.write(2, b"z" * 300_000)
    return {"read": sys.stdin.read()}, b""


def do_environment(payload, attachment):
    names = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
    return {name: os.environ.get(name) for name in names} | {"nice": os.nice(0)}, b""
