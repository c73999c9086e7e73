"""Workers on machines reached by ssh; everything listens on loopback only, and is tunnelled through ssh with TLS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import shutil
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from distributed import Scheduler

from napari_menndl.errors import InputError
from napari_menndl.pool.cluster import Cluster
from napari_menndl.pool.clusters.certificates import RUN, Certificates, make_certificates
from napari_menndl.pool.clusters.client import CONFIG, client_of, configured
from napari_menndl.pool.clusters.hosts import Host, read_hosts
from napari_menndl.pool.worker.tasks import versions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from distributed import Client

    from napari_menndl.pool.settings import SshSettings

_log = logging.getLogger(__name__)

#: Time to wait for the first worker [s].
FIRST = 60.0
#: Interval of heartbeats to a machine; shortest and longest pause before reconnecting to a lost one [s].
BEAT = 5.0
PAUSES = (1.0, 300.0)
_WELL = 60.0
_PORTS = range(20_000, 60_000)
_OPTIONS = {
    "BatchMode": "yes",
    "ExitOnForwardFailure": "yes",
    "ServerAliveInterval": "15",
    "ServerAliveCountMax": "4",
    # A shared connection would outlive this process, with its tunnels.
    "ControlMaster": "no",
    "ControlPath": "none",
    "RequestTTY": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
}


class Ssh(Cluster):
    """A scheduler on this machine's loopback, and a worker on each remote machine through a pair of tunnels.

    Connections use the system's ``ssh``, with the user's keys, configuration and known hosts, without prompts. A
    machine that cannot be reached is reported while the others work; a lost one is retried repeatedly.

    Parameters
    ----------
    settings : SshSettings

    Raises
    ------
    InputError
        If ssh is not installed, or the hosts file cannot be used.
    """

    def __init__(self, settings: SshSettings) -> None:
        self._hosts = read_hosts(settings.hosts)
        self._config = settings.config
        self._networks_per_gpu = settings.sharing
        self._troubles: dict[str, str] = {}
        if shutil.which("ssh") is None:
            raise InputError("the program ssh", "none installed", "Install OpenSSH's client.")

    @property
    def troubles(self) -> dict[str, str]:
        """Unreachable machines, with the last output of their ssh or worker."""
        return self._troubles

    @property
    def reachable(self) -> int:
        """Number of machines without the unreachable ones."""
        return len(self._hosts) - len(self.troubles)

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Client]:
        certificates = make_certificates(RUN)
        with configured():
            security = certificates.security
            async with (
                Scheduler(
                    protocol="tls://",
                    host="127.0.0.1",
                    port=0,
                    dashboard_address="127.0.0.1:0",
                    security=security,
                ) as scheduler,
                client_of(scheduler.address, security=security) as client,
            ):
                tending = [
                    asyncio.create_task(self._tend(host, scheduler.address, certificates)) for host in self._hosts
                ]
                try:
                    await self._first(client)
                    yield client
                finally:
                    for task in tending:
                        task.cancel()
                    await asyncio.gather(*tending, return_exceptions=True)

    async def _first(self, client: Client) -> None:
        """Wait for the first worker, which has checked its versions; InputError if none can be started."""
        scheduler: Any = client.scheduler
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST):
                while not await scheduler.ncores():
                    if len(self._troubles) == len(self._hosts):
                        break
                    await asyncio.sleep(0.05)
                else:
                    return
        words = "; ".join(f"{name}: {words}" for name, words in self._troubles.items()) or "no answer"
        names = " ".join(one.name for one in self._hosts)
        raise InputError(
            "at least one machine that a worker can be started on",
            words,
            f"See that `ssh {names.split()[0]} python3 -P -m napari_menndl.pool.clusters.remote_worker` starts without "
            "asking anything, and name its Python in the hosts file (python=PATH).",
        )

    async def _tend(self, host: Host, scheduler: str, certificates: Certificates) -> None:
        """Keep a worker running on one machine."""
        pause, longest = PAUSES
        while True:
            began = asyncio.get_running_loop().time()
            try:
                words = await self._work(host, scheduler, certificates)
            except OSError as error:
                words = str(error)
            self._troubles[host.name] = words
            if asyncio.get_running_loop().time() - began > _WELL:
                pause = PAUSES[0]
            _log.warning("%s: %s; trying again in %.0f s", host.name, words, pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _work(self, host: Host, scheduler: str, certificates: Certificates) -> str:
        """Run a worker on a machine until it ends; return its last output."""
        there, back, here = *random.sample(_PORTS, 2), _free_port()
        tunnels = [
            *("-R", f"127.0.0.1:{back}:127.0.0.1:{scheduler.rpartition(':')[2]}"),
            *("-L", f"127.0.0.1:{here}:127.0.0.1:{there}"),
        ]
        options = [part for name, value in _OPTIONS.items() for part in ("-o", f"{name}={value}")]
        config = ["-F", self._config] if self._config else []
        command = f"{host.python} -P -m napari_menndl.pool.clusters.remote_worker"
        certificate, key = certificates.signed["worker"]
        message = {
            "scheduler": f"tls://127.0.0.1:{back}",
            "port": there,
            "contact": f"tls://127.0.0.1:{here}",
            "name": host.name,
            "slots": host.slots,
            "networks_per_gpu": self._networks_per_gpu,
            "authority": certificates.authority,
            "certificate": certificate,
            "key": key,
            "versions": versions(),
            "config": CONFIG,
        }
        process = await asyncio.create_subprocess_exec(
            "ssh",
            *config,
            *options,
            *tunnels,
            "--",
            host.name,
            command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        tail: deque[str] = deque(maxlen=3)
        reading = asyncio.create_task(_read(process.stderr, tail))
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            while process.returncode is None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), BEAT)
                    break
                process.stdin.write(b"\n")
                self._troubles.pop(host.name, None)
            await reading
        except (BrokenPipeError, ConnectionResetError):
            await process.wait()
            await reading
        finally:
            # Closing this ends the worker; ssh gets a moment to forward it.
            process.stdin.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.shield(asyncio.wait_for(process.wait(), 2.0))
            if process.returncode is None:
                process.kill()
                await process.wait()
            reading.cancel()
        return " ".join(tail) or f"the worker ended with status {process.returncode}"


async def _read(stream: asyncio.StreamReader | None, tail: deque[str]) -> None:
    """Keep the last lines of output, without Dask's own logs."""
    while stream is not None and (line := await stream.readline()):
        words = line.decode(errors="replace").strip()
        if words and " - distributed" not in words:
            tail.append(words)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
