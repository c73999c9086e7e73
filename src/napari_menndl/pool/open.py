"""Opening of a pool from its spec."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.pool.process.hardware import visible_gpus
from napari_menndl.pool.settings import LocalSettings, SerialSettings
from napari_menndl.pool.spec import absolute_spec, read_pool

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from napari_menndl.pool.protocol import Pool
    from napari_menndl.pool.worker.staging import SharedInput


def check_pool(spec: str) -> str:
    """Check, without opening it, that a pool is usable; return its spec with absolute paths.

    Raises
    ------
    InputError
        If there is no such pool, its file or a file it names cannot be used, or nothing listens at a scheduler's
        address.
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
    shared_input: SharedInput | None = None,
    threads: int | None = None,
    networks_per_gpu: int | None = None,
    env: Mapping[str, str] | None = None,
    local_directory: str | Path | None = None,
) -> Pool:
    """Open a pool, which the caller has to close.

    Parameters
    ----------
    spec : str
        As described in `napari_menndl.pool.spec`. ``"serial"``: one slot, jobs in order; ``"local"``: a Dask cluster on
        this machine, with one slot per core or `networks_per_gpu` per CUDA GPU.
    entry : str
        ``"module:function"``, called in trainers, with the signature of `napari_menndl.pool.protocol.Entry`.
    slots : int, optional
        For ``"local"``, the number of slots; for other clusters, the largest number used. By default that of the spec.
    timeout : float, optional
        Time limit of each job [s].
    shared_input : SharedInput, optional
        Input shared by all jobs; copied once to each remote machine.
    threads : int, optional
        Threads per trainer; by default the machine's cores divided among its slots.
    networks_per_gpu : int, optional
        0 runs trainers on CPUs only. By default that of the spec, or 1.
    env : mapping of str to str, optional
        Environment variables of the trainers, added to those of this process.
    local_directory : path, optional
        Folder for the files of a local cluster's worker, unless the spec names one.

    Raises
    ------
    InputError
        If there is no such pool, `slots` is not positive, or the cluster cannot be used.
    """
    settings = read_pool(spec)
    if slots is not None and slots < 1:
        raise InputError("at least 1 slot", str(slots), "Leave the number of slots out, or give 1 or more.")
    slots = settings.slots if slots is None else slots
    networks_per_gpu = settings.sharing if networks_per_gpu is None else networks_per_gpu
    settings = replace(settings, slots=slots, networks_per_gpu=networks_per_gpu)
    if isinstance(settings, SerialSettings):
        from napari_menndl.pool.process.hardware import memory_per_slot
        from napari_menndl.pool.process.slot import Slot
        from napari_menndl.pool.serial import SerialPool

        gpus = visible_gpus()
        device = {"CUDA_VISIBLE_DEVICES": gpus[0] if networks_per_gpu else ""} if gpus else {}
        cores = threads or os.cpu_count() or 1
        slot = Slot(entry, threads=cores, memory=memory_per_slot(1), env={**dict(env or {}), **device})
        return SerialPool(slot, timeout, min(1, len(gpus)) if networks_per_gpu else 0)
    from napari_menndl.pool.dask.pool import DaskPool

    if isinstance(settings, LocalSettings) and local_directory and not settings.folder:
        settings = replace(settings, folder=str(local_directory))
    return DaskPool(
        entry,
        settings.cluster(),
        slots,
        timeout,
        shared_input=shared_input,
        threads=threads,
        networks_per_gpu=networks_per_gpu,
        env=env,
    )
