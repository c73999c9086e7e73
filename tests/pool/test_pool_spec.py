"""Pools from one string or a small file: what they mean, and what is said of one that means nothing."""

import dataclasses
import shlex

import pytest

from napari_menndl.errors import InputError
from napari_menndl.pool.clusters.hosts import read_hosts
from napari_menndl.pool.kinds import pool_kinds
from napari_menndl.pool.settings import (
    KINDS,
    LocalSettings,
    SchedulerFileSettings,
    SchedulerSettings,
    SerialSettings,
    SlurmSettings,
    SshSettings,
    parse_walltime,
)
from napari_menndl.pool.spec import absolute_spec, read_pool

MEANINGS = {
    "local": LocalSettings(),
    "serial": SerialSettings(),
    "tcp://127.0.0.1:8786": SchedulerSettings(address="tcp://127.0.0.1:8786"),
    "tls://host:8786": SchedulerSettings(address="tls://host:8786"),
    "tls://host:8786?certificates=/c%20d": SchedulerSettings(address="tls://host:8786", certificates="/c d"),
    "scheduler-file:/s.json": SchedulerFileSettings(file="/s.json"),
    "ssh:/hosts.txt": SshSettings(hosts="/hosts.txt"),
}


@pytest.mark.parametrize("spec", MEANINGS)
def test_one_string_is_a_pool(spec):
    assert read_pool(spec) == read_pool(f" {spec} ") == MEANINGS[spec]
    assert read_pool(absolute_spec(spec)) == MEANINGS[spec]


def test_paths_are_made_absolute_where_they_are_typed_and_are_meant_from_where_a_pool_file_lies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/pool.yaml").write_text("kind: ssh\nhosts: hosts.txt\nconfig: ~/ssh\n")
    assert absolute_spec("lab/pool.yaml") == f"{tmp_path}/lab/pool.yaml"
    assert absolute_spec("slurm:lab/pool.yaml") == f"slurm:{tmp_path}/lab/pool.yaml"
    assert absolute_spec("ssh:hosts.txt") == f"ssh:{tmp_path}/hosts.txt"
    assert absolute_spec("tls://h:1?certificates=c d") == f"tls://h:1?certificates={tmp_path}/c%20d"
    monkeypatch.setenv("HOME", "/home/anna")
    read = read_pool("lab/pool.yaml")
    assert (read.hosts, read.config) == (f"{tmp_path}/lab/hosts.txt", "/home/anna/ssh")


def test_a_pool_file_says_what_a_string_cannot(tmp_path):
    path = tmp_path / "pool.yml"
    path.write_text("kind: scheduler\naddress: tcp://10.0.0.7:8786\ninsecure: true\nslots: 8\nnetworks_per_gpu: 4\n")
    assert read_pool(str(path)) == SchedulerSettings(
        address="tcp://10.0.0.7:8786", insecure=True, slots=8, networks_per_gpu=4
    )
    path.write_text("queue: gpu\nnodes: 3\ngpus: 4\nnetworks_per_gpu: 2\ncores: 32\nsetup: [module load cuda]\n")
    assert read_pool(f"slurm:{path}").node_slots == 8


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: scheduler\nadress: tcp://h:1\n", "settings among .*address.*adress.*Correct or remove"),
        ("kind: scheduler\n", "a value for address"),
        ("kind: cloud\n", "`kind:` to be local, scheduler, .*'cloud'"),
        ("slots: 3\n", "`kind:` to be .*None"),
        ("kind: local\nslots: many\n", "int for slots"),
        ("kind: local\nslots: 0\n", "slots between 1 and"),
        ("kind: slurm\nwalltime: soon\n", "a wall time such as"),
        ("- kind\n", "names and values"),
        ("kind: [\n", "YAML in"),
        ("kind: !!python/object/apply:os.system [true]\n", "YAML in"),
        ("x" * 200_000, "at most 100000 bytes"),
    ],
)
def test_a_pool_file_that_means_nothing_is_refused_with_its_name(tmp_path, text, says):
    path = tmp_path / "pool.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"(?s){says}") as error:
        read_pool(str(path))
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("cloud", "a pool: local, serial, tcp"),
        ("ssh:", "a pool: local"),
        ("", "a pool: local"),
        ("no-such.yaml", "a pool file at .*no-such.yaml"),
        ("slurm:no-such.yaml", "a pool file at .*no-such.yaml"),
        ("tls://h:1?certificate=x", "certificates=FOLDER"),
    ],
)
def test_a_string_that_means_nothing_is_refused(spec, says):
    with pytest.raises(InputError, match=says):
        read_pool(spec)


def test_a_slurm_profile_is_of_no_other_kind(tmp_path):
    (tmp_path / "pool.yaml").write_text("kind: ssh\nhosts: x\n")
    with pytest.raises(InputError, match="`kind:` to be slurm"):
        read_pool(f"slurm:{tmp_path / 'pool.yaml'}")


def test_every_kind_knows_its_own_and_gives_back_what_was_given():
    kinds = pool_kinds()
    for kind in kinds:
        spec = kind.spec_from(kind.example)
        assert [one for one in kinds if one.owns(spec)] == [kind]
        assert kind.spec_from(kind.given_in(spec)) == spec
        if kind.example:
            with pytest.raises(InputError, match="an empty field"):
                kind.spec_from(" ")


def test_every_setting_of_a_pool_is_described():
    for settings in KINDS.values():
        for field in dataclasses.fields(settings):
            assert field.metadata["title"]
            assert field.metadata["help"], field.name


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 5400), ("02:30", 150), ("01:30:00", 5400), ("2-00", 172_800), ("1-01:01:01", 90_061)]
)
def test_wall_times_are_those_of_slurm(text, seconds):
    assert parse_walltime(text) == seconds


@pytest.mark.parametrize("settings", [{"walltime": "5"}, {"walltime": "7-00:00:00"}, {"stagger": 0.0}])
def test_a_worker_ends_before_its_job(settings):
    made = SlurmSettings(**settings)
    lifetime, stagger = made.seconds
    assert 0 < lifetime + stagger < parse_walltime(made.walltime)


def test_a_hosts_file_has_one_machine_per_line(tmp_path):
    path = tmp_path / "hosts"
    path.write_text("# the lab\nanna@scope\n\nbox slots=4 python='conda run -n menndl python'  # fast\n")
    first, second = read_hosts(path)
    assert (first.name, first.slots, first.python) == ("anna@scope", None, "python3")
    assert (second.name, second.slots, shlex.split(second.python)[-1]) == ("box", 4, "python")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "at least one machine"),
        ("-oProxyCommand=evil\n", "line 1"),
        ("a\nb slot=2\n", "line 2.*slot"),
        ("a slots=few\n", "line 1"),
        ("a b\n", "what is 'b'"),
        ("a\na\n", "a twice"),
    ],
)
def test_a_hosts_file_that_means_nothing_is_refused_by_its_line(tmp_path, text, says):
    (tmp_path / "hosts").write_text(text)
    with pytest.raises(InputError, match=says):
        read_hosts(tmp_path / "hosts")
