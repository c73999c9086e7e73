import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import Crash, UnreliablePool, evaluate, make_folder

from napari_menndl.errors import Failure, InputError
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.genome.genome import Genome
from napari_menndl.pool.process.slot import Slot
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search import results
from napari_menndl.search.answer import CANDIDATES
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.runner import OVERTIME, WAITING, SearchRunner
from napari_menndl.search.views.curves import FITNESS
from napari_menndl.search.views.known_runs import peek
from napari_menndl.search.views.messages import explain_no_network


def told(folder, *kinds):
    """What the journal says in the end, without times."""
    left_out = ("time", "started", "finished", "elapsed", "slot_seconds", "slots")
    return [
        {k: v for k, v in fact.to_json().items() if k not in left_out}
        for fact in folder.facts()
        if fact.kind in (kinds or ("born", "promoted", "evaluated", "failed", "retired", "best"))
    ]


def once(facts):
    """Retirements and bests follow from evaluations; one not committed before a crash is not written again."""
    return [fact for fact in facts if fact["kind"] not in ("retired", "best")]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("search") / "run")
    assert SearchRunner(folder, SerialPool(evaluate)).run() == "finished"
    return folder


def test_search_reaches_its_goal_and_says_so(uninterrupted):
    status = uninterrupted.status()
    assert status["state"] == "finished"
    assert status["births"] == status["networks"] == 30
    assert status["in_flight"] == 0
    assert status["finished"]["members"]
    assert status["best"]["fitness"] == status["leaders"][0]["fitness"] <= status["best_fitness"]


def test_no_evaluation_is_made_twice(uninterrupted):
    keys = [fact["key"] for fact in told(uninterrupted, "evaluated", "failed")]
    assert len(set(keys)) == len(keys)
    keys = [fact["key"] for fact in told(uninterrupted, "refit")]
    assert len(set(keys)) == len(keys) > 0


def test_everything_born_is_evaluated(uninterrupted):
    born = {f"{fact['id']}/{fact['rung']['name']}" for fact in told(uninterrupted, "born")}
    promoted = {f"{fact['id']}/{fact['rung']}" for fact in told(uninterrupted, "promoted")}
    evaluated = {fact["key"] for fact in told(uninterrupted, "evaluated", "failed")}
    assert born | promoted == evaluated


def test_weights_are_kept_of_population_best_and_what_the_answer_is_chosen_from_alone(uninterrupted):
    for fact in told(uninterrupted, "finished")[0]["members"]:
        assert uninterrupted.read_weights(fact["key"])
    assert 0 < len(uninterrupted.kept_weights()) <= 8 + 4 + CANDIDATES
    assert uninterrupted.read_weights(uninterrupted.status()["best"]["key"])


def test_promoted_are_given_their_own_weights(tmp_path):
    given = {}

    def watching(payload, attachment):
        given[Genome.from_json(payload["genome"]).digest, payload["rung"]["name"]] = attachment
        return evaluate(payload, attachment)

    SearchRunner(make_folder(tmp_path / "run"), SerialPool(watching)).run()
    for (genome, rung), attachment in given.items():
        assert (genome.encode() in attachment) == (rung != "0")


@pytest.mark.parametrize("seed", range(5))
def test_resume_equals_uninterrupted(tmp_path, uninterrupted, seed):
    """Killed before or after evaluations, at random, and with a torn journal: the same search in the end."""
    rng = np.random.default_rng(seed)
    folder = make_folder(tmp_path / "run")

    def die(key):
        if rng.random() < 0.08:
            raise Crash

    ended = ""
    while ended != "finished":
        try:
            ended = SearchRunner(folder, UnreliablePool(spoil=die)).run()
        except Crash:
            data = folder.journal_path.read_bytes()
            torn = int(rng.integers(0, 40))  # bytes of a last line that were not synced
            lines = data.rstrip(b"\n").rpartition(b"\n")
            if torn and lines[2]:
                folder.journal_path.write_bytes(data[: max(len(lines[0]) + 1, len(data) - torn)])
    assert once(told(folder)) == once(told(uninterrupted))


def test_killed_search_equals_uninterrupted(tmp_path, uninterrupted):
    """Three times kill -9, at a moment that nobody chose."""
    folder = make_folder(tmp_path / "run")
    script = """
import sys, time
sys.path.insert(0, sys.argv[1])
from made_up import evaluate
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search.answer import CANDIDATES
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.runner import SearchRunner
SearchRunner(RunFolder.open(sys.argv[2]), SerialPool(lambda *job: time.sleep(0.01) or evaluate(*job))).run()
"""
    command = [sys.executable, "-c", script, os.path.dirname(__file__), os.fspath(folder.path)]
    rng = np.random.default_rng()
    for _ in range(3):
        search = subprocess.Popen(command)
        size = folder.journal_path.stat().st_size if folder.journal_path.exists() else 0
        while search.poll() is None and not (
            folder.journal_path.exists() and folder.journal_path.stat().st_size > size
        ):
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.15))
        search.kill()
        search.wait()
        assert folder.status()["state"] in ("interrupted", "finished")
    subprocess.run(command, check=True)
    assert once(told(folder)) == once(told(uninterrupted))


def test_stopped_search_goes_on_as_if_it_had_not(tmp_path, uninterrupted):
    folder = make_folder(tmp_path / "run")
    state, stops = "", 0
    while state != "finished":
        runner = SearchRunner(folder, SerialPool(evaluate))
        seen = []

        def stop_at_seventh(key, evaluation, runner=runner, seen=seen):
            seen.append(key)
            if len(seen) == 7:
                runner.stop()

        runner.events.evaluation_finished.connect(stop_at_seventh)
        state = runner.run()
        stops += state == "stopped"
    assert stops >= 5
    assert told(folder) == told(uninterrupted)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9, 0.97])
def test_journal_cut_anywhere_is_a_beginning(tmp_path, uninterrupted, cut):
    shutil.copytree(uninterrupted.path, tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    data = uninterrupted.journal_path.read_bytes()
    folder.journal_path.write_bytes(data[: int(cut * len(data))])
    assert SearchRunner(folder, SerialPool(evaluate)).run() == "finished"
    assert once(told(folder)) == once(told(uninterrupted))


def test_finished_search_is_left_as_it_is(uninterrupted):
    before = uninterrupted.journal_path.read_bytes()
    pool = UnreliablePool()
    assert SearchRunner(uninterrupted, pool).run() == "finished"
    assert uninterrupted.journal_path.read_bytes() == before
    assert pool.ran == []


def test_finished_search_goes_on_with_a_wider_budget(tmp_path):
    folder = make_folder(tmp_path / "run", budget="10networks")
    SearchRunner(folder, SerialPool(evaluate)).run()
    folder.change_budget("20networks")
    assert SearchRunner(folder, SerialPool(evaluate)).run() == "finished"
    assert folder.status()["births"] == 20
    assert len(told(folder, "finished")) == 2


def test_request_stops_the_search(tmp_path):
    folder = make_folder(tmp_path / "run", budget="1h")
    runner = SearchRunner(folder, SerialPool(evaluate))
    threading.Timer(0.5, lambda: folder.request("stop")).start()
    assert runner.run() == "stopped"
    assert folder.status()["state"] == "stopped"
    assert not folder.requested("stop")


def test_several_slots_lose_and_double_nothing(tmp_path):
    folder = make_folder(tmp_path / "run")
    rng = np.random.default_rng(0)

    def die(key):
        if rng.random() < 0.05:
            raise Crash

    ended = ""
    while ended != "finished":
        try:
            ended = SearchRunner(folder, UnreliablePool(slots=5, spoil=die)).run()
        except Crash:
            continue
    keys = [fact["key"] for fact in told(folder, "evaluated", "failed")]
    assert len(set(keys)) == len(keys)
    assert folder.status()["births"] == folder.status()["networks"] == 30


def test_weights_of_those_finished_at_once_are_all_there(tmp_path):
    folder = make_folder(tmp_path / "run", budget="60networks", population=24)
    SearchRunner(folder, UnreliablePool(slots=6)).run()
    assert len(told(folder, "promoted")) > 15
    assert not told(folder, "weights_missing")


def test_what_ended_at_the_same_time_is_brought_to_the_disk_at_one_go(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(file) or fsync(file))

    def weightless(payload, attachment):
        return evaluate(payload, attachment)[0], b""

    folder = make_folder(tmp_path / "run", budget="60networks", rungs=1, founders=())
    synced.clear()
    SearchRunner(folder, UnreliablePool(weightless, slots=20)).run()
    assert len(told(folder, "evaluated", "failed")) >= 60
    assert len(synced) < 25  # three times twenty at a time; beginning and end


def test_what_waits_after_a_loss_keeps_no_slot_from_others(tmp_path):
    """Two of three slots do well; what the third loses is tried again later, and the third is used meanwhile."""
    given = []

    class Watched(UnreliablePool):
        def finished(self, timeout=None):
            given.append(self._given)
            return super().finished(timeout)

    def lose(key):
        return Failure("worker_lost", "the machine went away") if key == "4/0" else None

    folder = make_folder(tmp_path / "run", budget="40networks", founders=())
    SearchRunner(folder, Watched(slots=3, spoil=lose)).run()
    assert folder.status()["lost"] == {"worker_lost": 2}  # the third loss is final, while others do well
    searching = given[: len(told(folder, "born")) // 3]
    assert min(searching) == 3


def test_the_pools_own_account_adds_up_over_resumes(tmp_path):
    class Told(UnreliablePool):
        def telemetry(self):
            return replace(super().telemetry(), gpus=2, sent_bytes=1000, quarantined=("node7",))

    folder = make_folder(tmp_path / "run", budget="6networks")
    for budget in ("6networks", "12networks"):
        folder.change_budget(budget)
        SearchRunner(folder, Told()).run()
    first, second = (fact["pool"] for fact in told(folder, "telemetry"))
    assert second["busy_seconds"] > first["busy_seconds"] > 0
    assert first["sent_bytes"] == second["sent_bytes"] == 0  # what was sent before the search began is not its doing
    status = folder.status()
    assert status["pool"]["quarantined"] == ["node7"]
    assert status["pool"]["networks_per_gpu_hour"] == pytest.approx(status["networks_per_hour"] / 2, rel=0.2)
    assert 0 < status["slots_busy"] <= 1


def test_what_the_machinery_loses_costs_the_genome_nothing(tmp_path, uninterrupted):
    lost = set()

    def lose_once(key):
        if key not in lost:
            lost.add(key)
            return Failure("worker_lost", "the machine went away")
        return None

    folder = make_folder(tmp_path / "run")
    assert SearchRunner(folder, UnreliablePool(spoil=lose_once)).run() == "finished"
    assert told(folder) == told(uninterrupted)
    assert folder.status()["lost"] == {"worker_lost": len(lost)}


def test_failures_of_genomes_are_counted_by_kind(tmp_path):
    folder = make_folder(tmp_path / "run", budget="12networks")
    timeout = {"3/0": Failure("timeout", "600 s"), "4/0": Failure("out_of_memory", "8 GB")}
    SearchRunner(folder, UnreliablePool(spoil=timeout.get)).run()
    failures = folder.status()["failures"]
    assert (failures["timeout"], failures["out_of_memory"]) == (1, 1)
    history = results.history(folder).set_index(["id", "rung"])
    assert history.loc[(3, "0"), "failure"] == "timeout"


def test_pool_that_trains_nothing_ends_the_search_and_blames_no_genome(tmp_path):
    folder = make_folder(tmp_path / "run")
    broken = UnreliablePool(slots=3, spoil=lambda key: Failure("error", "No module named torch"))
    with pytest.raises(InputError, match="No module named torch"):
        SearchRunner(folder, broken, grace=0).run()
    assert folder.status()["state"] == "stopped"
    assert folder.status()["evaluations"] == 0
    folder.change_budget("3networks")
    assert SearchRunner(folder, SerialPool(evaluate)).run() == "finished"


def test_a_pool_that_nobody_has_joined_yet_is_waited_for(tmp_path):
    class Awaited(SerialPool):
        began = time.monotonic()

        @property
        def free(self):
            return super().free if time.monotonic() > self.began + 0.5 else 0

    folder = make_folder(tmp_path / "run", budget="3networks")
    assert SearchRunner(folder, Awaited(evaluate)).run() == "finished"
    assert folder.status()["networks"] == 3


@pytest.mark.parametrize("hidden", ["slots", "free"])
def test_waiting_for_workers_costs_nothing_of_the_budget_and_is_said(tmp_path, hidden):
    class Awaited(SerialPool):
        """Nobody works here at first, and again after three networks."""

        evaluated, away = 0, []

        @property
        def gone(self):
            if self.evaluated == (0, 3, None)[len(self.away)]:
                self.away.append(time.monotonic() + 0.8)
            return time.monotonic() < self.away[-1]

        slots = property(lambda self: 0 if self.gone and hidden == "slots" else 1)
        free = property(lambda self: 0 if self.gone else SerialPool.free.fget(self))

        def finished(self, timeout=None):
            outcomes = super().finished(timeout)
            self.evaluated += len(outcomes)
            return outcomes

    folder = make_folder(tmp_path / "run", budget="0.6s")
    notes = []
    runner = SearchRunner(folder, Awaited(evaluate))
    runner.events.state_changed.connect(lambda state: notes.append((state, folder.status()["note"])))
    began = time.monotonic()
    assert runner.run() == "finished"
    wall = time.monotonic() - began
    status = folder.status()
    assert status["networks"] > 3
    assert 0.5 < status["elapsed"] < wall - 1.2  # of two times 0.8 s
    assert notes[:4] == [(WAITING, WAITING), ("searching", ""), (WAITING, WAITING), ("searching", "")]


def waiting_pool(job):
    return SerialPool(Slot(f"waiting_jobs:{job}", env={"PYTHONPATH": str(Path(__file__).parent)}))


def test_the_first_network_is_waited_for_where_it_takes_a_little_longer_than_the_budget(tmp_path):
    folder, pool, states = make_folder(tmp_path / "run", budget="8s"), waiting_pool("late"), []
    runner = SearchRunner(folder, pool)
    runner.events.state_changed.connect(states.append)
    assert runner.run() == "finished"
    pool.close()
    assert states[:2] == ["searching", OVERTIME]
    assert folder.status()["networks"] == 1
    assert folder.status()["answer"]["members"]


def test_a_budget_is_kept_where_a_network_takes_much_longer(tmp_path):
    folder = make_folder(tmp_path / "run", budget="1s")
    slow = waiting_pool("run")
    began = time.monotonic()
    SearchRunner(folder, slow).run()
    slow.close()
    assert folder.status()["elapsed"] < 10
    assert time.monotonic() - began < 30
    assert folder.status()["reason"] == "2 s are over"  # half of it more for the first network
    assert explain_no_network(folder.status()).startswith("The search came to nothing: no network was evaluated")


@pytest.mark.parametrize("budget", ["4networks", "plateau 4"])
def test_a_search_of_failures_alone_came_to_nothing_and_says_why(tmp_path, budget):
    def fail(payload, attachment):
        failure = Failure("timeout", "The job was stopped.")
        return {"evaluation": Evaluation(payload["rung"]["name"], failure=failure).to_json()}, b""

    folder = make_folder(tmp_path / "run", budget=budget)
    SearchRunner(folder, SerialPool(fail)).run()
    assert "none of 4 networks could be trained (4 took longer than allowed)" in explain_no_network(folder.status())
    snapshot = folder.monitor().snapshot(60)
    assert explain_no_network(vars(snapshot)) == explain_no_network(folder.status())


def test_one_fitness_is_shown_everywhere(uninterrupted):
    fitness = uninterrupted.status()["answer"]["fitness"]
    assert uninterrupted.status()["best_fitness"] == fitness
    assert peek(uninterrupted.path).fitness == fitness
    snapshot = uninterrupted.monitor().snapshot(60)
    assert snapshot.curves["best"][-1, FITNESS] == snapshot.answer.fitness == fitness
    assert explain_no_network(uninterrupted.status()) == ""


def test_a_wanted_fitness_is_that_which_is_shown(tmp_path):
    folder = make_folder(tmp_path / "run", budget="fitness 0.97, 300networks")
    SearchRunner(folder, SerialPool(evaluate)).run()
    assert folder.status()["reason"].startswith("fitness")
    assert folder.status()["best_fitness"] >= 0.97


def test_late_and_double_outcomes_are_ignored(tmp_path, uninterrupted):
    class Stuttering(SerialPool):
        def finished(self, timeout=None):
            outcomes = super().finished(timeout)
            self.past = [*getattr(self, "past", []), *outcomes]
            return [*outcomes, *self.past[-3:]]

    folder = make_folder(tmp_path / "run")
    SearchRunner(folder, Stuttering(evaluate)).run()
    assert told(folder) == told(uninterrupted)


def test_missing_weights_are_said_and_the_search_goes_on(tmp_path):
    folder = make_folder(tmp_path / "run", budget="12networks")

    def forget(key):
        for kept in folder.kept_weights():
            if kept.endswith("/0"):
                folder.remove_weights(kept)

    assert SearchRunner(folder, UnreliablePool(spoil=forget)).run() == "finished"
    assert told(folder, "weights_missing")


def test_damaged_weights_are_said_and_the_search_goes_on(tmp_path):
    folder = make_folder(tmp_path / "run", budget="12networks")

    def damage(key):
        for kept in folder.kept_weights():
            if kept.endswith("/0"):
                path = folder.weights_path(kept)
                path.write_bytes(path.read_bytes()[:-1])

    assert SearchRunner(folder, UnreliablePool(spoil=damage)).run() == "finished"
    assert all(fact["damaged"] for fact in told(folder, "weights_missing"))
    assert told(folder, "weights_missing")


def test_weights_that_come_back_damaged_are_asked_for_again(tmp_path, uninterrupted):
    cut = set()

    def careless(payload, attachment):
        reply, weights = evaluate(payload, attachment)
        job = str(payload)
        if job in cut:
            return reply, weights
        cut.add(job)
        return reply, weights[:-1]

    folder = make_folder(tmp_path / "run")
    assert SearchRunner(folder, UnreliablePool(careless)).run() == "finished"
    assert told(folder) == told(uninterrupted)
    assert folder.status()["lost"] == {"error": len(cut)}


def test_full_disk_pauses_the_search(tmp_path, uninterrupted):
    """The limit on the size of a file stands for a full disk; the pause makes room."""
    folder = make_folder(tmp_path / "run")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    states = []
    runner = SearchRunner(folder, SerialPool(evaluate))

    def make_room(state):
        states.append(state)
        if state.startswith("paused"):
            assert folder.status()["note"] == state
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    runner.events.state_changed.connect(make_room)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        runner.run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert states == ["searching", "paused: disk full", "searching", "finished"]
    assert told(folder) == told(uninterrupted)


def test_listeners_hear_what_was_recorded(tmp_path):
    folder = make_folder(tmp_path / "run", budget="12networks")
    runner = SearchRunner(folder, SerialPool(evaluate))
    heard, bests = [], []

    def on_evaluation(key, evaluation):
        heard.append(key in {fact["key"] for fact in told(folder, "evaluated", "failed")})

    runner.events.evaluation_finished.connect(on_evaluation)
    runner.events.best_improved.connect(lambda best: bests.append(best.fitness))
    runner.run()
    assert heard
    assert all(heard)
    assert bests[-1] == folder.status()["best"]["fitness"]


def test_time_budget_ends_the_search_with_an_answer(tmp_path):
    folder = make_folder(tmp_path / "run", budget="1.5s")
    SearchRunner(folder, SerialPool(evaluate)).run()
    status = folder.status()
    assert 1.4 <= status["elapsed"] < 3.0
    assert "s are over" in status["reason"] or "too few" in status["reason"]
    assert status["finished"]["members"]
    assert 0 < status["slots_busy"] <= 1
    assert status["networks_per_hour"] > 1000
    assert status["flops_per_second"] > 0


def test_same_journal_gives_history_and_evaluations(uninterrupted):
    history = results.history(uninterrupted)
    assert len(history) == len(results.evaluations(uninterrupted)) == uninterrupted.status()["evaluations"]
    assert {"id", "rung", "origin", "parents", "fitness", "seconds", "failure"} <= set(history)


def test_what_was_chosen_can_be_read(uninterrupted):
    chosen = results.chosen(uninterrupted)
    for one in (chosen, *chosen.members):
        (threshold,) = one.thresholds  # there is one class
        assert 0 < threshold <= 1
    assert all(member.weights for member in chosen.members)
    assert len(chosen.members) >= 4


def test_best_so_far_can_be_read_before_the_end(tmp_path):
    folder = make_folder(tmp_path / "run")
    with pytest.raises(InputError, match="no network evaluated"):
        results.chosen(folder)
    runner = SearchRunner(folder, SerialPool(evaluate))
    runner.events.best_improved.connect(lambda best: runner.stop())
    runner.run()
    chosen = results.chosen(folder)
    assert chosen.members[0].genome.digest.encode() in chosen.members[0].weights
    assert len(chosen.members) >= 4
