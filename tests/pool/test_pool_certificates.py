"""Certificates: who is let in, and what is said to whoever is not."""

import asyncio
import contextlib
import socket
import stat
import threading
import warnings
from contextlib import asynccontextmanager

import psutil
import pytest
from distributed import Scheduler, Worker
from sockets import family, listening
from stand_ins import ENTRY, ENV
from waiting import one

from napari_menndl.errors import InputError
from napari_menndl.pool.check import probe_pool
from napari_menndl.pool.clusters.certificates import ROLES, certificates_folder, make_certificates, write_certificates
from napari_menndl.pool.clusters.external import ExternalScheduler, check_address
from napari_menndl.pool.open import check_pool, open_pool
from napari_menndl.pool.spec import read_pool

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@asynccontextmanager
async def guarded_cluster(certificates):
    """A scheduler and its worker that want certificates."""
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "security": certificates.security}
    async with Scheduler(protocol="tls://", port=0, **here) as scheduler, Worker(scheduler.address, nthreads=3, **here):
        yield scheduler.address


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three folders of certificates: ``ours``, ``foreign`` and ``expired``."""
    folder = tmp_path_factory.mktemp("certificates")
    for name, days in (("ours", 1.0), ("foreign", 1.0), ("expired", 1e-9)):
        write_certificates(folder / name, days)
    return folder


@pytest.fixture(scope="module")
def address(folder):
    """Of a cluster, in a thread of its own, that wants our certificates."""
    made = make_certificates()
    made.write(folder / "ours")
    addresses, done = [], threading.Event()
    ready = threading.Event()

    async def serve():
        async with guarded_cluster(made) as found:
            addresses.append(found)
            ready.set()
            while not done.is_set():
                await asyncio.sleep(0.02)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    yield addresses[0]
    done.set()
    thread.join()


def test_keys_are_their_owners_alone(folder):
    mode = stat.S_IMODE((folder / "ours").stat().st_mode)
    files = sorted(file.name for file in (folder / "ours").iterdir())
    assert mode == 0o700
    assert files == sorted(["ca.pem", *(f"{role}.{end}" for role in ROLES for end in ("pem", "key"))])
    assert {stat.S_IMODE(file.stat().st_mode) for file in (folder / "ours").glob("*.key")} == {0o600}


def test_keys_are_never_shown():
    made = make_certificates()
    secrets = [key.splitlines()[1] for _, key in made.signed.values()]
    assert not any(secret in text for secret in secrets for text in (repr(made), str(made), repr(made.security)))


def test_certificates_are_not_written_among_other_files(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"thesis\.tex.*Name another folder"):
        write_certificates(tmp_path)


def test_making_them_again_replaces_them(tmp_path):
    before = [file.read_text() for file in write_certificates(tmp_path / "c")]
    assert all(old != file.read_text() for old, file in zip(before, write_certificates(tmp_path / "c"), strict=True))


def test_whoever_has_our_certificates_is_let_in(folder, address):
    found = probe_pool(f"{address}?certificates={folder / 'ours'}")
    assert (found.workers, found.slots, found.matches) == (1, 3, True)
    assert found.bytes_per_second > 0


def test_the_folder_of_the_user_is_used_unless_another_is_named(folder, address, monkeypatch):
    monkeypatch.setenv("NAPARI_MENNDL_DATA", str(folder / "data"))
    (folder / "data").mkdir()
    certificates_folder().symlink_to(folder / "ours")
    check_pool(address)
    assert probe_pool(address).slots == 3


async def connected(spec):
    async with ExternalScheduler(read_pool(spec)).connect():
        pass


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{plain}", "Use tls:// where it wants certificates"),
        ("{address}?certificates={folder}/foreign", "handshake that failed .*Give every machine the same files"),
        ("{address}?certificates={folder}/expired", "one that ended on .*napari-menndl pool certificates"),
        ("{address}?certificates={folder}/none", r"no ca\.pem.*napari-menndl pool certificates"),
    ],
)
def test_whoever_has_not_is_refused_and_told_what_to_do(folder, address, spec, says):
    spec = spec.format(address=address, folder=folder, plain=address.replace("tls", "tcp"))
    with pytest.raises(InputError, match=says):
        asyncio.run(connected(spec))


def test_a_scheduler_refuses_a_client_whose_certificate_is_expired(folder, address, monkeypatch):
    """Though the client does not notice: its clock may be wrong."""
    monkeypatch.setattr("napari_menndl.pool.clusters.certificates.check_valid", lambda *_: None)
    with pytest.raises(InputError, match="handshake that failed"):
        asyncio.run(connected(f"{address}?certificates={folder / 'expired'}"))


def greeting(place):
    """Return the first byte that a server says to whoever speaks plainly; Dask without TLS would begin by itself."""
    with socket.create_connection(place, 5) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            return connection.recv(1)
    return b""


def test_a_local_pool_can_keep_other_users_of_the_machine_out(tmp_path):
    (tmp_path / "pool.yaml").write_text("kind: local\ntls: true\nslots: 1\n")
    before = listening(family(psutil.Process()))
    pool = open_pool(str(tmp_path / "pool.yaml"), ENTRY, env=ENV)
    try:
        assert one(pool, {"do": "echo"}).failure is None
        places = listening(family(psutil.Process())) - before
        greetings = [greeting(place) for place in places]
        # An alert of TLS, or nothing at all; HTTP are the pages of the dashboard, for reading.
        assert set(greetings) <= {b"\x15", b"", b"H"}
        assert sum(said != b"H" for said in greetings) >= 3  # scheduler, nanny, worker
    finally:
        pool.close()


def test_a_clients_certificate_does_not_make_a_scheduler():
    made = make_certificates()
    disguised = {**made.signed, "scheduler": made.signed["client"]}
    honest, made = made, type(made)(made.authority, disguised)

    async def ask():
        here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        async with Scheduler(protocol="tls://", port=0, security=made.security, **here) as scheduler:
            worker = Worker(scheduler.address, nthreads=1, security=honest.security, death_timeout=0.5, **here)
            async with worker:
                pass

    with pytest.raises((OSError, TimeoutError, RuntimeError)):
        asyncio.run(ask())


def test_a_key_that_others_can_read_is_refused(folder, tmp_path):
    for file in (folder / "ours").iterdir():
        (tmp_path / file.name).write_text(file.read_text())
        (tmp_path / file.name).chmod(0o644)
    with pytest.raises(InputError, match="Say: chmod 600"):
        check_pool(f"tls://127.0.0.1:1?certificates={tmp_path}")


def test_plain_tcp_leaves_this_machine_only_where_a_pool_file_says_so_and_then_loudly():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for address in ("tcp://127.0.0.1:1", "tcp://localhost:1", "tcp://[::1]:1", "tls://scope.lab:1"):
            assert check_address(address) == address
    with pytest.raises(InputError, match="ssh -L"):
        check_address("tcp://192.0.2.1:1")
    with pytest.warns(UserWarning, match="not protected"):
        check_address("tcp://192.0.2.1:1", insecure=True)
