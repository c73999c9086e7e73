import json

import numpy as np
import pytest
from made_up import SETTINGS, UnreliablePool, evaluate, labels, make_folder, make_task

from napari_menndl.errors import Failure
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.metrics.detection import MatchRule, fitness, score_class
from napari_menndl.metrics.ranking import decode_probabilities, encode_probabilities
from napari_menndl.pool.serial import SerialPool
from napari_menndl.search import results
from napari_menndl.search.answer import Answer, AnswerKeeper, Entry, Judge, choose, read_oof, thresholds_of
from napari_menndl.search.candidate import Candidate
from napari_menndl.search.facts import AnswerChosen
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.views.messages import describe_fact
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.job import run as train
from tiny import finish, prepare

TASK = make_task()
JUDGE = Judge(TASK, 0)


def candidate(identity, level=0):
    return Candidate(identity, FOUNDERS["unet"](), SETTINGS.ladder[level])


def seen(*defects):
    """Probabilities of a network that sees some of the nine defects, and noise elsewhere."""
    rng = np.random.default_rng(defects)
    found = np.isin(np.arange(9).reshape(1, 1, 3, 3), defects).repeat(16, 2).repeat(16, 3)
    return encode_probabilities(0.8 * labels()[:, None] * found + 0.1 * rng.random((1, 1, 48, 48)))


def entry(identity, codes, level=0):
    found = JUDGE(decode_probabilities(codes))
    return Entry(candidate(identity, level), found.value, thresholds_of(found.scores, TASK.class_names))


def chosen_from(*codes, most=4):
    entries = [entry(i, one) for i, one in enumerate(codes)]
    return choose(entries, {one.key: c for one, c in zip(entries, codes, strict=True)}, JUDGE, most)


def test_codes_are_finer_than_a_percent():
    probabilities = np.linspace(0, 1, 1001)
    assert np.abs(decode_probabilities(encode_probabilities(probabilities)) - probabilities).max() < 0.01
    assert np.array_equal(encode_probabilities(decode_probabilities(np.arange(256, dtype=np.uint8))), np.arange(256))


def test_two_networks_that_see_different_defects_answer_together():
    answer = chosen_from(seen(0, 1, 2, 3, 4), seen(4, 5, 6, 7, 8), seen(0, 1))
    assert {one.candidate.id for one in answer.members} == {0, 1}
    assert answer.fitness.value > 0.95


def two_classes():
    """Two networks, each of which finds all defects of one class and none of the other."""
    both = np.concatenate([labels(), 2 * labels()], axis=2)
    frames = np.random.default_rng(0).normal(size=both.shape).astype(np.float32)
    task = TrainingTask(frames, both, np.ones(both.shape, bool), ("a", "b"), (MatchRule(4.0), MatchRule(4.0)), guard=4)
    rng = np.random.default_rng(1)
    truth = np.stack([both == 1, both == 2], axis=1)
    sees = [np.array(one, bool)[None, :, None, None] for one in ((1, 0), (0, 1))]
    wrong = truth[:, ::-1]
    return Judge(task, 0), [
        encode_probabilities(0.1 * rng.random(truth.shape) + 0.8 * (truth * s + wrong * ~s)) for s in sees
    ]


def test_each_class_is_predicted_by_whoever_knows_it():
    judge, codes = two_classes()
    entries = [
        Entry(candidate(i), judge(decode_probabilities(one)).value, {"a": 0.5, "b": 0.5}) for i, one in enumerate(codes)
    ]
    answer = choose(entries, {one.key: c for one, c in zip(entries, codes, strict=True)}, judge, 4)
    assert {one.key: votes for one, votes in zip(answer.members, answer.votes, strict=True)} == {
        "0/0": {"a"},
        "1/0": {"b"},
    }
    assert answer.value > max(one.fitness for one in entries) + 0.3


def test_a_network_that_adds_nothing_costs_no_time():
    answer = chosen_from(seen(*range(9)), seen(*range(9)), seen(0))
    assert len(answer.members) == 1


def test_there_are_no_more_members_than_wanted():
    parts = [seen(i, (i + 1) % 9, (i + 2) % 9) for i in range(9)]
    assert [len(chosen_from(*parts, most=most).members) for most in (1, 2)] == [1, 2]


@pytest.mark.parametrize("seed", range(10))
def test_the_answer_is_never_worse_than_any_candidate(seed):
    rng = np.random.default_rng(seed)
    codes = [seen(*np.flatnonzero(rng.random(9) < 0.5)) for _ in range(8)]
    keeper = AnswerKeeper(JUDGE, 4, {f"{i}/0": one for i, one in enumerate(codes)}.get)
    reached = 0.0
    for i, one in enumerate(codes):
        keeper.take(entry(i, one))
        keeper.renew()
        best = max(entry(j, other).fitness for j, other in enumerate(codes[: i + 1]))
        assert keeper.answer.fitness.value >= max(best, reached - 1e-9)
        reached = keeper.answer.fitness.value


def test_a_candidate_evaluated_again_counts_as_it_is_now():
    keeper = AnswerKeeper(JUDGE, 1, {"0/0": seen(*range(9)), "0/1": seen(0), "1/0": seen(0, 1, 2)}.get)
    keeper.take(entry(0, seen(*range(9))))
    keeper.take(entry(1, seen(0, 1, 2)))
    keeper.renew()
    assert keeper.answer.keys == ("0/0",)
    keeper.take(entry(0, seen(0), level=1))
    keeper.renew()
    assert keeper.answer.keys == ("1/0",)
    assert {"0/1", "1/0"} <= keeper.wanted_weights


def test_an_answer_survives_its_fact():
    answer = chosen_from(seen(0, 1, 2, 3, 4), seen(4, 5, 6, 7, 8))
    fact = answer.fact(TASK.class_names, TASK.folds, {})
    written = AnswerChosen.from_json(json.loads(json.dumps(fact.to_json())))
    again = Answer.from_fact(written, SETTINGS.ladder)
    assert written == fact
    assert again.keys == answer.keys
    assert again.fitness == answer.fitness


def test_without_its_probabilities_a_candidate_takes_no_part():
    keeper = AnswerKeeper(JUDGE, 4, {"1/0": seen(0, 1)}.get)
    keeper.take(entry(0, seen(*range(9))))
    assert not keeper.renew()
    assert keeper.answer is None
    keeper.take(entry(1, seen(0, 1)))
    assert keeper.renew()
    assert keeper.answer.keys == ("1/0",)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search of real trainings, and the answers that it had."""
    run = prepare(tmp_path_factory.mktemp("answer") / "run", budget="4networks", population=4)
    assert SearchRunner(run.folder, SerialPool(train)).run() == "finished"
    return run, [fact for fact in run.folder.facts() if isinstance(fact, AnswerChosen)]


def test_real_trainings_answer_at_any_moment_and_are_judged_as_they_are_kept(searched):
    """What a search tells of a network is what its kept probabilities say; its answer is the best of all."""
    folder = searched[0].folder
    task, answer = folder.task, folder.status()["answer"]
    inside = np.logical_or.reduce([task.split(0, fold).validate for fold in range(task.folds)])
    for network, evaluation in results.evaluations(folder):
        if evaluation.fitness is not None:
            codes = read_oof(folder.read_weights(f"{network}/0"))
            found = fitness(
                decode_probabilities(codes),
                task.labels,
                inside,
                task.class_names,
                task.match_rules,
                np.random.default_rng(0),
            )
            assert found.value == pytest.approx(evaluation.fitness)
            assert answer["fitness"] >= evaluation.fitness - 1e-9


def test_the_answer_predicts_with_networks_that_have_seen_all_labels(searched):
    """Each goes on from that of its first fold; thresholds and scores stay those that were judged out of fold."""
    run, answers = searched
    task, answer = run.task, run.status()["answer"]
    for one in answer["members"]:
        assert {key for key, _ in one["networks"]} == {one["key"] + "+"}
        assert run.folder.read_weights(one["key"])  # a search that is resumed judges and breeds with these
    same = [one for one in answers if [m.key for m in one.members] == [m["key"] for m in answer["members"]]]
    assert sum(len(one["networks"]) for one in answer["members"]) >= 4  # of few members more networks each
    assert same[0].members[0].networks == tuple((answer["members"][0]["key"], fold) for fold in range(task.folds))
    assert (same[0].thresholds, same[0].fitness) == (answer["thresholds"], answer["fitness"])
    probabilities = run.best.predict_frame(task.frames[0], pixel_size=task.pixel_size)
    found = score_class("", [(probabilities[0], task.labels[0] == 1, task.known[0])], task.match_rules[0])
    assert found.f1 > 0.9


def networks(folder):
    """The rungs that the networks of an answer come from, ``"+"`` behind those trained on all labels."""
    members = folder.status()["answer"]["members"]
    return {key.partition("/")[2] for one in members for key, _ in one["networks"]}


def test_networks_are_trained_on_all_labels_in_the_time_that_is_left(tmp_path):
    """A stop waits for none of it, and the search that goes on makes up for it."""
    folder = make_folder(tmp_path / "run", budget="1h")
    runner = SearchRunner(folder, SerialPool(evaluate))
    runner.events.best_improved.connect(lambda best: runner.stop())
    assert runner.run() == "stopped"
    assert networks(folder) == {"0"}
    folder.change_budget("5networks")
    assert SearchRunner(folder, SerialPool(evaluate)).run() == "finished"
    assert networks(folder) <= {"0+", "1+", "2+"}


def test_where_training_on_all_labels_fails_the_folds_predict(tmp_path):
    def spoil(key):
        return Failure("diverged", "not finite") if key.endswith("+") else None

    folder = make_folder(tmp_path / "run", budget="5networks")
    assert SearchRunner(folder, UnreliablePool(spoil=spoil)).run() == "finished"
    assert networks(folder) <= {"0", "1", "2"}


def test_a_search_that_is_stopped_after_its_first_network_has_an_answer(tmp_path):
    folder = make_folder(tmp_path / "run", budget="1h")
    runner = SearchRunner(folder, SerialPool(evaluate))
    runner.events.best_improved.connect(lambda best: runner.stop())
    assert runner.run() == "stopped"
    assert folder.status()["answer"]["members"]
    assert results.chosen(folder).members


def test_where_no_network_can_be_trained_to_its_end_the_first_ones_answer_and_it_is_said(tmp_path):
    run = finish(prepare(tmp_path / "run", budget="10s", pixels=100_000_000))
    assert run.status()["finished"]["members"]
    assert (run.history["share"] < 1).all()
    told = [line for line in map(describe_fact, run.folder.facts()) if line]
    assert any("there was no time for all" in line for line in told)


def test_whoever_is_clearly_worse_at_a_class_has_no_say_in_it():
    """With two defects labelled, a network that finds them only among many false ones may seem to do no harm."""
    rng = np.random.default_rng(0)
    labels = np.zeros((1, 64, 64), np.uint8)
    labels[0, 8:12, 8:12] = labels[0, 50:54, 50:54] = 1
    labels[0, 20:44:8, 20:44:8] = 2
    task = TrainingTask(
        rng.normal(size=labels.shape).astype(np.float32),
        labels,
        np.ones(labels.shape, bool),
        ("rare", "other"),
        (MatchRule(4.0), MatchRule(4.0)),
        guard=4,
    )
    rare, other = (np.float32(labels == c) for c in (1, 2))
    noise = (rng.random(labels.shape) < 0.01).astype(np.float32)
    good = encode_probabilities(np.stack([0.9 * rare, 0.3 * other], axis=1))
    poor = encode_probabilities(np.stack([0.3 * rare + 0.4 * noise, 0.9 * other], axis=1))
    judge = Judge(task, 0)
    entries = [Entry(candidate(i), judge(decode_probabilities(one)).value, {}) for i, one in enumerate((good, poor))]
    answer = choose(entries, {"0/0": good, "1/0": poor}, judge, 4)
    votes = {one.key: votes for one, votes in zip(answer.members, answer.votes, strict=True)}
    assert "rare" in votes["0/0"]
    assert "rare" not in votes.get("1/0", set())
