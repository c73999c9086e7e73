"""Pool settings: one frozen dataclass per kind, used for pool files and their error messages."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from napari_menndl.errors import InputError
from napari_menndl.pool.process.hardware import networks_that_fit
from napari_menndl.serialization import check_types
from napari_menndl.settings import about, documented, setting

if TYPE_CHECKING:
    from napari_menndl.pool.cluster import Cluster


#: Settings by kind; filled as the classes below are defined.
KINDS: dict[str, type[PoolSettings]] = {}


@documented
@dataclass(frozen=True, kw_only=True)
class PoolSettings:
    """What every kind of pool may say."""

    kind: ClassVar[str]
    #: The class of its cluster, ``"module:Class"`` in ``pool/clusters``, created from the settings. It is imported when
    #: it is needed, since it may need a library that is not installed.
    cluster_class: ClassVar[str] = ""
    #: Fields with paths, which are relative to the folder of the pool file.
    paths: ClassVar[tuple[str, ...]] = ()

    slots: int | None = setting(
        None, "Slots", note="The most networks trained at a time; left out: what fits", min=1, max=100_000
    )
    networks_per_gpu: int | None = setting(
        None,
        "Networks per GPU",
        note="How many networks share a GPU; 0 trains on processor cores; left out: here what fits, elsewhere one",
        min=0,
        max=64,
    )

    def __init_subclass__(cls) -> None:
        if "kind" in vars(cls):
            KINDS[cls.kind] = cls

    def __post_init__(self) -> None:
        check_types(self)

    @property
    def sharing(self) -> int:
        """Number of networks that share a GPU."""
        return 1 if self.networks_per_gpu is None else self.networks_per_gpu

    def cluster(self) -> Cluster:
        """Return the cluster of the workers, without starting anything.

        Raises
        ------
        InputError
            If something named in the settings is missing or invalid.
        """
        if not self.cluster_class:
            raise InputError("a pool on Dask", self.kind, 'Use "local".')
        module, _, name = self.cluster_class.partition(":")
        cluster: Cluster = getattr(import_module(f"napari_menndl.pool.clusters.{module}"), name)(self)
        return cluster


@documented
@dataclass(frozen=True, kw_only=True)
class LocalSettings(PoolSettings):
    """A Dask cluster of our own on this machine."""

    kind = "local"
    cluster_class = "local:Local"
    paths = ("folder",)

    tls: bool = setting(
        False, "TLS", note="Certificates even here: for a machine on which others log in, who could run code as you"
    )
    folder: str = setting("", "Folder", note="For the files of the worker; left out: a temporary one")

    @property
    def sharing(self) -> int:
        """Number of networks that share a GPU; left out: what cores and memory of this machine allow."""
        return networks_that_fit() if self.networks_per_gpu is None else self.networks_per_gpu


@dataclass(frozen=True, kw_only=True)
class _RunningSettings(PoolSettings):
    """Settings of a cluster that was started outside napari-menndl."""

    cluster_class = "external:ExternalScheduler"

    certificates: str = setting(
        "",
        "Certificates",
        note="Folder with ca.pem, client.pem and client.key, for tls://; left out: the one of `pool certificates`",
    )
    insecure: bool = setting(
        False, "Insecure", note="Allow tcp:// to another machine: whoever is on the network can then run code there"
    )


@documented
@dataclass(frozen=True, kw_only=True)
class SchedulerSettings(_RunningSettings):
    """A Dask scheduler that runs already, by its address."""

    kind = "scheduler"
    paths = ("certificates",)

    address: str = field(metadata=about("Address", note="tcp://127.0.0.1:PORT or tls://HOST:PORT"))


@documented
@dataclass(frozen=True, kw_only=True)
class SchedulerFileSettings(_RunningSettings):
    """A Dask scheduler that runs already, by the file that it writes (`dask scheduler --scheduler-file`)."""

    kind = "scheduler-file"
    paths = ("file", "certificates")

    file: str = field(metadata=about("File", note="Where the scheduler writes its address"))


@documented
@dataclass(frozen=True, kw_only=True)
class SshSettings(PoolSettings):
    """Machines that are reached by ssh, one worker on each."""

    kind = "ssh"
    cluster_class = "ssh:Ssh"
    paths = ("hosts", "config")

    hosts: str = field(metadata=about("Hosts", note="File with one machine per line, as in: name slots=4 python=PATH"))
    config: str = setting("", "Configuration", note="File for `ssh -F`, instead of your own ~/.ssh/config")


@documented
@dataclass(frozen=True, kw_only=True)
class SlurmSettings(PoolSettings):
    """Nodes of a SLURM cluster, one worker in each job; the search runs where `sbatch` does."""

    kind = "slurm"
    cluster_class = "slurm:Slurm"
    paths = ("shared", "logs")

    queue: str = setting("", "Queue", note="Partition (-p); left out: the cluster's default")
    account: str = setting("", "Account", note="Whom the time is charged to (-A)")
    nodes: int = setting(1, "Nodes", note="Jobs, of one node each", min=1, max=10_000)
    gpus: int = setting(0, "GPUs", note="Of each node (--gpus-per-node)", min=0, max=64)
    cores: int = setting(1, "Cores", note="Of each node (--cpus-per-task)", min=1, max=10_000)
    memory: str = setting("16GB", "Memory", note="Of each node (--mem)")
    walltime: str = setting("01:00:00", "Wall time", note="Of each job: minutes, HH:MM:SS or DAYS-HH:MM:SS")
    lifetime: float | None = setting(
        None,
        "Lifetime",
        "min",
        "When a worker ends by itself and a new job is asked for; left out: shortly before the wall time is over",
        min=0.1,
        max=1e6,
    )
    stagger: float = setting(
        2.0, "Stagger", "min", "Lifetimes vary by so much, so that not all end at once", min=0, max=1e5
    )
    python: str = setting("", "Python", note="What runs Python on a node, or in a container; left out: this one")
    setup: tuple[str, ...] = setting((), "Set-up", note="Lines of shell before the worker, as in: module load cuda")
    directives: tuple[str, ...] = setting((), "Directives", note="Further options of sbatch, as in: --constraint=a100")
    interface: str = setting("", "Interface", note="Network that the nodes share, as in ib0; left out: the default")
    scratch: str = setting("", "Scratch", note="Fast folder of each node, for the training task")
    shared: str = setting("", "Shared folder", note="Seen by all nodes; certificates of a run lie there while it lasts")
    logs: str = setting("", "Logs", note="Folder for the output of jobs; left out: the shared folder")

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_walltime(self.walltime)

    @property
    def node_slots(self) -> int:
        """Number of networks trained at a time on each node."""
        return self.gpus * self.sharing or self.cores

    @property
    def seconds(self) -> tuple[float, float]:
        """Lifetime and stagger of a worker [s], which ends before the wall time is over."""
        stagger = 60 * max(0.0, self.stagger)
        if self.lifetime is not None:
            return 60 * self.lifetime, min(stagger, 30 * self.lifetime)
        whole = parse_walltime(self.walltime)
        stagger = min(stagger, whole / 10)
        return whole - stagger - min(60.0, whole / 10), stagger


@documented
@dataclass(frozen=True, kw_only=True)
class SerialSettings(PoolSettings):
    """One network at a time, in order: the same seed gives the same search."""

    kind = "serial"


def parse_walltime(text: str) -> float:
    """Convert SLURM's time format to seconds: minutes, MM:SS, HH:MM:SS or D-HH[:MM[:SS]].

    Raises
    ------
    InputError
    """
    match = re.fullmatch(r"(?:(\d+)-)?(\d+(?::\d+){0,2})", text.strip())
    if match is None:
        raise InputError("a wall time such as 90, 01:30:00 or 2-00:00:00", repr(text), "Correct walltime, in quotes.")
    days, parts = match[1], [int(part) for part in match[2].split(":")]
    if days is not None:
        units: tuple[int, ...] = (3600, 60, 1)
    else:
        units = {1: (60,), 2: (60, 1), 3: (3600, 60, 1)}[len(parts)]
    return 86400.0 * int(days or 0) + sum(part * unit for part, unit in zip(parts, units, strict=False))


def path_of(text: str) -> Path:
    """Return an absolute path, with ``~`` expanded."""
    return Path(text).expanduser().absolute()
