"""A pool from one string."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.pool.process.gpus import visible_gpus
from napari_menndl.pool.settings import LocalSettings, SerialSettings
from napari_menndl.pool.spec import absolute_spec, read_pool

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_menndl.pool.protocol import Pool
    from napari_menndl.pool.worker.staging import SharedInput


def check_pool(spec: str) -> str:
    """Refuse a pool that a search could not be begun with, without opening it; return the spec with absolute paths.

    Raises
    ------
    InputError
        There is no such pool, its file or what it names cannot be used, or nothing listens at a scheduler's address.
    """
    settings = read_pool(spec)
    if not isinstance(settings, SerialSettings | LocalSettings):
        settings.cluster().check()
    return absolute_spec(spec)


def open_pool(
    spec: str,
    entry: str,
    slots: int | None = None,
    timeout: float | None = 3600.0,
    *,
    carried: SharedInput | None = None,
    threads: int | None = None,
    networks_per_gpu: int | None = None,
    env: Mapping[str, str] | None = None,
    local_directory: str | Path | None = None,
) -> Pool:
    """Open a pool; whoever opens it closes it.

    Parameters
    ----------
    spec : str
        As `napari_menndl.pool.spec` describes it. ``"serial"``: one slot, jobs in order; ``"local"``: a Dask cluster
        on this machine, one slot per core or `networks_per_gpu` per CUDA GPU.
    entry : str
        ``"module:function"``, called in trainer children with the signature of `napari_menndl.pool.protocol.Entry`.
    slots : int, optional
        For ``"local"``, how many; for other clusters, the most that are used. By default what the spec says.
    timeout : float, optional
        Of each job [s].
    carried : SharedInput, optional
        What every job needs; where workers may be far, each machine gets a copy, once.
    threads : int, optional
        Per trainer; by default the machine's cores shared among its slots.
    networks_per_gpu : int, optional
        0 keeps trainers off the GPUs. By default what the spec says, or 1.
    env : mapping of str to str, optional
        Environment of the trainers besides this process's.
    local_directory : path, optional
        Where the worker of a local cluster keeps its files.

    Raises
    ------
    InputError
        There is no such pool, `slots` is not positive, or the cluster cannot be used.
    """
    settings = read_pool(spec)
    if slots is not None and slots < 1:
        raise InputError("at least 1 slot", str(slots), "Leave the number of slots out, or give 1 or more.")
    slots = settings.slots if slots is None else slots
    networks_per_gpu = settings.sharing if networks_per_gpu is None else networks_per_gpu
    settings = replace(settings, slots=slots, networks_per_gpu=networks_per_gpu)
    if isinstance(settings, SerialSettings):
        from napari_menndl.pool.process.memory import memory_per_slot
        from napari_menndl.pool.process.slot import Slot
        from napari_menndl.pool.serial import SerialPool

        gpus = visible_gpus()
        device = {"CUDA_VISIBLE_DEVICES": gpus[0] if networks_per_gpu else ""} if gpus else {}
        cores = threads or os.cpu_count() or 1
        slot = Slot(entry, threads=cores, memory=memory_per_slot(1), env={**dict(env or {}), **device})
        return SerialPool(slot, timeout, min(1, len(gpus)) if networks_per_gpu else 0)
    from napari_menndl.pool.dask.pool import DaskPool

    return DaskPool(
        entry,
        settings.cluster(local_directory),
        slots,
        timeout,
        carried=carried,
        threads=threads,
        networks_per_gpu=networks_per_gpu,
        env=env,
    )
