"""Frames a network was not trained for are noticed; those of the same movie, and of the same kind, are not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from napari_menndl.movie.character import Character
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.simulation.snr import acquisition_for_snr


def frame(t=0, snr=5.0, area_seed=0):
    simulated = simulate_movie(t + 1, (192, 192), snr=snr, area_seed=area_seed, noise_seed=t)
    return simulated.movie.frame(t)


@pytest.fixture(scope="module", params=[3.0, 5.0])
def trained_on(request):
    return Character.of(frame(snr=request.param)), request.param


def ways(trained, shown):
    return set(trained.departures(Character.of(np.asarray(shown, np.float32))))


@pytest.mark.parametrize("t", [0, 6, 12])
def test_later_frames_and_fresh_areas_are_of_the_same_kind(trained_on, t):
    trained, snr = trained_on
    assert ways(trained, frame(t, snr)) == set()
    assert ways(trained, frame(0, snr, area_seed=t + 1)) == set()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: 3 * f + 1000, id="gain and offset"),
        pytest.param(lambda f: f[::-1], id="mirrored"),
        pytest.param(lambda f: f.T, id="transposed"),
        pytest.param(lambda f: f[:160, :170], id="cropped"),
        pytest.param(lambda f: np.where(np.arange(192) < 12, np.nan, f), id="a border without values"),
    ],
)
def test_what_no_network_minds_is_no_departure(trained_on, change):
    trained, snr = trained_on
    assert ways(trained, change(frame(2, snr))) == set()


@pytest.mark.parametrize(
    ("change", "way"),
    [
        pytest.param(lambda f: -f, "contrast", id="negative"),
        pytest.param(lambda f: 255 * (1 - (f - f.min()) / np.ptp(f)), "contrast", id="inverted, 8 bits"),
        pytest.param(lambda f: ndimage.zoom(f[:96, :96], 2, order=1), "lattice", id="twice as large"),
        pytest.param(lambda f: ndimage.zoom(f[:128, :128], 1.5, order=1), "lattice", id="half as large again"),
        pytest.param(lambda f: f[::2, ::2], "lattice", id="every other pixel"),
        pytest.param(lambda f: f + 2 * np.std(f) * np.random.default_rng(0).normal(size=f.shape), "noise", id="noise"),
    ],
)
def test_a_departure_is_found(trained_on, change, way):
    trained, snr = trained_on
    assert way in ways(trained, change(frame(3, snr)))


def test_a_quarter_of_the_dose_is_noticed():
    assert ways(Character.of(frame(snr=5)), frame(snr=2.5)) == {"noise"}
    assert ways(Character.of(frame(snr=5)), frame(snr=10)) == set()
    assert acquisition_for_snr(2.5).dose < acquisition_for_snr(5).dose / 3


def test_noise_alone_says_nothing_of_a_lattice_and_has_no_sign():
    rng = np.random.default_rng(0)
    noise = Character.of(rng.normal(100, 10, (128, 128)).astype(np.float32))
    assert noise.spots == ()
    assert noise.departures(Character.of(-rng.normal(100, 10, (128, 128)).astype(np.float32))) == {}


@pytest.mark.parametrize("shown", [np.ones((64, 64)), np.full((64, 64), np.nan), np.eye(20, 200)])
def test_a_frame_that_says_nothing_has_no_character(shown):
    assert Character.of(shown.astype(np.float32)) is None


def test_it_is_kept_as_json_and_nothing_else_is_read():
    one = Character.of(frame())
    assert Character.from_json(one.to_json()) == one
    for damaged in ({}, {**one.to_json(), "spots": [0]}, {**one.to_json(), "skewness": []}):
        with pytest.raises((KeyError, ValueError)):
            Character.from_json(damaged)
    assert Character.from_json({k: v for k, v in one.to_json().items() if k != "angles"}).departures(one) == {}


@pytest.mark.parametrize("edge", [48, 64, 80, 128])
def test_a_frame_of_few_lattice_planes_is_not_told_to_have_another_lattice(trained_on, edge):
    trained, snr = trained_on
    shown = frame(3, snr)
    for y, x in ((0, 0), (60, 20), (100, 60)):
        cut = Character.of(shown[y : y + edge, x : x + edge])
        assert "lattice" not in trained.departures(cut)
        assert "lattice" not in cut.departures(trained)


def test_another_lattice_is_noticed_where_enough_planes_are_seen(trained_on):
    trained, snr = trained_on
    shown = frame(3, snr)
    assert "lattice" in ways(trained, ndimage.zoom(shown[:96, :96], 1 / 1.4, order=1))
    assert "lattice" in ways(trained, ndimage.zoom(shown[:120, :120], 1.3, order=1))


def test_spots_nearer_than_a_small_spectrum_tells_apart_are_the_same():
    one, near, far = (Character((0.0, 1.0, 2.0, 1.0, 0.0), 0.2, (spot,), (), 64) for spot in (0.171, 0.154, 0.14))
    assert one.departures(near) == {} == near.departures(one)
    assert "lattice" in one.departures(far)
    assert "lattice" in replace(one, size=256).departures(replace(near, size=256))
