"""Trying a pool: what it has to offer, or what to do."""

import socket
import time

import pytest
from distributed import LocalCluster

from napari_menndl.errors import InputError
from napari_menndl.pool import cluster
from napari_menndl.pool.check import check_scheduler, check_this_computer
from napari_menndl.pool.cluster import check_address
from napari_menndl.pool.kinds import pool_kinds

HERE = {"processes": False, "protocol": "tcp://", "host": "127.0.0.1", "dashboard_address": None}


def test_this_computer_has_slots_and_our_versions():
    connection = check_this_computer()
    assert connection.slots >= 1
    assert connection.matches
    assert {"napari-menndl", "dask", "torch"} <= connection.here.keys()
    assert check_this_computer("serial").slots == 1


def test_a_real_scheduler_says_workers_slots_versions_and_how_fast():
    with LocalCluster(n_workers=2, threads_per_worker=3, **HERE) as dask:
        connection = check_scheduler(dask.scheduler_address)
    assert (connection.workers, connection.slots) == (2, 6)
    assert connection.matches
    assert 0 < connection.seconds < 5


def test_a_scheduler_without_workers_is_told_how_to_get_some():
    with (
        LocalCluster(n_workers=0, **HERE) as dask,
        pytest.raises(InputError, match="dask worker tcp://127"),
    ):
        check_scheduler(dask.scheduler_address)


@pytest.mark.parametrize("address", ["127.0.0.1", "tcp://192.0.2.1:8786", "tcp://127.0.0.1:9"])
def test_what_cannot_be_reached_is_refused_with_a_remedy(address):
    with pytest.raises(InputError):
        check_scheduler(address)


def test_whoever_accepts_and_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(InputError, match="none that answers"):
            check_scheduler(f"tcp://127.0.0.1:{server.getsockname()[1]}")
        assert time.monotonic() - started < 6


def test_every_kind_of_pool_can_be_opened_and_knows_its_own():
    kinds = pool_kinds()
    for kind in kinds:
        spec = kind.spec_from(kind.example)
        assert [one for one in kinds if one.owns(spec)] == [kind]
        if not kind.spec:
            assert check_address(spec) == spec
            with pytest.raises(InputError):
                kind.spec_from(" ")
