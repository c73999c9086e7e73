"""A pool from one string."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.pool.gpus import visible_gpus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_menndl.pool.protocol import Pool


def check_pool(spec: str) -> None:
    """Refuse a pool that a search could not be begun with, without opening it.

    Raises
    ------
    InputError
        It is neither ``"serial"`` nor ``"local"`` nor the address of a scheduler on this machine, or nothing listens
        at that address.
    """
    _check_name(spec)
    if spec.startswith("tcp://"):
        from napari_menndl.pool.cluster import check_listening

        check_listening(spec)


def _check_name(spec: str) -> None:
    if spec.startswith("tcp://"):
        from napari_menndl.pool.cluster import check_address

        check_address(spec)
    elif spec not in ("serial", "local"):
        remedy = 'Use "local" for this machine, "serial" for one slot, or the address of a running Dask scheduler.'
        raise InputError('a pool: "serial", "local" or "tcp://127.0.0.1:PORT"', repr(spec), remedy)


def open_pool(
    spec: str,
    entry: str,
    slots: int | None = None,
    timeout: float | None = 3600.0,
    *,
    threads: int | None = None,
    networks_per_gpu: int = 1,
    env: Mapping[str, str] | None = None,
    local_directory: str | Path | None = None,
) -> Pool:
    """Open a pool; whoever opens it closes it.

    Parameters
    ----------
    spec : str
        ``"serial"``: one slot, jobs in order; ``"local"``: a Dask cluster on this machine, one slot per core or
        `networks_per_gpu` per CUDA GPU; ``"tcp://127.0.0.1:8786"``: the Dask scheduler that runs there.
    entry : str
        ``"module:function"``, called in trainer children with the signature of `napari_menndl.pool.protocol.Entry`.
    slots : int, optional
        For ``"local"``, how many; for ``"tcp://…"``, the most that are used.
    timeout : float, optional
        Of each job [s].
    threads : int, optional
        Per trainer; by default the machine's cores shared among its slots.
    networks_per_gpu : int
        0 keeps trainers off the GPUs.
    env : mapping of str to str, optional
        Environment of the trainers besides this process's.
    local_directory : path, optional
        Where the worker of a local cluster keeps its files.

    Raises
    ------
    InputError
        There is no such pool, `slots` is not positive, or the scheduler cannot be used.
    """
    _check_name(spec)  # and no more: a scheduler may be coming up as a search is resumed
    if slots is not None and slots < 1:
        raise InputError("at least 1 slot", str(slots), "Leave the number of slots out, or give 1 or more.")
    if spec == "serial":
        from napari_menndl.pool.serial import SerialPool
        from napari_menndl.pool.slot import Slot

        gpus = visible_gpus()
        device = {"CUDA_VISIBLE_DEVICES": gpus[0] if networks_per_gpu else ""} if gpus else {}
        cores = threads or os.cpu_count() or 1
        return SerialPool(Slot(entry, threads=cores, env={**dict(env or {}), **device}), timeout)
    from napari_menndl.pool.dask import DaskPool

    if spec == "local" and slots is None:
        slots = len(visible_gpus()) * networks_per_gpu or None
    return DaskPool(
        entry,
        None if spec == "local" else spec,
        slots,
        timeout,
        threads=threads,
        networks_per_gpu=networks_per_gpu,
        env=env,
        local_directory=None if local_directory is None else str(local_directory),
    )
