"""Opening pools, finding GPUs."""

import socket
import time

import pytest
from stand_ins import ENTRY, ENV
from waiting import one

from napari_menndl.errors import InputError
from napari_menndl.pool.open import check_pool, open_pool
from napari_menndl.pool.process.hardware import networks_that_fit, parse_nvidia_smi, visible_gpus
from napari_menndl.pool.settings import LocalSettings


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("spec", "slots", "word"),
    [
        ("cloud", None, "local, serial, tcp://127.0.0.1:PORT, tls://HOST:PORT"),
        ("local", 0, "at least 1 slot"),
        ("tcp://", None, "tcp://host:port"),
        ("tcp://127.0.0.1", None, "tcp://host:port"),
        ("tcp://127.0.0.1:notaport", None, "tcp://host:port"),
        ("tcp://10.0.0.7:8786", None, "ssh -L"),
        ("tcp://example.org:8786", None, "ssh -L"),
    ],
)
def test_a_pool_that_cannot_be_is_refused_with_its_remedy(spec, slots, word):
    with pytest.raises(InputError, match=r"Expected .* found") as error:
        open_pool(spec, ENTRY, slots=slots)
    assert word in str(error.value)


def test_a_scheduler_that_nobody_started_is_said_within_ten_seconds(monkeypatch):
    monkeypatch.setattr("napari_menndl.pool.clusters.client.CONNECT", 1.0)
    began = time.monotonic()
    with pytest.raises(InputError, match="dask scheduler --host"):
        open_pool(f"tcp://127.0.0.1:{unused_port()}", ENTRY)
    assert time.monotonic() - began < 5


def test_a_port_that_is_silent_is_said_too(monkeypatch):
    monkeypatch.setattr("napari_menndl.pool.clusters.client.CONNECT", 1.0)
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(InputError, match=r"none that answers \(\w+.*dask scheduler --host"),
    ):
        open_pool(f"tcp://127.0.0.1:{silent.getsockname()[1]}", ENTRY)


def test_an_address_at_which_nothing_listens_is_refused_at_once_and_one_that_is_taken_is_not():
    began = time.monotonic()
    with pytest.raises(InputError, match=r"nothing that listens there .* Start one \(dask scheduler --host"):
        check_pool(f"tcp://127.0.0.1:{unused_port()}")
    assert time.monotonic() - began < 3
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_pool(f"tcp://127.0.0.1:{server.getsockname()[1]}")


@pytest.mark.parametrize("spec", ["serial", "local"])
def test_pools_of_this_machine_need_nobody_to_listen(spec):
    check_pool(spec)


def test_the_serial_pool_trains_in_a_child():
    pool = open_pool("serial", ENTRY, env=ENV, threads=2)
    assert one(pool, {"do": "environment"}).payload["OMP_NUM_THREADS"] == "2"
    pool.close()


@pytest.mark.parametrize(
    ("cores", "mebibytes", "expected"), [(16, [81559], 8), (16, [81559, 24576], 8), (4, [81559], 4), (16, [8192], 2)]
)
def test_networks_that_share_a_gpu_fit_its_memory_and_the_cores(tmp_path, monkeypatch, cores, mebibytes, expected):
    """Asked of a program `nvidia-smi`, here a script that answers as for such GPUs."""
    lines = "\n".join(str(one) for one in mebibytes)
    gpus = "\n".join(f"GPU {n}: NVIDIA (UUID: GPU-{n})" for n in range(len(mebibytes)))
    script = tmp_path / "nvidia-smi"
    script.write_text(f'#!/bin/sh\nif [ "$1" = -L ]; then echo "{gpus}"; else echo "{lines}"; fi\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert networks_that_fit() == expected
    assert LocalSettings().sharing == expected
    assert LocalSettings(networks_per_gpu=3).sharing == 3


def test_gpus_are_read_from_nvidia_smi():
    listing = (
        "GPU 0: NVIDIA H200 (UUID: GPU-aaaa-1)\n"
        "GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bbbb-2)\n"
        "  MIG 3g.20gb     Device  0: (UUID: MIG-cccc-3)\n"
        "  MIG 3g.20gb     Device  1: (UUID: MIG-dddd-4)\n"
    )
    assert parse_nvidia_smi(listing) == ("GPU-aaaa-1", "MIG-cccc-3", "MIG-dddd-4")
    assert parse_nvidia_smi("No devices were found\n") == ()


@pytest.mark.parametrize(
    ("variable", "expected"),
    [(None, ("GPU-a", "GPU-b")), ("1", ("1",)), ("1,0", ("1", "0")), ("", ()), ("-1", ()), ("0,-1,1", ("0",))],
)
def test_cuda_visible_devices_is_respected(monkeypatch, variable, expected):
    monkeypatch.setattr("napari_menndl.pool.process.hardware._listed_gpus", lambda: ("GPU-a", "GPU-b"))
    environment = {} if variable is None else {"CUDA_VISIBLE_DEVICES": variable}
    assert visible_gpus(environment) == expected
