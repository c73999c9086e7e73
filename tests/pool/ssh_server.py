"""A real ssh server on this machine, for one user and as long as a test needs it."""

import getpass
import os
import shutil
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

from waiting import wait_until

from napari_menndl.errors import InputError


def _program():
    found = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")
    if found is None:
        raise InputError("an ssh server to test with", "none", "Install it: sudo apt-get install -y openssh-server")
    return found


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def ssh_server(folder):
    """Yield an ssh configuration in which ``here`` and ``there`` are this machine, by way of a server of its own."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    (folder / "authorized").write_text((folder / "user.pub").read_text())
    (folder / "tmp").mkdir()
    port = unused_port()
    (folder / "known").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    server = folder / "sshd_config"
    server.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        f"SetEnv TMPDIR={folder}/tmp\n"
        "PermitRootLogin prohibit-password\nMaxStartups 100\n"
    )
    client = folder / "ssh_config"
    client.write_text(
        f"Host here there\n  HostName 127.0.0.1\n  Port {port}\n  User {getpass.getuser()}\n"
        f"  IdentityFile {folder}/user\n  IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n"
        "  StrictHostKeyChecking yes\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # as the service would, which need not run here
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen([_program(), "-D", "-e", "-f", str(server)], stderr=log)
    try:
        if not wait_until(lambda: _listens(port) or process.poll() is not None) or process.poll() is not None:
            raise RuntimeError((folder / "sshd.log").read_text())
        yield client
    finally:
        process.terminate()
        process.wait(10)
