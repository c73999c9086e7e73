"""Drift correction, averaging, binning, cutting: steps on record that can be traced back to the file."""

import json
import pickle
import warnings

import dask.array as da
import numpy as np
import pytest
from scipy import ndimage

from napari_menndl.errors import InputError
from napari_menndl.movie.drift import measure_drift
from napari_menndl.movie.movie import Movie, lazy_frames
from napari_menndl.movie.preparation import (
    Average,
    Bin,
    Crop,
    Drift,
    anew,
    describe,
    looks,
    same_frames,
    steps_from_json,
)
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.tracing import trace
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.simulate import simulate_movie

SHIFTS = ((0.0, 0.0), (1.4, -2.0), (3.0, -3.6), (-2.2, 5.0))


def scene(shifts, size=96, noise=0.5):
    """A movie of one random scene that has to be moved by `shifts` to lie on the first frame, and the scene."""
    rng = np.random.default_rng(0)
    wide = rng.normal(100, 10, (size + 80, size + 80))
    views = [wide[40 - y : 40 - y + size, 40 - x : 40 - x + size] for y, x in np.rint(np.negative(shifts)).astype(int)]
    return np.stack([view + noise * rng.normal(size=view.shape) for view in views]).astype(np.float32)


# Frames ---------------------------------------------------------------------------------------------------------------


def test_a_corrected_frame_shows_the_first_one_s_place_and_gaps_where_it_saw_nothing():
    movie = open_movie(scene(SHIFTS, noise=0)).prepared([Drift(SHIFTS)])
    first = movie.frame(0)
    for t, (y, x) in enumerate(np.rint(SHIFTS).astype(int)):
        frame = movie.frame(t, gaps=True)
        seen = ~np.isnan(frame)
        assert seen.sum() == (96 - abs(y)) * (96 - abs(x))
        assert np.array_equal(frame[seen], first[seen])


def test_an_average_is_the_mean_of_its_frames_where_they_have_values():
    frames = np.arange(7 * 4 * 5, dtype=np.float32).reshape(7, 4, 5)
    frames[1, 0, 0] = np.nan
    with pytest.warns(UserWarning, match="last 1 of 7 frames"):
        movie = open_movie(frames, frame_time=0.5).prepared([Average(3)])
    assert movie.shape == (2, 4, 5)
    assert movie.frame_time == 1.5
    np.testing.assert_allclose(movie.frame(0), np.nanmean(frames[:3], axis=0), rtol=1e-6)
    np.testing.assert_allclose(movie.frame(1), frames[3:6].mean(axis=0), rtol=1e-6)


def test_an_average_does_without_frames_that_the_file_lacks():
    frames = da.from_array(np.arange(6 * 4 * 4, dtype=np.uint16).reshape(6, 4, 4), chunks=(1, 4, 4))
    movie = Movie(frames, absent={1: "lost", 4: "lost", 5: "lost"})
    with pytest.warns(UserWarning, match="averages of are missing"):
        averages = movie.prepared([Average(2)])
    assert np.array_equal(averages.frame(0), movie.frame(0))
    assert np.array_equal(averages.frame(1), (movie.frame(2) + movie.frame(3)) / 2)
    with pytest.raises(InputError, match="lost"):
        averages.frame(2)


def test_binning_averages_squares_and_widens_the_pixel():
    frames = np.random.default_rng(0).integers(0, 999, (2, 9, 12)).astype(np.uint16)
    movie = open_movie(frames, pixel_size=0.02).prepared([Bin(3)])
    assert movie.shape == (2, 3, 4)
    assert movie.pixel_size == pytest.approx((0.06, 0.06))
    np.testing.assert_allclose(movie.frame(1)[2, 3], frames[1, 6:9, 9:12].mean(), rtol=1e-6)


def test_a_cut_keeps_the_file_s_own_values_and_type():
    frames = np.arange(2 * 8 * 9, dtype=np.uint16).reshape(2, 8, 9)
    movie = open_movie(frames).prepared([Crop(2, 3, 4, 5)])
    assert movie.frames.dtype == np.uint16
    assert np.array_equal(movie.frames.compute(), frames[:, 2:6, 3:8])


def test_the_common_area_has_no_gap():
    movie = open_movie(scene(SHIFTS)).prepared([Drift(SHIFTS), Average(2), Crop(common=True)])
    assert movie.shape == (2, 96 - 3 - 2, 96 - 5 - 4)
    assert np.isfinite(movie.frames.compute()).all()


@pytest.mark.parametrize(
    ("steps", "word"),
    [
        ([Crop(0, 0, 97, 10)], "rectangle within"),
        ([Crop(0, 0, 0, 10)], "rectangle within"),
        ([Crop(common=True)], "drift correction before"),
        ([Drift(SHIFTS), Bin(2), Crop(common=True)], "drift correction before"),
        ([Drift(((0.0, 90.0), (0.0, 0.0), (0.0, 0.0), (0.0, -90.0))), Crop(common=True)], "area that all frames"),
        ([Average(5)], "at least 5 frames"),
        ([Average(2), Drift(SHIFTS)], "shift of each of the 2"),
    ],
)
@pytest.mark.filterwarnings("ignore:Frames .* drifted out")
def test_a_step_that_is_not_possible_is_refused_by_name(steps, word):
    with pytest.raises(InputError, match=word):
        open_movie(scene(SHIFTS)).prepared(steps)


def test_nothing_is_read_before_it_is_looked_at_and_the_recorded_movie_stays():
    def unread(t):
        raise AssertionError(f"frame {t} was read")

    raw = Movie(lazy_frames(unread, (8, 20, 20), np.uint16), name="film")
    movie = raw.prepared([Crop(0, 0, 10, 10)]).prepared([Average(2), Bin(2)])
    assert movie.raw is raw
    assert movie.name == "film (crop 0,0,10,10, average 2, bin 2)"
    assert movie.steps == (Crop(0, 0, 10, 10), Average(2), Bin(2))
    assert raw.prepared(()) is raw


def test_a_prepared_movie_can_be_pickled():
    movie = open_movie(scene(SHIFTS)).prepared([Drift(SHIFTS), Average(2), Bin(2)])
    assert np.array_equal(pickle.loads(pickle.dumps(movie)).frame(1), movie.frame(1))


def test_a_pixel_size_given_to_a_prepared_movie_is_that_of_its_file():
    movie = open_movie(open_movie(scene(SHIFTS)).prepared([Bin(2)]), pixel_size=0.02)
    assert movie.pixel_size == (0.04, 0.04)
    assert movie.raw.pixel_size == (0.02, 0.02)


# On record ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [Drift(SHIFTS), Drift(), Average(4), Bin(2), Crop(1, 2, 3, 4), Crop(common=True)])
def test_a_step_survives_json(step):
    assert steps_from_json(json.loads(json.dumps([step.to_json()]))) == (step,)


@pytest.mark.parametrize(
    "data",
    [
        5,
        "crop",
        {},
        [{"step": []}],
        [{"step": "blur"}],
        ["crop"],
        [{"step": "crop", "above": 3}],
        [{"step": "average", "frames": "many"}],
    ],
)
def test_an_unknown_step_is_refused(data):
    with pytest.raises(InputError):
        steps_from_json(data)


def test_shifts_of_another_number_of_frames_are_refused():
    data = [Average(2).to_json(), Drift(SHIFTS).to_json()]
    assert steps_from_json(data, frames=8) == (Average(2), Drift(SHIFTS))
    with pytest.raises(InputError, match="shifts of 5 frames"):
        steps_from_json(data, frames=10)


def test_steps_in_words_and_what_is_repeated_on_another_movie():
    steps = open_movie(scene(SHIFTS)).prepared([Drift(SHIFTS), Crop(common=True), Average(2)]).steps
    assert describe(steps) == (
        "drift corrected (by up to 3.0 px along y, 5.0 px along x), "
        "cut to the common area, 91 × 87 px from (y 3, x 5), averages of 2 frames"
    )
    assert anew(steps) == (Drift(), Crop(common=True), Average(2))
    assert looks(steps) == (Average(2),)
    assert same_frames(steps, (Drift(tuple((y + 0.01, x) for y, x in SHIFTS)), *steps[1:]))
    assert not same_frames(steps, steps[:2])


def test_what_is_found_in_a_prepared_frame_is_traced_to_the_file_and_to_the_sample():
    """A point at (50, 60) of the first frame, looked for in every average."""
    steps = (Drift(SHIFTS), Crop(10, 20, 80, 70), Average(2), Bin(2))
    for t, frames in enumerate(((0, 1), (2, 3))):
        rest = np.mean([np.subtract(SHIFTS[k], np.rint(SHIFTS[k])) for k in frames], axis=0)
        shown = (np.array([50.0, 60.0]) - rest - (10, 20) - 0.5) / 2
        origin = trace(steps, t, [shown])
        assert origin.frame == frames[0]
        np.testing.assert_allclose(origin.in_sample, [(50, 60)])
        np.testing.assert_allclose(origin.in_file, [np.array([50, 60]) - rest - np.rint(SHIFTS[frames[0]])])


# Drift ----------------------------------------------------------------------------------------------------------------


def test_drift_is_found_with_the_lattice_in_the_way():
    """A drift of several lattice steps; the truth is where unmoved defects are seen."""
    simulated = simulate_movie(8, (192, 192), snr=3.0, area_seed=3, acquisition=Acquisition(drift=0.05))
    events = simulated.events
    still = events[~events["defect"].isin(events.loc[~events["event"].isin(["present", "born"]), "defect"])]
    places = still.pivot(index="defect", columns="frame", values=["y", "x"]).dropna()
    true = np.stack([(places[axis][0].to_numpy()[:, None] - places[axis]).mean().to_numpy() for axis in "yx"], axis=1)
    told = []
    found = measure_drift(simulated.movie, lambda done, total: told.append((done, total)))
    assert np.abs(true[-1]).max() > 7
    assert np.sqrt(((found - true) ** 2).mean()) < 0.35
    assert told == [(t, 8) for t in range(1, 9)]


def test_fractions_of_a_pixel_do_not_add_up():
    """A wide scene of blurred dots, sampled with a drift of 0.3 px per frame for 30 frames."""
    rng = np.random.default_rng(1)
    wide = ndimage.gaussian_filter(rng.normal(size=(130, 130)), 1.5) * 20
    true = np.stack([0.3 * np.arange(30), -0.21 * np.arange(30)], axis=1)
    frames = [ndimage.shift(wide, -s, order=3)[17:113, 17:113] + rng.normal(size=(96, 96)) for s in true]
    found = measure_drift(open_movie(np.stack(frames).astype(np.float32)))
    assert np.abs(found - true).max() < 0.25


def test_a_frame_that_shows_nothing_takes_the_shift_between_its_neighbours_and_is_named():
    shifts = [(0, 0), (2, -1), (4, -2), (6, -3), (8, -4)]
    frames = scene(shifts)
    frames[2] = np.random.default_rng(5).normal(100, 10, frames[2].shape)
    with pytest.warns(UserWarning, match="drift of frame 2 .* could not be measured"):
        found = measure_drift(open_movie(frames))
    np.testing.assert_allclose(found, shifts, atol=0.1)


@pytest.mark.parametrize("brightness", [50, 200, 800])
def test_a_single_atom_that_hops_is_no_drift(brightness):
    """It is all that one frame has in common with the next; the sample has not moved."""
    rng = np.random.default_rng(0)
    frames = rng.normal(100, 10, (5, 96, 96)).astype(np.float32)
    for t, y in enumerate((40, 50, 45, 60, 52)):
        frames[t, y : y + 5, 40:45] += brightness
    with pytest.raises(InputError, match="only one thing moves"):
        measure_drift(open_movie(frames))


def test_a_measurement_can_be_cancelled():
    with pytest.raises(InputError, match="before frame 0: it was stopped"):
        open_movie(scene(SHIFTS)).prepared([Drift()], cancel=lambda: True)


def test_frames_that_drifted_out_of_the_first_one_s_place_are_named():
    with pytest.warns(UserWarning, match="Frame 1 .* more than half"):
        open_movie(scene([(0, 0), (0, 0)])).prepared([Drift(((0.0, 0.0), (50.0, 3.0)))])


def test_measured_shifts_are_kept_and_frames_are_read_once_for_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        movie = open_movie(scene(SHIFTS)).prepared([Drift()])
    (drift,) = movie.steps
    np.testing.assert_allclose(drift.shifts, np.rint(SHIFTS), atol=0.2)
    assert np.array_equal(drift.moves, np.rint(SHIFTS))
