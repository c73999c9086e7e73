"""A network that is cut: machines are network namespaces, and the cable between them is pulled at the switch.

No packet passes and nobody is told, as when a switch fails or a laptop leaves the building. The process that measures
must have a network of its own (`unshare --net`), so that nothing of the machine's is touched.
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from places import STUCK, Site, at, spread, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cells import Numbers

NEAR, FAR = "10.77.0.1", "10.77.0.2"


@dataclass(frozen=True)
class FarMachine:
    """A network namespace behind a cable to our switch.

    Attributes
    ----------
    enter : tuple of str
        The command with which to run something there.
    """

    enter: tuple[str, ...]

    def cut(self) -> None:
        _ip("link set port nomaster")

    def mend(self) -> None:
        _ip("link set port master switch")


@contextlib.contextmanager
def far_machine() -> Iterator[FarMachine]:
    """Make a second machine, ours being the first, for as long as the context lasts."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdout=subprocess.DEVNULL)
    try:
        there, here = (Path(f"/proc/{one}/ns/net") for one in (holder.pid, "self"))
        if not wait_until(lambda: there.readlink() != here.readlink(), 10):
            raise RuntimeError("no network namespace could be made")
        enter = ("nsenter", f"--net={there}")
        _ip("link set lo up")
        _ip("link add switch type bridge")
        _ip(f"addr add {NEAR}/24 dev switch")
        _ip(f"link add port type veth peer name cable netns {holder.pid}")
        _ip("link set port master switch")
        for device in ("switch", "port"):
            _ip(f"link set {device} up")
        for words in ("link set lo up", f"addr add {FAR}/24 dev cable", "link set cable up"):
            _ip(words, enter)
        yield FarMachine(enter)
    finally:
        holder.kill()
        holder.wait()
        for device in ("port", "switch"):
            _ip(f"link delete {device}", check=False)


def _ip(words: str, within: tuple[str, ...] = (), check: bool = True) -> None:
    subprocess.run([*within, "ip", *words.split()], check=check, stderr=None if check else subprocess.DEVNULL)


def cut(seconds: float) -> Callable[[int, int], Numbers]:
    """Cut off one machine of two, and then the search from both, for so long each time."""

    def measure(number: int, seed: int) -> Numbers:
        return {
            "a worker cut off": _cut(seconds, number, seed, "far"),
            "the search cut off": _cut(seconds, number, seed, "search"),
        }

    return measure


def _cut(seconds: float, number: int, seed: int, what: str) -> Numbers:
    """Cut `what` off, which is to get on again once it can; the rest is to go on meanwhile, if it can."""
    with far_machine() as machine, tempfile.TemporaryDirectory() as place:
        machines = ("near", "far") if what == "far" else ("near",)
        beyond = {what: machine.enter}
        site = Site(Path(place), machines=machines, threads=1, seconds=0.5, seed=seed, host=NEAR, beyond=beyond)
        lost = stuck = meanwhile = 0
        recovery: list[float] = []

        def done() -> int:
            return site.starts("far") if what == "far" else site.ended()

        def gets_on(steps: int) -> bool:
            goal = done() + steps
            return wait_until(lambda: bool(site.tend()) or done() >= goal, 2 * STUCK)

        with at(site):
            for _ in range(number):
                stuck += not gets_on(3)
                before, ended = site.journal(), site.ended()
                machine.cut()
                wait_until(lambda: bool(site.tend()), seconds)
                meanwhile += site.ended() - ended
                machine.mend()
                began = time.monotonic()
                stuck += not gets_on(1)
                recovery.append(time.monotonic() - began)
                lost += not site.journal().startswith(before)
            orphans = site.end()
            sums: dict[str, Any] = {"cuts": number, "lost": lost, "stuck": stuck, "orphans": orphans}
            return {**sums, "recorded meanwhile": meanwhile, **site.account(), "seconds to recover": spread(recovery)}
