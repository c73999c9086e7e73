"""Workers in SLURM jobs, by dask-jobqueue: one worker per job and node."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import shlex
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.files import user_data
from napari_menndl.pool.cluster import Cluster
from napari_menndl.pool.clusters.certificates import RUN, make_certificates
from napari_menndl.pool.clusters.client import client_of, configured, guarded
from napari_menndl.pool.settings import path_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dask_jobqueue.slurm import SLURMCluster
    from distributed import Client

    from napari_menndl.pool.settings import SlurmSettings

_log = logging.getLogger(__name__)

#: Interval of the checks for jobs that have ended and must be replaced [s].
LOOK = 30.0
_CLOSE = 15.0


class Slurm(Cluster):
    """A scheduler on the submit host, and a job per requested node; jobs that end are replaced.

    Parameters
    ----------
    settings : SlurmSettings

    Raises
    ------
    InputError
        If dask-jobqueue is not installed, or the shared folder cannot be used.
    """

    def __init__(self, settings: SlurmSettings) -> None:
        try:
            import dask_jobqueue  # noqa: F401
        except ImportError as error:
            remedy = 'Install it: pip install "napari-menndl[slurm]".'
            raise InputError("the library dask-jobqueue", "none installed", remedy) from error
        self._settings = settings
        self._shared = path_of(settings.shared) if settings.shared else user_data() / "slurm"
        if shlex.quote(str(self._shared)) != str(self._shared):
            raise InputError("a shared folder without blanks and the like", str(self._shared), "Name another `shared`.")

    def check(self) -> None:
        """Refuse a machine from which jobs cannot be submitted."""
        if shutil.which("sbatch") is None:
            remedy = "Start the search where jobs are submitted: on a login node of the cluster."
            raise InputError("the program sbatch", "none here", remedy)

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Client]:
        self.check()
        self._shared.mkdir(mode=0o700, parents=True, exist_ok=True)
        with configured(), tempfile.TemporaryDirectory(prefix="run-", dir=self._shared) as folder:
            async with (
                self._running(Path(folder)) as cluster,
                client_of(cluster) as client,
                guarded(client, "SLURM"),
            ):
                keeping = asyncio.create_task(self._keep(cluster))
                try:
                    yield client
                finally:
                    keeping.cancel()

    def job_script(self) -> str:
        """Return the job script, with placeholders for the scheduler's address and the worker's name."""
        from dask_jobqueue.slurm import SLURMJob

        job = SLURMJob("tls://SCHEDULER:PORT", name="WORKER", protocol="tls://", **self._job_options())
        return str(job.job_script())

    def _job_options(self) -> dict[str, Any]:
        settings = self._settings
        lifetime, stagger = settings.seconds
        gpus = [f"--gpus-per-node={settings.gpus}"] if settings.gpus else []
        return {
            "queue": settings.queue or None,
            "account": settings.account or None,
            "cores": settings.node_slots,
            "processes": 1,
            "job_cpu": settings.cores,
            "memory": settings.memory,
            "walltime": settings.walltime,
            "job_extra_directives": [*gpus, *settings.directives],
            # A job starts in the folder it was submitted from, from which nothing may be imported.
            "job_script_prologue": ["export PYTHONSAFEPATH=1", *settings.setup],
            "python": settings.python or shlex.quote(sys.executable),
            "local_directory": settings.scratch or None,
            "log_directory": str(path_of(settings.logs) if settings.logs else self._shared / "logs"),
            "job_name": "napari-menndl",
            "interface": settings.interface or None,
            "worker_extra_args": [
                *("--lifetime", f"{lifetime:.0f}s"),
                *("--lifetime-stagger", f"{stagger:.0f}s"),
                # By default it would be served on the network interface.
                *("--dashboard-address", "127.0.0.1:0"),
            ],
        }

    def _cluster(self, folder: Path) -> SLURMCluster:
        from dask_jobqueue.slurm import SLURMCluster

        certificates = make_certificates(RUN)
        authority, certificate, key = certificates.write(folder, ["worker"])
        security: Any = certificates.security
        # Only the worker's files are written for the jobs; the other roles' certificates never leave this process.
        security.tls_ca_file = str(authority)
        security.tls_worker_cert, security.tls_worker_key = str(certificate), str(key)
        return SLURMCluster(
            scheduler_options={"dashboard_address": "127.0.0.1:0"},
            security=security,
            silence_logs=logging.CRITICAL,
            asynchronous=True,
            **self._job_options(),
        )

    @contextlib.asynccontextmanager
    async def _running(self, folder: Path) -> AsyncIterator[SLURMCluster]:
        cluster = self._cluster(folder)
        try:
            try:
                await cluster
                cluster.scale(jobs=self._settings.nodes)
                # Awaited again, since errors of sbatch would otherwise be lost.
                await cluster
            except (RuntimeError, ValueError, OSError) as error:
                found, remedy = " ".join(str(error).split())[-500:], "Correct the profile: queue, account, times."
                raise InputError("a job that sbatch takes", found, remedy) from error
            yield cluster
        finally:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(cluster._close(), _CLOSE)

    async def _keep(self, cluster: SLURMCluster) -> None:
        """Replace every job that has ended, whether it was queued or running."""
        scheduler: Any = cluster.scheduler
        squeue = ["squeue", "--noheader", "--format=%i", "--user", getpass.getuser()]
        while True:
            await asyncio.sleep(LOOK)
            try:
                waiting = await cluster.job_cls._call(squeue)
                working = {worker.name for worker in scheduler.workers.values()}
                for name, job in list(cluster.workers.items()):
                    if job.job_id and name not in working and job.job_id not in waiting.split():
                        _log.warning("Job %s has ended without a worker; asking for another", job.job_id)
                        del cluster.workers[name]
                cluster.scale(jobs=self._settings.nodes)
            except Exception as error:
                _log.warning("SLURM does not answer: %s", error)
