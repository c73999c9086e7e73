"""Jobs of a SLURM cluster; its commands are stand-ins that start the real workers, on this machine."""

import os
import stat
import sys
from pathlib import Path

import dask
import psutil
import pytest
from slurm_commands import write_commands
from sockets import family, listening
from stand_ins import ENTRY, ENV
from waiting import collect, gone, one, wait_until

from napari_menndl.errors import InputError
from napari_menndl.pool.clusters import slurm
from napari_menndl.pool.clusters.slurm import Slurm
from napari_menndl.pool.open import check_pool, open_pool
from napari_menndl.pool.settings import SlurmSettings

PROFILE = """
queue: gpu
account: lab
nodes: 1
cores: 2
memory: 1GB
walltime: "00:30:00"
interface: lo
shared: shared
setup: ["export FROM_PROFILE=1"]
directives: ["--constraint=a100"]
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with SLURM's commands on the path, and ``profile.yaml``."""
    folder = tmp_path_factory.mktemp("slurm")
    write_commands(folder / "bin", folder / "jobs")
    (folder / "profile.yaml").write_text(PROFILE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        patch.setattr(slurm, "LOOK", 0.3)
        with dask.config.set({"distributed.deploy.lost-worker-timeout": "300 ms"}):
            yield folder


@pytest.fixture(scope="module")
def pool(site):
    pool = open_pool(f"slurm:{site / 'profile.yaml'}", ENTRY, env=ENV, timeout=30)
    assert wait_until(lambda: pool.slots == 2, 60)
    yield pool
    running = [process.pid for process in jobs(site)]
    pool.close()
    assert gone(running)
    assert not list((site / "shared").glob("run-*"))


def jobs(site):
    """The processes of all jobs that run."""
    found = []
    for file in (site / "jobs").glob("*.pid"):
        if psutil.pid_exists(int(file.read_text())):
            found += family(psutil.Process(int(file.read_text())))
    return found


def test_a_search_of_stand_in_jobs_runs_to_its_end(pool):
    for n in range(40):
        pool.submit(str(n), {"do": "echo", "n": n})
    outcomes = collect(pool, 40)
    assert [outcomes[str(n)].payload["n"] for n in range(40)] == list(range(40))


def test_nothing_listens_but_on_the_network_that_the_profile_names(pool, site):
    assert len(jobs(site)) >= 3  # a job, its nanny and worker
    found = listening([*family(psutil.Process()), *jobs(site)])
    assert {host for host, _ in found} == {"127.0.0.1"}


def test_certificates_of_a_run_lie_in_the_shared_folder_for_their_owner_alone(pool, site):
    (folder,) = (site / "shared").glob("run-*")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == dict.fromkeys(
        ["ca.pem", "worker.pem", "worker.key"], 0o600
    )


def test_a_job_that_has_ended_is_asked_for_again(pool, site):
    submitted = len(list((site / "jobs").glob("*.sh")))
    for process in jobs(site):
        process.kill()
    assert wait_until(lambda: len(list((site / "jobs").glob("*.sh"))) > submitted, 30)
    assert one(pool, {"do": "echo"}).failure is None


def test_the_job_script_says_what_the_profile_says(tmp_path):
    settings = SlurmSettings(
        queue="gpu",
        account="lab",
        gpus=4,
        networks_per_gpu=2,
        cores=32,
        memory="64GiB",
        walltime="02:00:00",
        lifetime=100.0,
        stagger=5.0,
        python="apptainer exec --nv menndl.sif python",
        setup=("module load cuda",),
        directives=("--exclusive",),
        interface="ib0",
        scratch="$TMPDIR",
        logs=str(tmp_path),
    )
    lines = Slurm(settings).job_script().splitlines()
    assert lines[0].startswith("#!")
    assert [line for line in lines if line.startswith("#SBATCH")] == [
        "#SBATCH -J napari-menndl",
        f"#SBATCH -e {tmp_path}/napari-menndl-%J.err",
        f"#SBATCH -o {tmp_path}/napari-menndl-%J.out",
        "#SBATCH -p gpu",
        "#SBATCH -A lab",
        "#SBATCH -n 1",
        "#SBATCH --cpus-per-task=32",
        "#SBATCH --mem=64G",
        "#SBATCH -t 02:00:00",
        "#SBATCH --gpus-per-node=4",
        "#SBATCH --exclusive",
    ]
    assert lines[-2] == "module load cuda"
    worker = lines[-1]
    assert worker.startswith("apptainer exec --nv menndl.sif python -m distributed.cli.dask_worker tls://")
    for option in (
        "--nthreads 8",
        "--nanny",
        "--lifetime 6000s",
        "--lifetime-stagger 300s",
        "--dashboard-address 127.0.0.1:0",
        "--interface ib0",
        "--local-directory $TMPDIR",
        "--protocol tls://",
    ):
        assert option in worker


def test_what_sbatch_refuses_is_said_in_its_words(site, tmp_path, monkeypatch):
    (tmp_path / "sbatch").write_text("#!/bin/sh\necho 'invalid partition specified: gpu' >&2\nexit 1\n")
    (tmp_path / "sbatch").chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(InputError, match=r"invalid partition specified: gpu.*Correct the profile"):
        open_pool(f"slurm:{site / 'profile.yaml'}", ENTRY)


def test_without_sbatch_a_search_is_not_begun(site, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(InputError, match=r"the program sbatch.*login node"):
        check_pool(f"slurm:{site / 'profile.yaml'}")
