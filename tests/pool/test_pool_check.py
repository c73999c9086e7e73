"""Trying a pool: what it has to offer, or what to do."""

import asyncio
import socket
import time

import pytest
from distributed import LocalCluster, Nanny, Scheduler
from distributed.core import Status

from napari_menndl.errors import InputError
from napari_menndl.pool.check import probe_pool
from napari_menndl.pool.clusters import client
from napari_menndl.pool.worker import tasks

HERE = {"processes": False, "protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": None}


def test_this_computer_has_slots_and_our_versions():
    connection = probe_pool("local")
    assert connection.slots >= 1
    assert connection.matches
    assert {"napari-menndl", "dask", "torch"} <= connection.here.keys()
    assert connection.machines[0].memory > 2**30
    assert probe_pool("serial").slots == 1


def test_a_real_scheduler_says_workers_slots_versions_and_how_fast():
    with LocalCluster(n_workers=2, threads_per_worker=3, **HERE) as dask:
        connection = probe_pool(dask.scheduler_address)
    assert (connection.workers, connection.slots) == (2, 6)
    assert connection.matches
    assert 0 < connection.seconds < 5


def test_a_scheduler_without_workers_is_told_how_to_get_some():
    with (
        LocalCluster(n_workers=0, **HERE) as dask,
        pytest.raises(InputError, match="dask worker tcp://127"),
    ):
        probe_pool(dask.scheduler_address)


@pytest.mark.parametrize("address", ["127.0.0.1", "tcp://192.0.2.1:8786", "tcp://127.0.0.1:9"])
def test_what_cannot_be_reached_is_refused_with_a_remedy(address):
    with pytest.raises(InputError):
        probe_pool(address)


def test_whoever_accepts_and_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(client, "CONNECT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(InputError, match="none that answers"):
            probe_pool(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        assert time.monotonic() - started < 6


def test_a_worker_of_another_version_that_comes_later_is_told_of_and_sent_away(monkeypatch, caplog):
    monkeypatch.setattr(client, "_LOOK", 0.1)
    monkeypatch.setattr(tasks, "PACKAGES", (*tasks.PACKAGES, "pytest"))  # which workers of before do not name
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}

    async def run():
        async with (
            Scheduler(port=0, **here) as scheduler,
            client.client_of(scheduler.address) as asking,
            client.guarded(asking, "SLURM"),
            Nanny(scheduler.address, nthreads=1, **here) as nanny,
            asyncio.timeout(20),
        ):
            while nanny.status == Status.running and (scheduler.workers or nanny.is_alive()):
                await asyncio.sleep(0.05)
            return len(scheduler.workers)

    assert asyncio.run(run()) == 0
    assert "Install the same versions" in caplog.text
