"""The pool on a real SLURM, set up on this machine meanwhile: jobs cancelled and timed out, the search killed.

    python benchmarks/real_slurm.py [--quick] [--again]

Needs SLURM's own programs (Debian and Ubuntu: slurm-wlm and munge). Everything of it, the controller, a node
of two cores, keys and logs, lies in a temporary folder and listens on this machine; jobs are submitted by `sbatch` as
on a cluster, and run real workers. As in `faults.py` a stand-in sleeps instead of training, and what is counted is
read from the journal. Writes ``benchmarks/results/real-slurm.json``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from cells import Numbers, read_cell, write_cell
from places import Site, at, free_port, spread, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
_CONFIGURATION = """
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2048 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
_PROFILE = """
queue: main
nodes: 2
cores: 1
memory: 900MB
walltime: "{minutes}"
lifetime: {lifetime}
stagger: 0.2
interface: lo
shared: {folder}/shared
"""


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Run a SLURM of one node; its commands, here and in what is started from here, find it by SLURM_CONF."""
    for name in ("munge", "state", "spool", "shared"):
        (folder / name).mkdir(mode=0o700)
    # Munge wants nobody else to write above its socket, which all may enter.
    (folder / "munge").chmod(0o755)
    key = folder / "munge" / "key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o600)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    ports = {"controller": free_port(), "daemon": free_port()}
    host = socket.gethostname().partition(".")[0]
    configuration = folder / "slurm.conf"
    configuration.write_text(_CONFIGURATION.format(host=host, user=user, folder=folder, **ports))
    os.environ["SLURM_CONF"] = str(configuration)
    munge = [f"--{name}={folder}/munge/{name}" for name in ("socket", "pid-file", "log-file", "seed-file")]
    commands = (
        ["munged", "--foreground", "--force", f"--key-file={key}", *munge],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D", "-c"],
    )
    running = []
    try:
        with (folder / "daemons.log").open("ab") as log:
            for command in commands:
                running.append(subprocess.Popen([_find(command[0]), *command[1:]], stdout=log, stderr=log))
                time.sleep(1.0)
        if not wait_until(lambda: "idle" in _ask("sinfo", "--noheader", "--format=%T"), 30):
            raise RuntimeError(f"SLURM does not come up: see {folder}\n{(folder / 'daemons.log').read_text()[-2000:]}")
        yield
    finally:
        for process in reversed(running):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _find(program: str) -> str:
    """Daemons lie where only root looks."""
    return shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") or program


def _ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def jobs(state: str = "") -> list[str]:
    """Ids of the jobs that are there: waiting, running or on their way out."""
    return _ask("squeue", "--noheader", "--format=%i", *([f"--states={state}"] if state else [])).split()


def measure(number: int, seed: int) -> Numbers:
    """Cancel jobs, kill the search, let jobs come to the end of their lifetime and of their walltime."""
    with tempfile.TemporaryDirectory() as place, slurm(Path(place)):
        return {
            "version": _ask("sbatch", "--version").strip(),
            **_cancelled(Path(place) / "a", number, seed),
            "jobs that end by themselves": _timed_out(Path(place) / "b", seed, lifetime=0.7),
            "jobs that SLURM ends": _timed_out(Path(place) / "c", seed, lifetime=60.0),
        }


def _site(place: Path, seed: int, minutes: int, lifetime: float) -> Site:
    place.mkdir()
    profile = place / "profile.yaml"
    profile.write_text(_PROFILE.format(folder=place.parent, minutes=minutes, lifetime=lifetime))
    return Site(place, f"slurm:{profile}", machines=("node", "node"), threads=1, seconds=0.5, seed=seed)


def _cancelled(place: Path, number: int, seed: int) -> Numbers:
    """`scancel` of running jobs, then `kill -9` of the search, which resumes and in the end is stopped."""
    rng = np.random.default_rng(seed)
    lost = stuck = 0
    recovery: dict[str, list[float]] = {"scancel of a job": [], "the search killed": []}
    began = time.monotonic()
    with at(_site(place, seed, 60, 50.0)) as site:
        stuck += not site.wait_for(1, 120)
        first = time.monotonic() - began
        for kind, found in recovery.items():
            for _ in range(number):
                stuck += not wait_until(lambda: bool(site.tend()) or len(jobs("RUNNING")) == 2, 120)
                stuck += not site.wait_for(site.ended() + 3, 120)
                time.sleep(rng.uniform(0, 0.5))
                before, ended = site.journal(), site.ended()
                if kind == "the search killed":
                    site.search.kill()
                    site.search.wait()
                else:
                    subprocess.run(["scancel", str(rng.choice(jobs("RUNNING")))], check=True)
                moment = time.monotonic()
                # From the other job an evaluation may be on its way; three more are news.
                stuck += not site.wait_for(ended + 3, 120)
                found.append(time.monotonic() - moment)
                lost += not site.journal().startswith(before)
        orphans = site.end()
        wait_until(lambda: not jobs(), 60)
        sums: dict[str, Any] = {"seconds to the first evaluation": round(first, 1), "lost": lost, "stuck": stuck}
        shown = {f"seconds to recover, {kind}": spread(found) for kind, found in recovery.items()}
        return {**sums, "orphans": orphans, "jobs left": len(jobs()), **site.account(), **shown}


def _timed_out(place: Path, seed: int, lifetime: float) -> Numbers:
    """Search for longer than a job may run: the first jobs go, others come, nothing is lost."""
    with at(_site(place, seed, 1, lifetime)) as site:
        stuck = not site.wait_for(3, 120)
        first, before = set(jobs("RUNNING")), site.journal()
        gone = wait_until(lambda: bool(site.tend()) or not first & set(jobs()), 300)
        ended, lost = site.ended(), not site.journal().startswith(before)
        stuck += not site.wait_for(ended + 10, 120)
        later = len(set(jobs("RUNNING")) - first)
        orphans = site.end()
        wait_until(lambda: not jobs(), 60)
        sums = {"first jobs": len(first), "ended": gone, "new jobs": later, "lost": int(lost), "stuck": int(stuck)}
        return {**sums, "orphans": orphans, "jobs left": len(jobs()), **site.account()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one of each, nothing written")
    parser.add_argument("--again", action="store_true", help="measure though the result is there")
    options = parser.parse_args()
    if missing := [one for one in _PROGRAMS if not shutil.which(_find(one))]:
        sys.exit(f"{', '.join(missing)} not found; on Debian and Ubuntu: apt-get install slurm-wlm munge")
    found = None if options.again or options.quick else read_cell("real-slurm")
    if found is None:
        print("about 12 min", flush=True)
        found = measure(1 if options.quick else 5, options.seed)
        if not options.quick:
            write_cell("real-slurm", options.seed, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
