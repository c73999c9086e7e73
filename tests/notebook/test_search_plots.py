"""Figures of a search's networks show what its journal says of them."""

import pytest

from napari_menndl import InputError
from napari_menndl.genome import FOUNDERS
from napari_menndl.genome.gene_table import gene_row
from napari_menndl.notebook import plot_genes, plot_lineage, plot_pareto, plot_population
from napari_menndl.search.views.networks import network_table, pareto_front, population_through_time


@pytest.fixture
def bred(run, diary):
    """Three founders, of which one has a child; one network has left the population."""
    rung = run.settings.ladder[0].to_json()
    born = {"id": 3, "rung": rung, "parents": [0], "origin": "mutation: layer 1: filters 16 → 24", "weights_of": None}
    diary.write("born", 9011.0, **born, genome=FOUNDERS["coarse_fcn"]().to_json())
    diary.evaluated(9012.0, "3/0", 0.45)
    diary.write("retired", 9013.0, ids=[1])
    return run


def lines_of(axis):
    return sorted((*line[0], line[1][0]) for drawn in axis.collections for line in segments(drawn))


def segments(drawn):
    return drawn.get_segments() if hasattr(drawn, "get_segments") else []


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_the_population_is_who_was_judged_and_has_not_left(bred):
    (axis,) = plot_population(bred).axes
    # Network 0 twice: at its fitness of either rung. From which birth, fitness, until which birth.
    assert lines_of(axis) == [(3, 0.2, 4), (3, 0.3, 3), (3, 0.6, 4), (4, 0.45, 4)]
    members = population_through_time(bred.folder.facts(), bred.folder.space)
    assert {one.id: one.origin for one in members} == {0: "founder", 1: "founder", 3: "mutation"}


def test_a_network_that_was_never_judged_is_in_no_population_and_in_no_table(bred):
    assert 2 not in {one.id for one in population_through_time(bred.folder.facts(), bred.folder.space)}
    assert list(network_table(bred.folder.facts())["id"]) == [0, 1, 3]


def test_a_network_stands_in_the_table_with_its_highest_rung_and_its_first_fitness(bred):
    row = network_table(bred.folder.facts()).set_index("id").loc[0]
    assert (row["rung"], row["fitness"], row["newborn"]) == (1, 0.6, 0.3)


@pytest.mark.parametrize(
    ("cost", "fitness", "front"),
    [
        ([1, 2, 3], [0.1, 0.2, 0.3], [0, 1, 2]),
        ([3, 2, 1], [0.1, 0.2, 0.3], [2]),
        ([1, 1, 2], [0.1, 0.3, 0.3], [1]),
        ([], [], []),
    ],
)
def test_no_other_is_better_and_cheaper_than_one_of_the_front(cost, fitness, front):
    assert pareto_front(cost, fitness) == front


def test_the_front_of_equally_fast_networks_is_the_best_of_them(bred):
    assert texts(plot_pareto(bred)) == ["#0"]
    assert "ms per megapixel" in plot_pareto(bred).axes[0].get_xlabel()
    assert plot_pareto(bred, "parameters").axes[0].get_xlabel() == "trained parameters"


def test_a_lineage_says_what_each_birth_changed_and_gained_at_the_same_rung(bred):
    words = texts(plot_lineage(bred, 3))
    assert words[:6] == ["#0", "", "founder dilated_fcn", "#3", "+0.150", "layer 1: filters 16 → 24"]


def test_the_lineage_without_a_number_is_that_of_the_best(bred):
    assert texts(plot_lineage(bred))[0] == "#0"


def test_genes_are_drawn_against_the_fitness_of_newborns(bred):
    figure = plot_genes(bred, ["Learning rate", "Inputs"])
    assert [axis.get_xlabel() for axis in figure.axes] == ["Learning rate", "Inputs"]
    dots = [y for axis in figure.axes[:1] for drawn in axis.collections for _, y in drawn.get_offsets().tolist()]
    assert sorted(dots) == [0.2, 0.3, 0.45]


def test_of_all_genes_those_are_drawn_in_which_networks_differ(bred):
    drawn = {axis.get_xlabel() for axis in plot_genes(bred).axes}
    rows = [gene_row(FOUNDERS[name]()) for name in ("dilated_fcn", "unet", "coarse_fcn")]
    assert drawn
    assert all(len({row[gene] for row in rows}) > 1 for gene in drawn if gene)


@pytest.mark.parametrize("founder", FOUNDERS)
def test_every_genome_has_the_same_genes_in_its_row(founder):
    assert gene_row(FOUNDERS[founder]()).keys() == gene_row(FOUNDERS["unet"]()).keys()


@pytest.mark.parametrize("plot", [plot_pareto, plot_genes, plot_lineage])
def test_a_search_without_a_result_has_nothing_to_draw(run, plot):
    with pytest.raises(InputError, match="Let it run longer"):
        plot(run)


def test_a_search_without_a_result_has_an_empty_population(run):
    assert len(plot_population(run).axes) == 1


@pytest.mark.parametrize(
    ("plot", "wrong"), [(plot_pareto, "price"), (plot_genes, ["Luck"]), (plot_lineage, 17)], ids=["cost", "gene", "id"]
)
def test_a_name_that_does_not_exist_is_refused(bred, plot, wrong):
    with pytest.raises(InputError):
        plot(bred, wrong)
