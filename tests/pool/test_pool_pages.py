"""What the pages on pools tell a person to write and type is understood."""

import re
from pathlib import Path

import pytest
import yaml
from distributed.cli import dask_scheduler, dask_worker

from napari_menndl.pool.clusters.hosts import read_hosts
from napari_menndl.pool.spec import read_pool

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS = {"scheduler": dask_scheduler.main, "worker": dask_worker.main}


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("page", ["pools/workstation.md", "pools/two-machines-ssh.md", "pools/slurm.md", "security.md"])
def test_pool_files_of_the_pages_are_pools(page, tmp_path):
    (text,) = blocks(page, "yaml")
    (tmp_path / "pool.yaml").write_text(text)
    read_pool(f"{'slurm:' if 'slurm' in page else ''}{tmp_path / 'pool.yaml'}")


def test_the_hosts_file_of_the_page_names_two_machines(tmp_path):
    (text,) = blocks("pools/two-machines-ssh.md", "text")
    (tmp_path / "hosts").write_text(text)
    assert [host.name for host in read_hosts(tmp_path / "hosts")] == ["anna@gpubox", "oldbox"]


def test_commands_of_the_manifests_are_those_of_dask_and_every_volume_is_there(tmp_path):
    (text,) = blocks("pools/kubernetes.md", "yaml")
    manifests = list(yaml.safe_load_all(text))
    assert [one["kind"] for one in manifests] == ["Service", "Deployment", "Deployment", "NetworkPolicy"]
    for name in ("ca.pem", "tls.pem", "tls.key"):
        (tmp_path / name).touch()
    for manifest in (one for one in manifests if one["kind"] == "Deployment"):
        spec = manifest["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        mounted = {one["name"] for one in container["volumeMounts"]}
        assert mounted == {one["name"] for one in spec["volumes"]}
        _, kind, *words = [word.replace("/tls/", f"{tmp_path}/") for word in container["command"]]
        COMMANDS[kind].make_context("dask", words)  # raises on an option that there is not
