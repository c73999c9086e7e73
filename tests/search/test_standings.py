"""What a view shows of a search, read from its journal: leaderboard, curves, rates, log, lineage."""

import time

import numpy as np
import pytest
from made_up import UnreliablePool, make_folder

from napari_menndl.errors import InputError
from napari_menndl.search.facts import AnswerChosen, Born, Telemetry
from napari_menndl.search.results import history
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.views.curves import BIRTHS, CURVES, ELAPSED, FITNESS, Curve
from napari_menndl.search.views.lineage import lineage
from napari_menndl.search.views.messages import diminishing, origins_line
from napari_menndl.search.views.reader import RunReader
from napari_menndl.search.views.totals import Rate, Totals, seconds_left


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("reader") / "run", budget="120networks")
    SearchRunner(folder, UnreliablePool(slots=3)).run()
    return folder


def read(folder, **options):
    reader = RunReader(folder.journal_path, **options)
    assert reader.read()
    return reader


def test_leaderboard_is_that_of_the_status(folder):
    leaders = read(folder).leaders()
    known = folder.status()["leaders"]
    assert [(one.id, one.fitness) for one in leaders[: len(known)]] == [(one["id"], one["fitness"]) for one in known]
    assert len({one.id for one in leaders}) == len(leaders) <= 50


def test_a_short_leaderboard_is_the_top_of_a_long_one(folder):
    assert list(read(folder, places=3).leaders()) == list(read(folder).leaders())[:3]


def test_reading_in_slices_as_the_journal_grows_equals_reading_it_whole(folder, tmp_path):
    whole = read(folder)
    growing = make_folder(tmp_path / "growing")
    reader, data = RunReader(growing.journal_path), folder.journal_path.read_bytes()
    assert reader.read()  # there is no journal yet
    for end in [*range(0, len(data), len(data) // 7), len(data)]:
        growing.journal_path.write_bytes(data[:end])
        while not reader.read(seconds=0):
            pass
    assert reader.leaders() == whole.leaders()
    assert vars(reader.status) == vars(whole.status)
    assert list(reader.log) == list(whole.log)
    for name in CURVES:
        np.testing.assert_array_equal(getattr(reader.curves, name).array(), getattr(whole.curves, name).array())


def test_births_are_found_by_their_place_in_the_journal(folder):
    reader = read(folder)
    born = {fact.id: fact for fact in folder.facts() if isinstance(fact, Born)}
    assert len(born) == 120
    assert all(reader.birth(network) == fact for network, fact in born.items())
    with pytest.raises(InputError, match="network 120"):
        reader.birth(120)


def test_evaluations_of_the_best_are_found_by_their_place_in_the_journal(folder):
    reader = read(folder)
    told = {fact.key: fact.evaluation for fact in folder.facts() if fact.kind == "evaluated"}
    assert reader.leaders()
    for one in reader.leaders():
        assert reader.evaluation(one.id) == told[one.key]
    assert reader.best == reader.leaders()[0]
    with pytest.raises(InputError, match="network 120"):
        reader.evaluation(120)


def test_best_curve_ends_at_the_best_and_time_never_goes_back(folder):
    curves = read(folder).curves
    best = curves.best.array()
    assert best[-1, FITNESS] == folder.status()["best_fitness"]
    assert (best[1:, [BIRTHS, ELAPSED]] >= best[:-1, [BIRTHS, ELAPSED]]).all()
    assert (np.diff(curves.evaluations.array()[:, ELAPSED]) >= 0).all()
    assert curves.births == 120


def test_a_curve_of_very_many_points_stays_small_and_spans_them_all():
    curve = Curve(most=100)
    for number in range(10_000):
        curve.add(number, number / 2, 0.5)
    points = curve.array()
    assert len(points) <= 100
    assert points[0, BIRTHS] == 0
    assert points[-1, BIRTHS] > 9_800


def test_lineage_leads_from_parent_to_parent_back_to_one_without(folder):
    reader = read(folder)
    longest = max((lineage(reader, one.id) for one in reader.leaders()), key=len)
    assert len(longest) > 2
    assert [step.id for step in longest[1:]] == [step.parents[0] for step in longest[:-1]]
    assert longest[-1].parents == ()
    assert longest[-1].gained is None
    assert longest[-1].origin.startswith(("founder", "random"))
    assert not any(step.origin.startswith("mutation: ") for step in longest)


def test_what_a_step_gained_is_the_difference_at_the_highest_common_rung(folder):
    reader = read(folder)
    fitness = {}
    for fact in folder.facts():
        if fact.kind == "evaluated":
            fitness[fact.key.network, fact.key.level] = fact.evaluation.fitness
    for network in range(120):
        step = lineage(reader, network)[0]
        common = [r for r in range(3) if step.parents and {(network, r), (step.parents[0], r)} <= fitness.keys()]
        expected = fitness[network, common[-1]] - fitness[step.parents[0], common[-1]] if common else None
        assert step.gained == expected


def test_log_tells_of_start_best_failures_and_end(folder):
    lines = [text for _, text in read(folder).log]
    assert lines[0].startswith("Search started: 3 slots, budget 120networks")
    assert any(line.startswith("New best: network") for line in lines)
    assert any("predicts the same everywhere" in line for line in lines)
    assert lines[-1].startswith("Finished (120 networks tried)")


def test_outlook_sees_a_finished_search_and_whether_one_runs(folder):
    monitor = folder.monitor()
    snapshot = monitor.snapshot(seconds=60)
    assert (snapshot.state, snapshot.births, snapshot.left) == ("finished", 120, None)
    assert snapshot.version.startswith("answer")
    assert monitor.reader.birth(snapshot.leaders[0].id).candidate.genome.layers
    with folder.lock():
        assert folder.monitor().snapshot(seconds=60).state == "running"


def test_outlook_reads_a_long_journal_in_several_looks(folder):
    monitor, looks = folder.monitor(), 1
    while not monitor.snapshot(seconds=0).whole:
        looks += 1
    assert looks > 100
    assert monitor.snapshot().births == 120


@pytest.mark.parametrize(
    ("budget", "expected"),
    [("10min", 540), ("100networks", 25), ("1min, 100networks", 0), ("fitness 0.9", None), ("plateau 20", None)],
)
def test_time_left_is_that_of_the_first_limit(budget, expected):
    assert seconds_left(budget, elapsed=60, births=50, rate=Rate(births_per_second=2)) == expected


def seconds_to_read(journal, reader):
    journal.flush()
    began = time.perf_counter()
    reader.read()
    return time.perf_counter() - began


def test_twenty_thousand_births_are_followed_without_rereading(folder, tmp_path):
    growing = make_folder(tmp_path / "long")
    births = [line for line in folder.journal_path.read_bytes().splitlines(keepends=True) if b'"kind":"born"' in line]
    reader = RunReader(growing.journal_path)
    with growing.journal_path.open("ab") as journal:
        journal.write(births[0] * 20_000)
        whole = seconds_to_read(journal, reader)
        journal.write(births[1])
        assert seconds_to_read(journal, reader) < whole / 20
    assert reader.status.births == 20_001


def test_what_networks_of_each_origin_reached_is_that_of_the_table(folder):
    totals, rows = read(folder).status, history(folder)
    first = rows["origin"].str.split().str[0]
    kinds = first.map({"founder": "founders", "random": "random"}).fillna("offspring")
    assert set(totals.origins) == {"founders", "offspring", "random"}
    for kind, one in totals.origins.items():
        those = rows[kinds == kind]
        assert (one.networks, one.best) == (those["id"].nunique(), those["fitness"].max())
        assert one.seconds == pytest.approx(those["seconds"].sum())
    assert origins_line(totals.origins).startswith(f"Best by origin: founders {totals.origins['founders'].best:.3f} (")


def test_a_search_says_when_more_time_hardly_pays():
    status = Totals()
    said = []
    for minute, fitness in enumerate([0.6, 0.8, 0.81, 0.811, 0.811, 0.811], start=1):
        nothing = {"slot_seconds": 0.0, "gpu_seconds": 0.0, "median": None, "pool": {"busy_seconds": 0.0}}
        status.take(Telemetry(elapsed=60.0 * minute, slots=2, **nothing))
        status.take(AnswerChosen(fitness=fitness, error=0.02))
        said.append(diminishing(status.elapsed, status.gain, status.answer.error))
    assert said[:4] == ["", "", "", ""]  # in its first minute there is no half time; then it gains 0.2, 0.21, 0.011
    assert said[4] == ""
    assert said[5] == (
        "More time hardly pays: the last 3 min 00 s raised the best score by 0.001; it is known to ± 0.020."
    )
