"""Machines over SSH, against a real ssh server on this machine."""

import contextlib
import json
import subprocess
import sys

import psutil
import pytest
from sockets import family, listening
from ssh_server import ssh_server
from stand_ins import ENTRY, ENV
from typer.testing import CliRunner
from waiting import collect, gone, pid_in, wait_until

from napari_menndl.cli import app
from napari_menndl.errors import InputError
from napari_menndl.pool.clusters.certificates import make_certificates
from napari_menndl.pool.open import check_pool, open_pool
from napari_menndl.pool.worker.tasks import versions

REMOTE = "napari_menndl.pool.clusters.remote_worker"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The folder of a running server; ``pool.yaml`` there has two machines that are reached and one that is not."""
    folder = tmp_path_factory.mktemp("ssh")
    with ssh_server(folder) as config:
        (folder / "hosts").write_text(
            f"here slots=2 python={sys.executable}\nthere slots=1 python={sys.executable}\nnowhere.invalid\n"
        )
        (folder / "pool.yaml").write_text(f"kind: ssh\nhosts: hosts\nconfig: {config.name}\n")
        yield folder


@pytest.fixture(scope="module")
def pool(server):
    pool = open_pool(str(server / "pool.yaml"), ENTRY, env=ENV, timeout=30)
    assert wait_until(lambda: pool.slots == 3, 30)
    yield pool
    left = [process.pid for process in remote_workers(server)]
    pool.close()
    assert gone(left)
    assert wait_until(lambda: not remote_folders(server))


def remote_folders(server):
    return list((server / "tmp").glob("napari-menndl-*"))


def ssh_daemon(server):
    config = str(server / "sshd_config")
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if config in process.cmdline():
                return process
    raise AssertionError("no ssh server")


def everything(server):
    """This process, what it started, and what the ssh server did."""
    return family(psutil.Process(), ssh_daemon(server))


def remote_workers(server):
    found = []
    for process in family(ssh_daemon(server)):
        with contextlib.suppress(psutil.Error):
            if REMOTE in process.cmdline():
                found.append(process)
    return found


def test_every_machine_that_is_reached_works(pool):
    for n in range(30):
        pool.submit(str(n), {"do": "sleep", "seconds": 0.05})
    outcomes = collect(pool, 30)
    assert len({outcome.slot for outcome in outcomes.values()}) == 3
    assert not any(outcome.failure for outcome in outcomes.values())


def test_nothing_listens_beyond_this_machine(pool, server):
    assert len(remote_workers(server)) == 2
    assert {host for host, _ in listening(everything(server))} == {"127.0.0.1"}


def test_no_key_stands_on_a_command_line_or_on_disk(pool, server):
    words = [" ".join(process.cmdline()) for process in everything(server)]
    files = [file for folder in remote_folders(server) for file in folder.rglob("*") if file.is_file()]
    assert not any("PRIVATE" in text or ".pem" in text for text in words)
    assert not any(b"PRIVATE KEY" in file.read_bytes() for file in files)
    assert {folder.stat().st_mode & 0o777 for folder in remote_folders(server)} == {0o700}


def test_a_machine_that_is_lost_comes_back_and_its_job_is_done(pool, server, tmp_path):
    before = {process.pid for process in remote_workers(server)}
    pool.submit("job", {"do": "report_then_sleep", "file": str(tmp_path / "pid")})
    trainer = pid_in(tmp_path / "pid")
    psutil.Process(trainer).parent().kill()
    assert collect(pool, 1)["job"].payload == {"again": True}
    assert gone([trainer])
    assert wait_until(lambda: len({process.pid for process in remote_workers(server)} - before) == 1, 30)
    assert wait_until(lambda: pool.slots == 3, 30)


def test_it_can_be_tried_before_a_search(server):
    result = CliRunner().invoke(app, ["pool", "check", str(server / "pool.yaml"), "--json"])
    found = json.loads(result.stdout)
    assert (found["workers"], found["slots"], found["matches"]) == (2, 3, True)
    assert any("nowhere.invalid" in note for note in found["notes"])


DRIVER = """
import sys
from napari_menndl.pool.open import open_pool
pool = open_pool({spec!r}, {entry!r}, env={env!r})
pool.submit("a", {{"do": "report_then_sleep", "file": sys.argv[1]}})
while not pool.finished():
    pass
"""


def test_when_the_owner_is_killed_no_process_stays_on_any_machine(server, tmp_path):
    before = {process.pid for process in remote_workers(server)}
    script = DRIVER.format(spec=str(server / "pool.yaml"), entry=ENTRY, env=ENV)
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "pid")], stderr=said)
    assert wait_until(lambda: (tmp_path / "pid").exists() or process.poll() is not None, 60)
    assert process.poll() is None, (tmp_path / "said").read_text()
    trainer = pid_in(tmp_path / "pid")
    left = [one.pid for one in remote_workers(server) if one.pid not in before]
    assert left
    process.kill()
    process.wait()
    assert gone([trainer, *left])


def test_where_no_machine_is_reached_ssh_has_the_word(server):
    (server / "lost").write_text("nowhere.invalid\n")
    (server / "lost.yaml").write_text("kind: ssh\nhosts: lost\nconfig: ssh_config\n")
    with pytest.raises(InputError, match=r"nowhere\.invalid: .*resolve hostname.*hosts file \(python=PATH\)"):
        open_pool(str(server / "lost.yaml"), ENTRY)


def test_a_machine_that_ssh_does_not_know_is_not_trusted(server):
    """Host checking stays on: a server with another key than the known one gets nothing."""
    (server / "strange").write_text((server / "ssh_config").read_text().replace("/known", "/unknown"))
    (server / "unknown").write_text("")
    (server / "strange.yaml").write_text("kind: ssh\nhosts: hosts1\nconfig: strange\n")
    (server / "hosts1").write_text("here\n")
    with pytest.raises(InputError, match="Host key verification failed"):
        open_pool(str(server / "strange.yaml"), ENTRY)


def test_a_hosts_file_is_read_before_a_search_is_begun(tmp_path):
    with pytest.raises(InputError, match="a hosts file at"):
        check_pool(f"ssh:{tmp_path / 'none'}")


# The far end alone.


def message(**changes):
    made = make_certificates()
    certificate, key = made.signed["worker"]
    said = {"scheduler": "tls://127.0.0.1:1", "port": 0, "contact": None, "name": "here", "slots": 1, "config": {}}
    said |= {"authority": made.authority, "certificate": certificate, "key": key, "networks_per_gpu": 1}
    return json.dumps({**said, "versions": versions(), **changes}).encode() + b"\n"


def far_end(silence=60.0):
    code = f"import {REMOTE} as remote; remote.SILENCE = {silence}; remote.main()"
    streams = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", code], **streams)


def test_a_worker_with_other_versions_refuses_and_says_so():
    with far_end() as process:
        process.stdin.write(message(versions={**versions(), "torch": "1.0"}))
        process.stdin.flush()
        assert process.wait(30) == 3
        assert b"torch 1.0; install the same versions" in process.stderr.read()


@pytest.mark.parametrize("closing", [True, False], ids=["standard input closes", "nobody speaks any more"])
def test_a_worker_leaves_when(closing):
    with far_end(silence=0.5) as process:
        process.stdin.write(message())
        process.stdin.flush()
        if closing:
            process.stdin.close()
        assert process.wait(30) == 0
