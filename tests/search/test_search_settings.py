import dataclasses
import json
import math

import pytest

from napari_menndl.errors import InputError
from napari_menndl.search.goals import Goal, parse_budget
from napari_menndl.search.settings import SearchSettings

BUDGETS = {
    "10min": Goal(seconds=600),
    "90 s": Goal(seconds=90),
    "1.5h": Goal(seconds=5400),
    "2 days": Goal(seconds=172_800),
    "500networks": Goal(networks=500),
    "500 networks": Goal(networks=500),
    "1 network": Goal(networks=1),
    "fitness 0.9": Goal(fitness=0.9),
    "fitness .9": Goal(fitness=0.9),
    "Plateau 200": Goal(plateau=200),
    "10min, fitness 0.9,plateau 200": Goal(seconds=600, fitness=0.9, plateau=200),
}


@pytest.mark.parametrize("budget", BUDGETS)
def test_budget_means(budget):
    assert parse_budget(budget) == BUDGETS[budget]


@pytest.mark.parametrize("budget", ["", "soon", "10", "-5min", "0min", "fitness 2", "1h, 2h", "10min,", "5e3networks"])
def test_bad_budget_is_refused_with_the_accepted_forms(budget):
    with pytest.raises(InputError, match=r"10min.*500networks.*fitness 0.9.*plateau 200"):
        parse_budget(budget)


@pytest.mark.parametrize(
    ("budget", "elapsed", "best", "stale", "ends"),
    [
        ("100s", 99, None, 0, False),
        ("100s", 100, None, 0, True),
        ("fitness 0.9", 1e9, 0.89, 999, False),
        ("fitness 0.9", 0, 0.9, 0, True),
        ("fitness 0.9", 0, None, 0, False),
        ("plateau 20", 0, 0.5, 19, False),
        ("plateau 20", 0, 0.5, 20, True),
        ("100s, fitness 0.9", 0, 0.95, 0, True),
    ],
)
def test_first_limit_reached_ends_the_search(budget, elapsed, best, stale, ends):
    assert bool(parse_budget(budget).reached(elapsed, best, stale)) == ends


def test_births_are_counted_down():
    assert parse_budget("5networks").births_left(3) == 2
    assert parse_budget("5networks").births_left(7) == 0
    assert parse_budget("1h").births_left(7) == math.inf


def test_settings_survive_their_file():
    settings = SearchSettings(budget="3networks", slots=4, founders=(), rungs=2)
    assert SearchSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_what_is_left_out_keeps_its_default():
    assert SearchSettings.from_json({"seed": 3}) == SearchSettings(seed=3)


def test_every_setting_is_described():
    for field in dataclasses.fields(SearchSettings):
        assert field.metadata["title"]
        assert field.metadata["help"], field.name


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"populaton": 3}, "populaton"),
        ({"population": 1}, "population between 2"),
        ({"population": "many"}, "int for population"),
        ({"population": True}, "int for population"),
        ({"crossover": math.nan}, "crossover between 0 and 1"),
        ({"timeout": 0}, r"timeout between 1 and 1e\+06 s"),
        ({"replacement": "best"}, "age, worst"),
        ({"founders": "unet"}, "a list for founders"),
        ({"rungs": 0}, "between 1 and 16"),
        ({"budget": "soon"}, "10min"),
    ],
)
def test_bad_setting_is_refused_by_name(wrong, says):
    with pytest.raises(InputError, match=says):
        SearchSettings.from_json(wrong)


def test_rungs_multiply_the_pixels():
    rungs = SearchSettings(pixels=100, eta=4, rungs=3).ladder
    assert [(rung.name, rung.pixels, rung.folds) for rung in rungs] == [
        ("0", 100, None),
        ("1", 400, None),
        ("2", 1600, None),
    ]


def test_a_single_image_is_trained_on_for_a_shorter_time_unless_it_is_said_for_how_long():
    assert [SearchSettings().fitted(alone).pixels for alone in (False, True)] == [6_000_000, 1_500_000]
    assert SearchSettings().ladder == SearchSettings().fitted(alone=False).ladder
    assert SearchSettings(pixels=100).fitted(alone=True) == SearchSettings(pixels=100)


def test_settings_of_earlier_versions_are_still_read():
    old = {"seed": 3, "rung_folds": [1, 1], "finalists": 5, "final_split": 1, "finish_share": 0.3}
    assert SearchSettings.from_json(old) == SearchSettings(seed=3, rungs=2)
