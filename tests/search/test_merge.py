"""Run folders of islands, joined: everything is there, once, and every view can read it."""

import json
import shutil
from collections import Counter
from dataclasses import replace

import pytest
from made_up import SETTINGS, evaluate, make_folder
from typer.testing import CliRunner

from napari_menndl.api import merge_runs, open_run, resume_search
from napari_menndl.cli import app
from napari_menndl.errors import InputError
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search import results
from napari_menndl.search.candidate import IMMIGRANT
from napari_menndl.search.facts import Arrived, Born, Evaluated
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.views.known_runs import peek
from napari_menndl.search.views.lineage import lineage
from napari_menndl.search.views.reader import RunReader

NAMES = ("a", "b", "c")


def ignore(words):
    """Take no notes."""


@pytest.fixture(scope="module")
def islands(tmp_path_factory):
    """One after the other, then the first again: it sees what the others left in the shared folder."""
    place = tmp_path_factory.mktemp("islands")
    folders = [
        make_folder(place / name, exchange=str(place / "shared"), island=name, budget="42networks") for name in NAMES
    ]
    for folder in folders:
        SearchRunner(folder, SerialPool(evaluate)).run()
    folders[0].change_budget("62networks")
    SearchRunner(folders[0], SerialPool(evaluate)).run()
    return folders


@pytest.fixture(scope="module")
def merged(islands, tmp_path_factory):
    return merge_runs([one.path for one in islands], tmp_path_factory.mktemp("merged") / "run", note=pytest.fail).folder


def births(folder):
    return {fact.id: fact for fact in folder.facts() if isinstance(fact, Born)}


def evaluations(folder):
    """What was evaluated, by genome: numbers do not matter."""
    born = births(folder)
    return Counter(
        (json.dumps(born[fact.key.network].genome), fact.key.rung, fact.evaluation, fact.started)
        for fact in folder.facts()
        if isinstance(fact, Evaluated)
    )


def test_merged_run_has_everything_once(islands, merged):
    assert evaluations(merged) == sum(map(evaluations, islands), Counter())
    assert set(evaluations(merged).values()) == {1}
    assert list(births(merged)) == list(range(62 + 42 + 42))
    status = merged.status()
    for count in ("births", "evaluations", "networks", "promotions"):
        assert status[count] == sum(one.status()[count] for one in islands)
    assert status["in_flight"] == 0


def test_lines_stand_by_time(merged):
    times = [fact.time for fact in merged.facts()]
    assert times == sorted(times)


def test_parents_are_who_they_were(islands, merged):
    """By genomes; what came from another island is the child of the network it was there."""
    born, expected = births(merged), []
    for one in islands:
        own = births(one)
        natives = [fact for fact in own.values() if fact.origin != IMMIGRANT]
        expected += [[fact.genome, [own[p].genome for p in fact.parents]] for fact in natives]
    natives = [fact for fact in born.values() if fact.origin != IMMIGRANT]
    found = [[fact.genome, [born[p].genome for p in fact.parents]] for fact in natives]
    assert sorted(map(json.dumps, found)) == sorted(map(json.dumps, expected))
    immigrants = [fact for fact in born.values() if fact.origin == IMMIGRANT]
    assert len(immigrants) == sum(isinstance(fact, Arrived) for one in islands for fact in one.facts()) > 3
    for fact in immigrants:
        (parent,) = fact.parents
        assert parent < fact.id
        assert born[parent].genome == fact.genome
        assert born[parent].origin != IMMIGRANT


def test_best_conclusion_is_that_of_the_merged_run(islands, merged):
    best = max(islands, key=lambda one: one.status()["finished"]["fitness"])
    ours, theirs = merged.status(), best.status()
    assert ours["state"] == "finished"
    assert ours["finished"]["fitness"] == theirs["finished"]["fitness"]
    assert ours["best_fitness"] == max(one.status()["best_fitness"] for one in islands)
    found, expected = results.chosen(merged), results.chosen(best)
    assert found.members
    assert found.thresholds == expected.thresholds
    for a, b in zip(found.members, expected.members, strict=True):
        assert (a.genome, a.weights, a.fold, a.thresholds) == (b.genome, b.weights, b.fold, b.thresholds)


def test_views_read_a_merged_run(islands, merged):
    reader = RunReader(merged.journal_path)
    reader.read()
    leader = reader.leaders()[0]
    assert leader.fitness == merged.status()["best"]["fitness"]
    line = lineage(reader, leader.id)
    assert line[-1].origin.startswith(("founder", "random"))
    history = results.history(merged)
    assert len(history) == sum(len(results.history(one)) for one in islands)
    assert {slot.partition(":")[0] for slot in history["slot"]} == set(NAMES)
    snapshot = merged.monitor().snapshot(10.0)
    assert (snapshot.state, snapshot.births) == ("finished", 146)
    assert sum("Merged" in words for _, words in snapshot.log) == 3
    assert peek(merged.path).state == "finished"


def test_kept_weights_are_copied(islands, merged):
    def weights(folder):
        keys = [key for key in folder.kept_weights() if key.rpartition("/")[2].isdigit()]
        return Counter(folder.read_weights(key) for key in keys)

    assert weights(merged) == sum(map(weights, islands), Counter())


def test_merging_twice_gives_the_same(islands, merged, tmp_path):
    again = merge_runs([one.path for one in reversed(islands)], tmp_path / "again").folder
    assert again.journal_path.read_bytes() == merged.journal_path.read_bytes()
    assert again.kept_weights() == merged.kept_weights()


def test_a_native_is_born_before_its_immigrants_whatever_the_clocks_say(islands, tmp_path):
    """Island a's clock is half a minute fast: what came from it to b would be born before."""
    from napari_menndl.search.journal import Journal

    late = tmp_path / "a"
    shutil.copytree(islands[0].path, late)
    (late / "journal.jsonl").unlink()
    with Journal(late / "journal.jsonl") as journal:
        for fact in islands[0].facts():
            journal.record(**replace(fact, time=fact.time + 30).to_json())
        journal.commit()
    merged = merge_runs([late, islands[1].path], tmp_path / "merged").folder
    from_a = [fact.id for fact in merged.facts() if isinstance(fact, Arrived) and fact.island == "a"]
    assert from_a
    assert all(births(merged)[one].parents for one in from_a)


# ------------------------------------------------------------------ what is lost


@pytest.fixture
def copies(islands, tmp_path):
    return [shutil.copytree(one.path, tmp_path / one.path.name) for one in islands]


def test_a_torn_journal_is_merged_as_far_as_it_goes(islands, copies, tmp_path):
    journal = copies[1] / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[: journal.stat().st_size // 2])
    merged = merge_runs(copies, tmp_path / "merged").folder
    torn = RunFolder.open(copies[1]).status()
    assert 0 < torn["births"] < 42
    assert merged.status()["births"] == 62 + torn["births"] + 42
    assert merged.status()["state"] == "finished"
    assert results.chosen(merged).members


def test_a_damaged_line_costs_what_it_said(copies, tmp_path):
    journal = copies[1] / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    born = [n for n, line in enumerate(lines) if b'"kind":"born"' in line][5]
    lines[born] = lines[born].replace(b"e", b"f", 1)
    journal.write_bytes(b"".join(lines))
    notes = []
    with pytest.warns(UserWarning, match="damaged"):
        merged = merge_runs(copies, tmp_path / "merged", note=notes.append).folder
    assert any("whose birth is lost" in words for words in notes)
    assert merged.status()["births"] == 145
    assert len(results.history(merged)) == merged.status()["evaluations"]


def test_a_lost_folder_costs_its_share(copies, tmp_path):
    (copies[2] / "search.json").unlink()
    shutil.rmtree(copies[0] / "task.zarr")
    notes = []
    merged = merge_runs(copies, tmp_path / "merged", note=notes.append).folder
    assert merged.status()["births"] == 62 + 42
    assert any("left out" in words for words in notes)
    assert merged.task.digest == merged.task_digest


def test_damaged_weights_are_left_out(copies, tmp_path):
    damaged = RunFolder.open(copies[1])
    key = next(key for key in sorted(damaged.kept_weights()) if key.rpartition("/")[2].isdigit())
    damaged.weights_path(key).write_bytes(damaged.read_weights(key)[:-1])
    notes = []
    merge_runs(copies, tmp_path / "merged", note=notes.append)
    assert [words for words in notes if key.replace("/", "-") in words]


def test_without_a_conclusion_the_best_so_far_is_what_there_is(tmp_path):
    folders = [make_folder(tmp_path / name, island=name, budget="1h") for name in "de"]
    for folder in folders:
        runner = SearchRunner(folder, SerialPool(evaluate))
        runner.events.best_improved.connect(lambda best, runner=runner: best.id > 3 and runner.stop())
        runner.run()
    best = max(folders, key=lambda one: one.status()["answer"]["fitness"])
    merged = merge_runs([one.path for one in folders], tmp_path / "merged", note=ignore).folder
    assert merged.status()["state"] == "stopped"
    ours, theirs = (results.chosen(one).members for one in (merged, best))
    assert [one.genome for one in ours] == [one.genome for one in theirs]

    for member in merged.status()["answer"]["members"]:
        path = merged.weights_path(member["key"])
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.warns(UserWarning, match="gone or damaged"):
            assert member["id"] not in {one.id for one in results.chosen(merged).members}
    for path in (merged.path / "networks").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="the weights of network"):
        results.chosen(merged)


def test_a_run_at_work_is_taken_as_it_stands(islands, tmp_path):
    notes = []
    with RunFolder.open(islands[1].path).lock():
        merge_runs([one.path for one in islands], tmp_path / "merged", note=notes.append)
    assert [words for words in notes if "at work" in words]


# ------------------------------------------------------------------ what is refused


def test_a_merged_run_cannot_be_resumed(merged):
    before = merged.journal_path.read_bytes()
    for attempt in (
        lambda: SearchRunner(merged, SerialPool(evaluate)).run(),
        lambda: merged.change_budget("1h"),
        lambda: resume_search(merged.path),
        lambda: open_run(merged.path).start(),
    ):
        with pytest.raises(InputError, match=r"merged from 3 runs.*merge them again"):
            attempt()
    assert merged.journal_path.read_bytes() == before


def test_what_does_not_belong_together_is_refused(islands, merged, tmp_path):
    other = make_folder(tmp_path / "other", pixels=SETTINGS.pixels + 1)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    for runs, to, says in (
        ([islands[0].path, other.path], "new", "other rungs"),
        ([islands[0].path, merged.path], "new", "itself merged"),
        ([islands[0].path, tmp_path / "nowhere"], "new", "no folder"),
        ([tmp_path / "full"], "new", "can be read"),
        ([islands[0].path], "full", "something in it"),
    ):
        with pytest.raises(InputError, match=says):
            merge_runs(runs, tmp_path / to, note=ignore)
        assert not (tmp_path / "new").exists()
    assert {one.name for one in tmp_path.iterdir()} == {"other", "full"}


def test_merge_on_the_command_line(islands, tmp_path):
    words = ["merge", *(str(one.path) for one in islands), "--run", str(tmp_path / "merged")]
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "Answer: " in result.stdout
    assert CliRunner().invoke(app, words).exit_code == 2  # the folder is taken
