"""Which frames a prediction warns of: other pixels, dose, contrast and material, not the movie's own later frames."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import ndimage

from napari_menndl.movie.character import Character
from napari_menndl.predict.range import RangeCheck
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.sample import Sample
from napari_menndl.simulation.simulate import simulate_movie

ACQUISITION = Acquisition()
SIDE = ACQUISITION.pixel_size


@dataclass(frozen=True)
class Network:
    """What the check asks of a network."""

    seen: tuple[Character, ...]
    pixel_size: tuple[float, float] = (SIDE, SIDE)


def simulated(t=0, *, size=192, area=0, sample=None, **changed):
    acquisition = replace(ACQUISITION, **changed)
    movie = simulate_movie(t + 1, (size, size), sample=sample, acquisition=acquisition, area_seed=area, noise_seed=t)
    return movie.movie.frame(t)


def square_lattice(spacing, contrast=1.0):
    """Columns on a square lattice [nm], every other one of another brightness, with Poisson noise."""
    rng = np.random.default_rng(0)
    number = np.stack(np.meshgrid(*[np.arange(-60, 60)] * 2), -1).reshape(-1, 2)
    turn = np.radians(17)
    place = number * spacing / SIDE @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]] + 96
    inside = ((place >= 0) & (place < 191)).all(axis=1)
    frame = np.zeros((192, 192))
    frame[tuple(place[inside].round().astype(int).T)] = np.where(number[inside].sum(axis=1) % 2, 1, contrast)
    frame = ndimage.gaussian_filter(frame, 2)
    return rng.poisson(60 * (frame / frame.max() + 0.05)).astype(np.float32)


@pytest.fixture(scope="module")
def check():
    return RangeCheck(Network((Character.of(simulated()),)))


@pytest.mark.parametrize("t", [1, 8])
def test_later_frames_and_fresh_areas_are_not_warned_of(check, t):
    assert check.departures(simulated(t), (SIDE, SIDE)) == {}
    assert check.departures(simulated(area=t), (SIDE, SIDE)) == {}


@pytest.mark.parametrize("factor", [0.77, 0.9, 1.3])
def test_other_pixels_are_no_departure_where_the_movie_knows_them(check, factor):
    frame = simulated(size=round(192 / factor), pixel_size=SIDE * factor)
    assert check.departures(frame, (SIDE * factor,) * 2) == {}
    assert "lattice" in check.departures(frame, (SIDE, SIDE))  # the file is wrong


DEPARTURES = {
    "pixels half as large": (lambda: simulated(size=384, pixel_size=SIDE / 2), SIDE / 2, {"pixels"}),
    "pixels 1.4 times as large": (lambda: simulated(size=137, pixel_size=1.4 * SIDE), 1.4 * SIDE, {"pixels"}),
    "pixels twice as large": (lambda: simulated(size=96, pixel_size=2 * SIDE), 2 * SIDE, {"pixels"}),
    "a tenth of the dose": (lambda: simulated(dose=ACQUISITION.dose / 10), SIDE, {"noise"}),
    "a tenth of the dose, larger pixels": (
        lambda: simulated(size=150, dose=ACQUISITION.dose / 10, pixel_size=1.3 * SIDE),
        1.3 * SIDE,
        {"noise"},
    ),
    "ten times the dose": (lambda: simulated(dose=ACQUISITION.dose * 10), SIDE, {"noise"}),
    "inverted": (lambda: 255 - simulated(), SIDE, {"contrast"}),
    "a wider lattice": (lambda: simulated(sample=Sample(lattice_constant=0.356)), SIDE, {"lattice"}),
    "a square lattice": (lambda: square_lattice(0.39), SIDE, {"lattice"}),
    "a square lattice of the same planes": (lambda: square_lattice(0.276), SIDE, {"lattice"}),
    "a square lattice of two kinds": (lambda: square_lattice(0.276, 0.4), SIDE, {"lattice"}),
    "no lattice": (lambda: np.random.default_rng(0).normal(9, 1, (192, 192)), SIDE, {"lattice"}),
}


@pytest.mark.parametrize("what", DEPARTURES)
def test_what_the_network_has_not_seen_is_warned_of(check, what):
    make, side, ways = DEPARTURES[what]
    found = check.departures(np.asarray(make(), np.float32), (side, side))
    assert found.keys() >= ways
    if what.startswith(("pixels", "ten", "a tenth", "inverted")):
        assert found.keys() == ways


def test_what_it_is_valid_for_is_said_in_numbers():
    lines = " / ".join(Character.of(simulated()).lines((SIDE, SIDE)))
    for words in ("bright on dark", "0.4 to 5 times the dose", "0.277 nm apart, at 60°"):
        assert words in lines
    assert Character.of(np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)).lines()[-1] == "no lattice"
