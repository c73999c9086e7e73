import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import SETTINGS, labels, make_task

from napari_menndl.errors import Failure
from napari_menndl.genome.evaluation import Evaluation, Rung
from napari_menndl.genome.genes import Conv
from napari_menndl.genome.genome import Genome
from napari_menndl.search.candidate import Candidate, Scored
from napari_menndl.search.choosing import MINIMAL_GAIN, Judge, choose
from napari_menndl.search.finalists import Finalists, allot

GENOMES = [Genome((Conv(filters=4 + i),)) for i in range(10)]
TRUTH = labels()[:, None].astype(np.float16)


def best(count, seconds_per_pixel):
    rung = SETTINGS.rungs[-1]
    return [Scored(Candidate(i, GENOMES[i], rung), 1 - i / 10, seconds_per_pixel) for i in range(count)]


@pytest.fixture(scope="module")
def judge():
    return Judge(make_task(), split=1, seed=0)


def test_all_finalists_enter_where_time_does_not_matter():
    entrants, note = allot(best(10, 1.0), SETTINGS, folds=4, seconds=math.inf, slots=2)
    assert [one.id for one in entrants] == list(range(10))
    assert {one.rung for one in entrants} == {Rung("final", 9000, (0, 1, 2, 3), 1)}
    assert note == "10 of 10 finalists on 4 new folds, 9000 px each"


@given(seconds=st.floats(0, 1e6), count=st.integers(1, 10), cost=st.floats(1e-6, 1e-2), slots=st.integers(1, 8))
def test_finalists_fit_into_the_time_that_is_left(seconds, count, cost, slots):
    """9000, 3000 or 1000 px in each of 4 folds, and once more in the end; one enters whatever it costs."""
    entrants, _ = allot(best(count, cost), SETTINGS, folds=4, seconds=seconds, slots=slots)
    pixels = entrants[0].rung.pixels

    def takes(number, pixels):
        return (math.ceil(4 * number / slots) + 1) * pixels * cost

    assert 1 <= len(entrants) <= count
    assert len(entrants) == 1 or takes(len(entrants), pixels) <= seconds * (1 + 1e-9)
    if pixels < 9000:
        assert takes(1, 3 * pixels) > seconds * (1 - 1e-9)


def test_one_too_costly_for_the_time_left_is_passed_over():
    runners = best(3, 1e-3)
    runners[1] = Scored(runners[1].candidate, runners[1].fitness, 1.0)
    entrants, note = allot(runners, SETTINGS, folds=4, seconds=60.0, slots=2)
    assert [one.id for one in entrants] == [0, 2]
    assert note == "2 of 3 finalists on 4 new folds, 9000 px each: 60 s are left"


def test_better_one_alone_is_not_diluted(judge):
    choice = choose({0: 0 * TRUTH + 0.3, 1: TRUTH}, judge)
    assert choice.members == (1,)
    assert choice.fitness.value == 1.0


def test_ensemble_where_it_validates_better(judge):
    """One sees the left two columns of defects, the other the right two; each sees ghosts the other does not."""
    ghosts = np.roll(TRUTH, 8, axis=2)
    left, right = TRUTH.copy(), TRUTH.copy()
    left[..., 32:] = ghosts[..., 32:]
    right[..., :16] = ghosts[..., :16]
    choice = choose({3: left, 5: right}, judge)
    assert set(choice.members) == {3, 5}
    assert choice.fitness.value >= max(one.value for one in choice.alone.values()) + MINIMAL_GAIN


def finals(judge, oof, results=None):
    """Two folds, of which the first validates everything."""
    rung = Rung("final", 9000, (0, 1), 1)
    entrants = [Candidate(i, GENOMES[i], rung, (), "finalist") for i in range(len(oof))]
    return Finalists(entrants, judge, lambda key: oof[int(key[0])] * (key.endswith("0")), results or {})


def run(finalists, evaluation=lambda key: Evaluation("final", 0.5)):
    asked = []
    while not finalists.done:
        for candidate in finalists.ask(2):
            asked.append(candidate.key)
            finalists.tell(candidate.key, evaluation(candidate.key))
    return asked


def test_chosen_are_trained_on_everything(judge):
    finalists = finals(judge, [0 * TRUTH, TRUTH])
    assert run(finalists) == ["0/final0", "0/final1", "1/final0", "1/final1", "1/whole"]
    (member,) = finalists.members
    assert member.rung == Rung("whole", 9000, (), 0)
    conclusion = finalists.conclusion()
    assert [one["key"] for one in conclusion["members"]] == ["1/whole"]
    assert 0 < conclusion["thresholds"]["vacancy"] <= 1
    assert conclusion["fitness"] == 1.0


def test_the_networks_of_the_folds_predict_too_and_alone_where_the_whole_one_failed(judge):
    """They are what the thresholds were chosen on."""
    folds = [("0/final0", 0), ("0/final1", 1)]
    finalists = finals(judge, [TRUTH])
    run(finalists)
    assert finalists.conclusion()["members"][0]["networks"] == [*folds, ("0/whole", "whole")]
    finalists = finals(judge, [TRUTH])
    failing = replace(Evaluation("whole"), failure=Failure("diverged", ""))
    run(finalists, lambda key: failing if key == "0/whole" else Evaluation("final", 0.5))
    assert finalists.conclusion()["members"][0]["networks"] == folds


def test_no_members_where_all_fail(judge):
    finalists = finals(judge, [TRUTH, TRUTH])
    run(finalists, lambda key: Evaluation("final", failure=Failure("timeout", "")))
    assert finalists.conclusion()["members"] == []


def test_a_fold_that_fails_has_found_nothing(judge):
    finalists = finals(judge, [TRUTH])
    run(finalists, lambda key: Evaluation("final", failure=Failure("diverged", "") if key.endswith("1") else None))
    (member,) = finalists.conclusion()["members"]
    assert member["networks"] == [("0/final0", 0), ("0/whole", "whole")]


def test_what_is_evaluated_already_is_not_asked_for(judge):
    results = {f"{one}/final{fold}": Evaluation(f"final{fold}", 0.5) for one in (0, 1) for fold in (0, 1)}
    assert run(finals(judge, [0 * TRUTH, TRUTH], results)) == ["1/whole"]
    results["1/whole"] = Evaluation("whole")
    assert finals(judge, [0 * TRUTH, TRUTH], results).done


def test_when_time_is_over_those_evaluated_are_judged(judge):
    finalists = finals(judge, [TRUTH, TRUTH, TRUTH])
    finalists.hurry()
    for fold in finalists.ask(2):
        finalists.hurry()
        finalists.tell(fold.key, Evaluation("final", 0.5))
    finalists.hurry()
    assert [one.key for one in finalists.ask(5)] == ["0/whole"]
