"""Dask clusters that were started outside napari-menndl."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from distributed.comm.core import CommClosedError

from napari_menndl.errors import InputError
from napari_menndl.pool.cluster import Cluster
from napari_menndl.pool.clusters.certificates import certificates_folder, client_security
from napari_menndl.pool.clusters.client import check_versions, client_of, configured
from napari_menndl.pool.settings import SchedulerFileSettings, SchedulerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from distributed import Client

#: Timeout of the connection to a scheduler's port [s].
LISTEN = 2.0
_REMEDY = 'Start one (dask scheduler --host 127.0.0.1), correct the address, or use pool "local".'


class ExternalScheduler(Cluster):
    """Cluster of a running scheduler, to which workers can be added and removed independently.

    Parameters
    ----------
    settings : SchedulerSettings, SchedulerFileSettings or str
        Settings, or just an address.

    Raises
    ------
    InputError
        If the address or its certificates are not accepted.
    """

    def __init__(self, settings: SchedulerSettings | SchedulerFileSettings | str) -> None:
        self._settings = SchedulerSettings(address=settings) if isinstance(settings, str) else settings
        if isinstance(self._settings, SchedulerSettings):
            self._options()

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[Client]:
        # Read each time, since a restarted scheduler writes another address to its file.
        address, options = self._options()
        with configured():
            async with contextlib.AsyncExitStack() as stack:
                try:
                    client = await stack.enter_async_context(client_of(address, **options))
                    await check_versions(client, address)
                except OSError as error:
                    raise _refused(address, error) from error
                yield client

    def check(self) -> None:
        """Refuse an address at which nothing listens, after `LISTEN` at the latest."""
        address, _ = self._options()
        check_listening(address)

    def _options(self) -> tuple[str, dict[str, Any]]:
        """Return the address, and the client options that it requires."""
        settings = self._settings
        given = settings.address if isinstance(settings, SchedulerSettings) else address_in(Path(settings.file))
        address = check_address(given, settings.insecure)
        if not address.startswith("tls://"):
            return address, {}
        return address, {"security": client_security(certificates_folder(settings.certificates))}


def _refused(address: str, error: OSError) -> InputError:
    """Return the error for a scheduler that does not answer, with its likely cause."""
    words = " ".join(str(error).split()) or "no answer"
    closed = isinstance(error, CommClosedError) or "closed" in words or "reset" in words
    if address.startswith("tls://") and (closed or "certificate" in words):
        return InputError(
            f"a scheduler at {address} with a certificate of our authority, and ours of its own, good today",
            f"a handshake that failed ({words})",
            "Give every machine the same files of one `napari-menndl pool certificates`, and start the scheduler "
            "and its workers with theirs (docs/security.md).",
        )
    remedy = f"Use tls:// where it wants certificates. {_REMEDY}" if closed else _REMEDY
    return InputError(f"a Dask scheduler at {address}", f"none that answers ({words})", remedy)


def address_in(file: Path) -> str:
    """Return the address in a file written by ``dask scheduler --scheduler-file``.

    Raises
    ------
    InputError
    """
    remedy = "Start the scheduler with --scheduler-file and a path that this machine sees too."
    try:
        address = json.loads(file.read_text(encoding="utf-8"))["address"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"a scheduler's file at {file}", f"{type(error).__name__}: {error}", remedy) from error
    return str(address)


def check_address(address: str, insecure: bool = False) -> str:
    """Check the address of a scheduler and return it.

    Parameters
    ----------
    address : str
    insecure : bool
        Allow plain TCP to another machine, with a warning.

    Raises
    ------
    InputError
        If it is not of the form ``tcp://host:port`` or ``tls://host:port``, or is that of another machine over plain
        TCP, where anyone on the network could run code here.
    """
    parts = _parts(address)
    if parts is None:
        remedy = "Give the address that `dask scheduler --host 127.0.0.1` prints, such as tcp://127.0.0.1:8786."
        raise InputError("a scheduler's address tcp://host:port or tls://host:port", repr(address), remedy)
    if parts.scheme == "tcp" and not is_loopback(str(parts.hostname)):
        if not insecure:
            raise InputError(
                "a scheduler on this machine (127.0.0.1), or TLS",
                f"{address}, to which plain TCP would carry code and data unprotected",
                f"Forward its port through SSH (ssh -L 8786:127.0.0.1:{parts.port} {parts.hostname}) and give "
                "tcp://127.0.0.1:8786; or use tls:// (napari-menndl pool certificates).",
            )
        warnings.warn(
            f"{address} is not protected: whoever can reach it can run code there and here. "
            "Only use it on a network that nobody else is on.",
            stacklevel=2,
        )
    return address


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine by definition, without a DNS lookup."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_listening(address: str) -> None:
    """Refuse a valid address at which nothing accepts connections.

    Raises
    ------
    InputError
        After `LISTEN` at the latest.
    """
    parts = urlsplit(address)
    try:
        socket.create_connection((str(parts.hostname), parts.port or 0), LISTEN).close()
    except OSError as error:
        raise InputError(f"a Dask scheduler at {address}", f"nothing that listens there ({error})", _REMEDY) from error


def _parts(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        whole = parts.hostname is not None and parts.port is not None and parts.scheme in ("tcp", "tls")
    except ValueError:
        return None
    return parts if whole else None
