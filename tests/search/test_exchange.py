"""Islands: what they share, what they believe, and that losing one costs the others nothing."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from made_up import SETTINGS, evaluate, make_folder, make_task

from napari_menndl.errors import InputError
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.space import SearchSpace
from napari_menndl.genome.variation import sample_genome
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search.candidate import IMMIGRANT
from napari_menndl.search.evolution import Evolution
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.islands import exchange, shared_folder
from napari_menndl.search.islands.exchange import BIRTHS_PER_IMMIGRANT, OFFERED, Exchange
from napari_menndl.search.islands.shared_folder import Elite, SharedFolder
from napari_menndl.search.runner import SearchRunner
from napari_menndl.task.task import TrainingTask

ISLANDS = ("a", "b", "c")
SEARCH = """
import sys, time
sys.path.insert(0, sys.argv[1])
from made_up import evaluate
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search.islands import exchange
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.runner import SearchRunner
exchange.PERIOD = 0.1
SearchRunner(RunFolder.open(sys.argv[2]), SerialPool(lambda *job: time.sleep(0.005) or evaluate(*job))).run()
"""


def make_island(place, name, **changes):
    settings = {"exchange": str(place / "shared"), "island": name, **changes}
    return make_folder(place / name, **settings)


def shared(folder, kind=SharedFolder):
    return kind(folder.settings, folder.space, folder.task_digest, folder.path)


def facts(folder, *kinds):
    return [fact for fact in folder.facts() if fact.kind in kinds]


def elite(seed=0, **changes):
    genome = sample_genome(SearchSpace(), np.random.default_rng(seed))
    return replace(Elite(seed, "0", 0.5, genome), **changes)


def wait_until(true, seconds):
    deadline = time.monotonic() + seconds
    while not (answer := true()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return answer


def start(folder):
    return subprocess.Popen([sys.executable, "-c", SEARCH, os.path.dirname(__file__), os.fspath(folder.path)])


def all_met(folders):
    """Whether elites of every island have come to every other."""
    met = [{fact.island for fact in facts(one, "arrived")} for one in folders]
    return all(len(one) == len(folders) - 1 for one in met)


@pytest.fixture(scope="module")
def islands(tmp_path_factory):
    """Three search processes; b is killed on the way, a and c go on and come to their end."""
    place = tmp_path_factory.mktemp("islands")
    folders = [make_island(place, name, budget="1h") for name in ISLANDS]
    a, _, c = folders
    processes = [start(one) for one in folders]
    try:
        assert wait_until(lambda: all_met(folders), 60)
        processes[1].kill()
        then = {one: one.status()["births"] for one in (a, c)}
        assert wait_until(lambda: all(one.status()["births"] > n + 20 for one, n in then.items()), 60)
        a.request("stop")
        c.request("stop")
        assert [processes[0].wait(60), processes[2].wait(60)] == [0, 0]
    finally:
        for one in processes:
            one.kill()
            one.wait()
    for one in (a, c):
        one.change_budget(f"{one.status()['births'] + 3}networks")
        SearchRunner(one, SerialPool(evaluate)).run()
    return folders


def test_the_others_go_on_when_an_island_is_killed(islands):
    assert [one.status()["state"] for one in islands] == ["finished", "interrupted", "finished"]


def test_elites_cross_and_are_evaluated_where_they_arrive(islands):
    by_name = {one.settings.island: {fact.id: fact for fact in facts(one, "born")} for one in islands}
    for island in (islands[0], islands[2]):
        name, born = island.settings.island, by_name[island.settings.island]
        arrived = facts(island, "arrived")
        evaluated = {fact.key for fact in facts(island, "evaluated", "failed")}
        assert {fact.island for fact in arrived} == set(ISLANDS) - {name}
        assert {fact.id for fact in arrived} == {n for n, one in born.items() if one.origin == IMMIGRANT}
        for fact in arrived:
            assert by_name[fact.island][fact.theirs].genome == born[fact.id].genome
            assert f"{fact.id}/0" in evaluated


def test_few_births_are_given_to_elites_and_to_each_once(islands):
    for island in islands:
        arrived = facts(island, "arrived")
        assert len(arrived) * BIRTHS_PER_IMMIGRANT <= island.status()["births"]
        genomes = [json.dumps(fact.genome) for fact in facts(island, "born")]
        assert len(set(genomes)) == len(genomes)


def test_islands_draw_different_networks_from_one_seed(islands):
    assert len({one.settings.seed for one in islands}) == 1
    founders = len(SETTINGS.founders)
    first = [json.dumps(facts(one, "born")[founders].genome) for one in islands]
    assert len(set(first)) == len(islands)
    assert SETTINGS.root == SETTINGS.seed  # a search that is no island draws what it always drew


def test_shared_folder_holds_one_small_file_per_island(islands):
    place = islands[0].path.parent / "shared"
    assert {f"{name}.json" for name in ISLANDS} <= set(os.listdir(place)) <= {f"{name}.json" for name in "abcd"}
    for name in ISLANDS:
        found = json.loads((place / f"{name}.json").read_bytes())["island"]
        assert 0 < len(found["elites"]) <= OFFERED


def test_replay_of_a_search_with_arrivals_is_exact(islands):
    """Arrivals are facts: where the journal is lived again nothing is asked of the shared folder."""
    folder = make_island(islands[0].path.parent, "d", budget="45networks")
    lived = SearchRunner(folder, SerialPool(evaluate))
    lived.run()
    again = Evolution(folder.space, folder.settings)
    assert SearchRunner(folder, SerialPool(evaluate), again).run() == "finished"
    assert again.immigrants == lived.evolution.immigrants == len(facts(folder, "arrived")) == 2
    assert [one.key for one in again.population] == [one.key for one in lived.evolution.population]
    assert again.ask(5) == lived.evolution.ask(5)


# ------------------------------------------------------------------ what is believed


@pytest.fixture
def two(tmp_path):
    """An island, and the shared folder as another one sees it."""
    a, b = (shared(make_island(tmp_path, name)) for name in "ab")
    a.join()
    b.join()
    return a, b


def test_elites_are_read_as_they_were_written(two):
    a, b = two
    best = (elite(1, fitness=0.75), elite(2))
    a.publish(best)
    assert b.others() == {"a": best}
    a.publish((elite(3),))
    assert b.others() == {"a": (elite(3),)}


def test_flipped_bits_are_passed_over(two, caplog):
    a, b = two
    a.publish((elite(1),))
    path = a.path / "a.json"
    whole = path.read_bytes()
    for place in range(40, len(whole), len(whole) // 40):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        assert b.others()["a"] in ((), (elite(1),))  # a space more is no damage
    assert "a.json is passed over" in caplog.text
    path.write_bytes(whole)
    assert b.others() == {"a": (elite(1),)}


FOREIGN = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "nothing": lambda path: path.write_bytes(b""),
    "no island": lambda path: path.write_bytes(b'{"schema": 1}'),
    "endless brackets": lambda path: path.write_bytes(b"[" * 100_000),
    "a newer version": lambda path: path.write_bytes(path.read_bytes().replace(b'"schema": 1', b'"schema": 2')),
    "too large": lambda path: path.write_bytes(path.read_bytes() + b" " * 2**20),
    "of another name": lambda path: path.rename(path.with_name("z.json")),
    "a link": lambda path: (path.rename(path.with_suffix(".txt")), path.symlink_to(path.with_suffix(".txt"))),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_no_island_of_this_search_is_passed_over_and_said_once(two, caplog, what):
    a, b = two
    a.publish((elite(1),))
    FOREIGN[what](a.path / "a.json")
    for _ in range(3):
        assert not any(b.others().values())
    assert caplog.text.count("passed over:") == 1


def test_islands_beyond_the_limit_are_passed_over_and_said_once(two, caplog, monkeypatch):
    a, b = two
    a.publish((elite(1),))
    monkeypatch.setattr(shared_folder, "_MOST", 1)
    for _ in range(3):
        assert b.others() == {"a": (elite(1),)}
    assert caplog.text.count("1 islands in") == 1


def test_a_genome_outside_the_space_is_passed_over(two, caplog):
    a, b = two
    huge = FOUNDERS["unet"]()
    huge = replace(huge, layers=huge.layers * 5)
    a.publish((elite(5, genome=huge), elite(1)))
    assert b.others() == {"a": (elite(1),)}
    assert "elite 5" in caplog.text


@pytest.mark.parametrize("wrong", [{"id": -1}, {"fitness": 1.5}, {"fitness": float("nan")}, {"rung": "0" * 17}])
def test_an_elite_is_plausible(wrong):
    with pytest.raises(ValueError, match="elite"):
        elite(1, **wrong)


# ------------------------------------------------------------------ who may come


def test_another_task_is_refused_with_what_to_do(tmp_path):
    shared(make_island(tmp_path, "a")).join()
    settings = replace(SETTINGS, exchange=str(tmp_path / "shared"), island="b")
    plain = make_task()
    other = TrainingTask(plain.frames + 1, plain.labels, plain.known, plain.class_names, plain.match_rules, guard=4)
    folder = RunFolder.create(tmp_path / "b", settings, SearchSpace(), other)
    with pytest.raises(InputError, match=r"island 'a' .* with another task.*same movie.*another folder"):
        SearchRunner(folder, SerialPool(evaluate)).run()
    assert not folder.status()["births"]
    assert not (tmp_path / "shared" / "b.json").exists()


def test_of_two_that_come_at_once_none_bars_the_place(tmp_path):
    """Neither sees the other before it has written its own file."""
    a, b = shared(make_island(tmp_path, "a")), shared(make_island(tmp_path, "b", pixels=2000))
    a.path.mkdir()

    class Late(type(a)):
        def check(self):
            if self._written:
                super().check()
            else:
                a.publish(())

    b.__class__ = Late
    with pytest.raises(InputError, match="other rungs"):
        b.join()
    assert os.listdir(a.path) == ["a.json"]


def test_other_rungs_are_refused(tmp_path):
    shared(make_island(tmp_path, "a")).join()
    with pytest.raises(InputError, match="other rungs"):
        shared(make_island(tmp_path, "b", pixels=2000)).join()


def test_a_name_is_given_to_one_search(tmp_path):
    shared(make_island(tmp_path, "a")).join()
    twin = make_folder(tmp_path / "twin", exchange=str(tmp_path / "shared"), island="a")
    with pytest.raises(InputError, match=r"'a' used by .*another name"):
        shared(twin).join()


@pytest.mark.parametrize("name", ["", "a b", "../a", ".a", "a.json", "x" * 64])
def test_an_island_has_a_name_that_can_be_a_file(name):
    with pytest.raises(InputError, match="letters, digits"):
        replace(SETTINGS, exchange="shared", island=name)


# ------------------------------------------------------------------ trouble with the folder


def test_a_file_system_that_hangs_does_not_hold_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "PATIENCE", 0.1)
    folder, released = make_island(tmp_path, "a"), threading.Event()

    class Hanging(SharedFolder):
        def join(self):
            released.wait(60)

    evolution = Evolution(folder.space, folder.settings)
    began = time.monotonic()
    with Exchange(shared(folder, Hanging), evolution) as slow:
        for _ in range(1000):
            assert slow.arrivals(1) == []
    released.set()
    assert time.monotonic() - began < 5


def test_a_shared_folder_that_cannot_be_used_is_said_and_the_search_goes_on(tmp_path, caplog):
    (tmp_path / "shared").write_text("a file, where the folder should be")
    folder = make_island(tmp_path, "a", budget="12networks")
    assert SearchRunner(folder, SerialPool(evaluate)).run() == "finished"
    assert sum(str(tmp_path) in one for one in caplog.messages) == 1
