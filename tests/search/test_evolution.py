from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from made_up import SETTINGS, landscape

from napari_menndl.errors import Failure, InputError
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.genome.space import SearchSpace
from napari_menndl.genome.variation import sample_genome
from napari_menndl.search.asha import Bracket
from napari_menndl.search.candidate import Candidate, Scored
from napari_menndl.search.evolution import Evolution


def evolve(evolution, births, slots=1):
    """Ask and tell until so many are born; returns the candidates in the order in which they were asked for."""
    asked = []
    while True:
        fresh = evolution.ask(slots, births - evolution.births)
        if not fresh:
            return asked
        asked += fresh
        for candidate in fresh:
            evolution.tell(candidate.key, landscape(candidate.genome, candidate.rung))


@pytest.fixture
def evolution():
    return Evolution(SearchSpace(), SETTINGS)


def test_founders_come_first_then_offspring_and_a_few_random_ones(evolution):
    born = [one for one in evolve(evolution, 150) if one.rung.name == "0"]
    origins = [one.origin.partition(":")[0] for one in born]
    founders = [origin for origin in origins if origin.startswith("founder")]
    assert origins[: len(founders)] == founders
    later = origins[len(founders) :]
    assert set(later) == {"mutation", "crossover", "random"}
    assert later.count("random") / len(later) == pytest.approx(0.1, abs=0.06)


def test_with_random_networks_alone_nobody_has_parents():
    evolution = Evolution(SearchSpace(), replace(SETTINGS, random=1.0))
    born = [one for one in evolve(evolution, 40) if one.rung.name == "0"]
    assert not any(one.parents for one in born)
    assert [one.origin for one in born[len(SETTINGS.founders) :]] == ["random"] * (40 - len(SETTINGS.founders))


def test_who_asks_before_there_are_parents_gets_random_ones(evolution):
    asked = evolution.ask(10)
    assert [one.origin for one in asked] == [*(f"founder {name}" for name in SETTINGS.founders), *["random"] * 8]


def test_parents_were_born_before_and_have_a_fitness(evolution):
    asked = evolve(evolution, 40)
    useless = {one.id for one in asked if landscape(one.genome, one.rung).fitness is None}
    for one in asked:
        assert all(parent < one.id and parent not in useless for parent in one.parents)


def test_same_genome_is_never_born_twice(evolution):
    digests = [one.genome.digest for one in evolve(evolution, 60, slots=3) if one.rung.name == "0"]
    assert len(digests) == 60
    assert len(set(digests)) == 60


def test_same_evaluation_is_never_asked_for_twice(evolution):
    keys = [one.key for one in evolve(evolution, 60, slots=3)]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("replacement", ["age", "worst"])
def test_population_is_bounded(replacement):
    evolution = Evolution(SearchSpace(), replace(SETTINGS, replacement=replacement))
    for births in range(5, 40, 5):
        evolve(evolution, births)
        assert len(evolution.population) <= SETTINGS.population


def test_oldest_or_worst_leaves():
    left = {}
    for replacement in ("age", "worst"):
        evolution = Evolution(SearchSpace(), replace(SETTINGS, replacement=replacement, rungs=1))
        fitness = [0.5, 0.1, 0.9, 0.4, 0.6, 0.7, 0.3, 0.8, 0.2]
        for candidate, value in zip(evolution.ask(9), fitness, strict=True):
            left[replacement] = evolution.tell(candidate.key, Evaluation("0", value))
    assert left == {"age": (0,), "worst": (1,)}


def test_same_seed_gives_the_same_search():
    first, second = (evolve(Evolution(SearchSpace(), SETTINGS), 25) for _ in range(2))
    other = evolve(Evolution(SearchSpace(), replace(SETTINGS, seed=1)), 25)
    assert first == second
    assert first != other


def test_evolution_climbs(evolution):
    rng = np.random.default_rng(0)
    drawn = [landscape(sample_genome(evolution.space, rng), evolution.rungs[0]).fitness for _ in range(40)]
    evolve(evolution, 80)
    random = median(fitness for fitness in drawn if fitness is not None)
    assert median(one.fitness for one in evolution.population) > random + 0.05
    assert evolution.best.fitness == max(one.fitness for one in evolution.leaders(3))


def test_failures_are_no_parents(evolution):
    for candidate in evolution.ask(8):
        evolution.tell(candidate.key, Evaluation("0", failure=Failure("diverged", "")))
    assert evolution.population == []
    assert evolution.best is None
    assert {one.origin for one in evolution.ask(3)} == {"random"}


def test_what_was_not_asked_for_changes_nothing(evolution):
    (candidate,) = evolution.ask(1)
    evolution.tell(candidate.key, Evaluation("0", 0.5))
    for key in (candidate.key, "77/0", "final"):
        assert evolution.tell(key, Evaluation("0", 0.9)) == ()
    assert evolution.best.fitness == 0.5
    assert len(evolution.population) == 1


def test_promoted_are_in_the_best_third_of_their_rung(evolution):
    told = {"0": [], "1": [], "2": []}
    for _ in range(90):
        (candidate,) = evolution.ask(1)
        if candidate.rung.name != "0":
            below = str(int(candidate.rung.name) - 1)
            assert candidate.weights_of == f"{candidate.id}/{below}"
            own = dict(told[below])[candidate.id]
            better = sum(fitness > own for _, fitness in told[below][-32:])
            assert better < len(told[below][-32:]) // 3
        evaluation = landscape(candidate.genome, candidate.rung)
        evolution.tell(candidate.key, evaluation)
        if evaluation.fitness is not None:
            told[candidate.rung.name].append((candidate.id, evaluation.fitness))
    assert len(told["0"]) // 3 - 2 <= len(told["1"]) <= len(told["0"]) // 3
    assert len(told["1"]) // 3 - 2 <= len(told["2"]) <= len(told["1"]) // 3


def test_best_is_promoted_first(evolution):
    contest = Bracket(eta=3, window=100)
    genome = evolution.ask(1)[0].genome
    for identity, fitness in enumerate([0.1, 0.9, 0.5, 0.9, 0.2, 0.3]):
        contest.add(Scored(Candidate(identity, genome, SETTINGS.ladder[0]), fitness))
    assert [one.id for one in contest.close(besides=1)] == [1, 3, 2]
    for identity in (1, 3):  # of equals the earlier birth
        assert contest.next().id == identity
        contest.promote(identity)
    assert contest.next() is None


def test_best_counts_with_its_highest_rung(evolution):
    first, second, third = evolution.ask(3)
    for candidate, fitness in ((first, 0.6), (second, 0.5), (third, 0.4)):
        evolution.tell(candidate.key, Evaluation("0", fitness))
    assert evolution.best.key == "0/0"
    (promoted,) = evolution.ask(1)
    assert promoted.key == "0/1"
    evolution.tell(promoted.key, Evaluation("1", 0.45))
    assert evolution.best.key == "1/0"
    assert [one.key for one in evolution.leaders(3)] == ["1/0", "0/1", "2/0"]


def test_weights_wanted_are_those_of_population_and_best(evolution):
    evolve(evolution, 40)
    keys = {one.key for one in evolution.population} | {evolution.best.key}
    assert keys <= evolution.wanted_weights
    assert len(evolution.wanted_weights) <= SETTINGS.population + 20


def test_births_can_be_limited(evolution):
    assert len(evolution.ask(10, births=4)) == 4
    assert evolution.ask(10, births=0) == []


def test_unknown_founder_is_refused():
    with pytest.raises(InputError, match="resnet"):
        Evolution(SearchSpace(), replace(SETTINGS, founders=("resnet",)))


def test_what_would_take_longer_than_the_time_left_is_not_asked_for():
    evolution = Evolution(SearchSpace(), replace(SETTINGS, founders=("unet",), rungs=2, pixels=1000))
    while not [one for one in evolution.population if one.seconds_per_pixel]:
        (candidate,) = evolution.ask(1)
        evolution.tell(candidate.key, Evaluation(candidate.rung.name, 0.5, 0.01, seconds=10.0))
    while (waiting := evolution.ask(1, births=0)) and waiting[0].weights_of is None:
        pass
    born = evolution.births
    assert evolution.ask(3, seconds=5.0) == []
    assert evolution.births == born
    assert len(evolution.ask(1, seconds=15.0)) == 1


def test_a_founder_is_tried_even_where_it_must_be_trained_for_less():
    evolution = Evolution(SearchSpace(), SETTINGS)
    first, *_ = evolution.ask(1, seconds=100.0)
    evolution.tell(first.key, Evaluation("0", 0.5, 0.01, seconds=40.0))
    assert not evolution.ask(1, seconds=9.0)
    (second,) = evolution.ask(2, seconds=20.0)  # there are two founders
    assert second.origin == f"founder {SETTINGS.founders[1]}"


def test_nobody_is_promoted_before_all_founders_were_asked_for():
    evolution = Evolution(SearchSpace(), replace(SETTINGS, founders=("dilated_fcn", "unet", "bank_mlp", "bank_fcn")))
    for name in ("dilated_fcn", "unet", "bank_mlp", "bank_fcn"):
        (candidate,) = evolution.ask(1)
        assert candidate.origin == f"founder {name}"
        evolution.tell(candidate.key, Evaluation("0", 0.5, 0.01))
    assert evolution.ask(1)[0].weights_of is not None


def test_who_gains_nothing_by_more_training_is_not_trained_further():
    evolution = Evolution(SearchSpace(), replace(SETTINGS, founders=("bank_logistic", "dilated_fcn", "unet")))
    for fitness in (0.9, 0.6, 0.5):
        (candidate,) = evolution.ask(1)
        evolution.tell(candidate.key, Evaluation("0", fitness))
    for level, fitness in (("1", 0.55), ("1", 0.5), ("1", 0.45)):
        while (candidate := evolution.ask(1)[0]).rung.name != level:
            assert candidate.id != 0, "a regression has nothing more to learn"
            assert candidate.rung.name == "0", "promoted further although it did worse"
            evolution.tell(candidate.key, Evaluation("0", 0.4))
        evolution.tell(candidate.key, Evaluation(level, fitness))


def test_near_the_end_those_that_are_there_are_trained_further_instead_of_newborn():
    """The best has come to rung 1, three times what a newborn gets of 10 s: with 25 s left none would come as far."""
    evolution = Evolution(SearchSpace(), SETTINGS)
    for fitness in (0.6, 0.8, 0.7):
        (candidate,) = evolution.ask(1)
        evolution.tell(candidate.key, Evaluation("0", fitness, 0.01, seconds=10.0))
    (promoted,) = evolution.ask(1)
    assert promoted.key == "1/1"
    evolution.tell(promoted.key, Evaluation("1", 0.9, 0.01, seconds=20.0))
    assert [one.rung.name for one in evolution.ask(1, seconds=100.0)] == ["0"]
    late = evolution.ask(3, seconds=25.0)
    assert [one.key for one in late] == ["2/1", "0/1", "4/0"], "the best first that still fit; no slot waits"
