"""Pools on the command line."""

import json
import shlex
import stat

import pytest
import yaml
from typer.testing import CliRunner

from napari_menndl.cli import app
from napari_menndl.pool.clusters.certificates import client_security


def run(*words, code=0):
    """What a command prints."""
    result = CliRunner().invoke(app, ["pool", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def test_what_this_computer_offers_is_said_in_a_table_and_as_json():
    table = run("check")
    assert all(word in table for word in ("machine", "slots", "GPUs", "memory", "GiB", "torch", "as here"))
    found = json.loads(run("check", "serial", "--json"))
    assert (found["workers"], found["slots"], found["matches"]) == (1, 1, True)
    assert found["here"].keys() == found["there"].keys() >= {"python", "napari-menndl", "torch", "dask"}


def test_a_pool_that_does_not_answer_is_refused_with_a_remedy():
    assert "Start one" in run("check", "tcp://127.0.0.1:9", code=2)


def test_certificates_are_written_and_it_is_said_how_to_use_them_but_no_key_is_shown(tmp_path):
    said = run("certificates", tmp_path / "c", "--days", 2)
    assert client_security(tmp_path / "c").require_encryption
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700
    assert "good for 2 days" in said
    assert f"--tls-key {tmp_path}/c/scheduler.key" in said
    for key in (tmp_path / "c").glob("*.key"):
        assert not any(line in said for line in key.read_text().splitlines())


def test_the_commands_that_are_named_are_those_of_dask(tmp_path):
    from distributed.cli import dask_scheduler, dask_worker

    said = [line.strip() for line in run("certificates", tmp_path / "c").splitlines() if line.startswith("  ")]
    for line, command in zip(said, (dask_scheduler.main, dask_worker.main), strict=True):
        words = shlex.split(line.replace("DIR", str(tmp_path / "c")))[2:]
        command.make_context("dask", words)  # raises on an option that there is not


def test_the_job_of_a_slurm_profile_is_printed_without_being_submitted(tmp_path):
    profile = {"queue": "gpu", "gpus": 4, "shared": str(tmp_path), "lifetime": 30}
    (tmp_path / "profile.yaml").write_text(yaml.safe_dump(profile))
    script = run("script", tmp_path / "profile.yaml")
    assert "#SBATCH -p gpu" in script
    assert "--gpus-per-node=4" in script
    assert "--nthreads 4" in script


@pytest.mark.parametrize("command", ["check", "certificates", "script"])
def test_every_command_has_help(command):
    assert "Usage" in run(command, "--help")
