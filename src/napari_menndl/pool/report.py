"""Result of a pool check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from napari_menndl.serialization import encode


@dataclass(frozen=True)
class Machine:
    """Resources of a worker.

    Attributes
    ----------
    host : str
    slots : int
        Number of its threads.
    gpus : int
    memory : int [byte]
    """

    host: str
    slots: int
    gpus: int
    memory: int


@dataclass(frozen=True)
class PoolReport:
    """Result of checking a pool.

    Attributes
    ----------
    seconds : float [s]
        Response time of a worker; 0 if none was asked.
    where : str
    machines : tuple of Machine
    here, there : dict of str to str
        Versions of python, napari-menndl, distributed, dask and torch.
    bytes_per_second : float [byte/s]
        Transfer rate to a worker's disk.
    notes : tuple of str
        Messages for the user: warnings, machines that could not be reached.
    """

    seconds: float
    where: str
    machines: tuple[Machine, ...]
    here: dict[str, str] = field(default_factory=dict)
    there: dict[str, str] = field(default_factory=dict)
    bytes_per_second: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def workers(self) -> int:
        return len(self.machines)

    @property
    def slots(self) -> int:
        """Number of networks that can be trained at a time."""
        return sum(one.slots for one in self.machines)

    @property
    def gpus(self) -> int:
        return self._of_hosts("gpus")

    @property
    def memory(self) -> int:
        """Memory of all machines [byte]."""
        return self._of_hosts("memory")

    def _of_hosts(self, what: str) -> int:
        """Sum a resource over hosts, which their workers share."""
        return sum({one.host: int(getattr(one, what)) for one in self.machines}.values())

    @property
    def matches(self) -> bool:
        """Whether the same versions are installed there and here."""
        return self.here == self.there

    def to_json(self) -> dict[str, Any]:
        sums = {name: getattr(self, name) for name in ("workers", "slots", "gpus", "memory", "matches")}
        return {**sums, **encode(self)}
