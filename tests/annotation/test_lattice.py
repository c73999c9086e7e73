"""The kind of the lattice site on which each defect lies, where that can be told."""

import numpy as np
import pytest
from test_columns import CRYSTALS, crystal

from napari_menndl.annotation.lattice import find_lattice, lattice_sites
from napari_menndl.metrics.components import label_components
from napari_menndl.simulation.simulate import simulate_movie

#: True sites of the simulated defects: W columns, the brightest, are of kind 1, S2 columns of kind 2.
SITES = {"Mo substitution": 1, "S vacancy": 2, "S2 vacancy": 2, "W vacancy": 1}


def sites_by_class(simulated, t):
    """The sites told of the true defects of a frame, by class."""
    frame, labels = simulated.movie.frame(t), np.asarray(simulated.labels[t])
    found = {}
    for c, name in enumerate(simulated.class_names, start=1):
        defects = label_components(labels == c, 1)
        found[name] = lattice_sites(frame, defects.centres, defects.areas)
    return found


@pytest.mark.parametrize("snr", [5.0, 1.5])
def test_simulated_defects_lie_on_the_sites_that_they_were_made_on(snr):
    right, wrong, count = 0, 0, 0
    for area, t in ((3, 0), (5, 8)):
        simulated = simulate_movie(frames=t + 1, snr=snr, area_seed=area)
        sites = sites_by_class(simulated, t)
        for name, expected in SITES.items():
            right += np.count_nonzero(sites[name] == expected)
            wrong += np.count_nonzero((sites[name] != expected) & ~np.isnan(sites[name]))
            count += len(sites[name])
        assert np.isnan(sites["hole"]).mean() > 0.8
    assert count > 60
    assert right / count > 0.97
    assert wrong == 0


@pytest.mark.parametrize("name", CRYSTALS)
def test_columns_lie_on_sites_and_nothing_does_between_them(name):
    image, places = crystal(*CRYSTALS[name], distortion=0.5)
    inner = [
        there[(np.abs(there - np.array(image.shape) / 2) < np.array(image.shape) / 2 - 20).all(1)] for there in places
    ]
    kinds = [lattice_sites(image, there) for there in inner]
    assert all(
        len(np.unique(kind)) == 1 or (heights == 0.3).any()
        for kind, heights in zip(kinds, np.array(CRYSTALS[name][1])[:, 2:], strict=True)
    )
    assert not any(np.isnan(kind).any() for kind in kinds)
    assert (kinds[0] == 1).all()


def test_a_site_of_a_frame_without_a_lattice_or_outside_of_it_is_blank():
    image, places = crystal(*CRYSTALS["square, two kinds"])
    image[:, 150:] = 0.15 * np.random.default_rng(1).normal(size=image[:, 150:].shape)
    y, x = places[0].T
    sites = lattice_sites(image, places[0])
    assert (sites[(x > 20) & (x < 130) & (y > 20) & (y < 180)] == 1).all()
    assert np.isnan(sites[x > 195]).all()
    assert np.isnan(lattice_sites(np.random.default_rng(0).normal(size=(96, 96)), [(40, 40)])).all()
    assert np.isnan(lattice_sites(np.zeros((96, 96)), [(40, 40)])).all()
    assert lattice_sites(image, np.empty((0, 2))).shape == (0,)


def test_a_defect_larger_than_the_unit_cell_lies_on_no_one_site():
    image, places = crystal(*CRYSTALS["square, two kinds"])
    cell = abs(np.linalg.det(np.linalg.inv(find_lattice(image))))
    there = places[0][len(places[0]) // 2]
    assert lattice_sites(image, [there, there], [0.5 * cell, 1.5 * cell]).tolist() == pytest.approx(
        [1, np.nan], nan_ok=True
    )


def test_sites_move_with_the_lattice():
    simulated = simulate_movie(frames=1, shape=(220, 200), area_seed=5)
    frame = simulated.movie.frame(0)
    points = label_components(np.isin(simulated.labels[0], (1, 2)), 1).centres
    points = points[(points > 30).all(1) & (points < 170).all(1)]
    assert len(points) > 3
    assert np.array_equal(lattice_sites(frame, points), lattice_sites(frame[7:, 5:], points - (7, 5)))
