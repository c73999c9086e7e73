"""Neighbouring frames lie on a frame, so that their average shows the same with less noise."""

import dask.array as da
import numpy as np
import pytest

from napari_menndl.movie.movie import Movie
from napari_menndl.movie.neighbours import OFFSETS, average, find_shift, read_frame, with_neighbours
from napari_menndl.movie.reading import open_movie
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.simulate import simulate_movie


def scene(shifts, noise=1.0, size=128):
    """A movie of one random scene, seen from elsewhere in each frame and with noise of its own."""
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(size + 80, size + 80))
    views = [wide[40 + y : 40 + y + size, 40 + x : 40 + x + size] for y, x in shifts]
    return np.stack([view + noise * rng.normal(size=view.shape) for view in views]).astype(np.float32)


@pytest.mark.parametrize("shift", [(0, 0), (3, -2), (-25, 17)])
def test_a_shift_is_found_and_its_inverse(shift):
    one, other = scene([(0, 0), shift])
    assert find_shift(one, other) == shift
    assert find_shift(other, one) == (-shift[0], -shift[1])


def test_a_frame_that_has_changed_is_registered_anew():
    frames = scene([(0, 0), (3, -2)])
    assert find_shift(*frames) == (3, -2)
    frames[1] = scene([(0, 0), (5, 1)])[1]
    assert find_shift(*frames) == (5, 1)


def test_frames_of_different_scenes_have_nothing_in_common():
    rng = np.random.default_rng(0)
    assert find_shift(*rng.normal(size=(2, 128, 128)).astype(np.float32)) is None
    assert find_shift(np.ones((64, 64), np.float32), np.ones((64, 64), np.float32)) is None


def test_a_lattice_is_not_taken_for_itself_one_step_further():
    """At this drift the nearest place where the lattices match is another one."""
    drifting = simulate_movie(3, (192, 192), snr=5.0, area_seed=3, acquisition=Acquisition(drift=0.1))
    first, _, last = (np.asarray(labels) > 0 for labels in drifting.labels)
    y, x = find_shift(drifting.movie.frame(0), drifting.movie.frame(2))
    assert np.hypot(y, x) > 5
    moved = np.roll(last, (y, x), (0, 1))[20:-20, 20:-20]
    assert (moved & first[20:-20, 20:-20]).sum() > 0.7 * moved.sum()


def test_an_average_has_the_frame_s_defects_and_less_noise():
    shifts = [(0, 0), (1, 2), (2, 4), (3, 6), (4, 8)]
    movie, clean = open_movie(scene(shifts)), scene(shifts, noise=0.0)
    planes = with_neighbours(movie, 2)
    assert planes.shape == (5, 128, 128)
    assert np.array_equal(planes[0], movie.frame(2))
    spread = [np.std((average(planes, reach) - clean[2])[10:-10, 10:-10]) for reach in (0, 1, 2)]
    np.testing.assert_allclose(spread, 1 / np.sqrt([1, 3, 5]), rtol=0.03)


def test_at_the_ends_of_a_movie_frames_farther_away_stand_in():
    """The first frame and the last are averaged with as many frames as any other."""
    shifts = [(n, 2 * n) for n in range(6)]
    movie, clean = open_movie(scene(shifts)), scene(shifts, noise=0.0)
    for t in (0, 1, 5):
        planes = with_neighbours(movie, t)
        spread = [np.std((average(planes, reach) - clean[t])[12:-12, 12:-12]) for reach in (0, 1, 2)]
        np.testing.assert_allclose(spread, 1 / np.sqrt([1, 3, 5]), rtol=0.05)


def test_in_a_short_movie_frames_are_repeated_as_evenly_as_possible():
    movie = open_movie(scene([(0, 0), (0, 1), (0, 2)]))
    planes = with_neighbours(movie, 1)
    times = sorted(sum(np.array_equal(one, other) for other in planes) for one in planes)
    assert times == [1, 2, 2, 2, 2]
    assert len({one.tobytes() for one in planes[[0, 1 + OFFSETS.index(-1), 1 + OFFSETS.index(1)]]}) == 3


def test_without_neighbours_the_frame_stands_in():
    for movie in (open_movie(scene([(0, 0)])), open_movie(np.random.default_rng(0).normal(size=(3, 64, 64)))):
        planes = with_neighbours(movie, 0)
        assert (planes == planes[0]).all()


def test_a_neighbour_that_cannot_be_read_is_told_and_left_out():
    frames = scene([(0, 0), (0, 1), (0, 2)])
    frames[1] = np.nan
    movie = Movie(da.from_array(frames, chunks=(1, 128, 128)))
    with pytest.warns(UserWarning, match="Frame 0 is shown without its neighbour 1.*NaN"):
        planes = with_neighbours(movie, 0)
    distinct = {one.tobytes() for one in planes}
    assert len(distinct) == 2  # the frame, and the one after next


def test_gaps_of_a_neighbour_show_the_frame_and_those_of_the_frame_stay_gaps():
    frames = scene([(0, 0), (0, 1), (0, 2)])
    frames[0, :, :3] = frames[1, 5, 50] = np.nan
    planes = with_neighbours(open_movie(frames), 0)
    assert np.array_equal(np.isnan(planes[0]), np.isnan(frames[0]))
    beside = planes[1 + OFFSETS.index(-1)]  # the nearest: frame 1
    assert beside[5, 51] == frames[0, 5, 51]
    assert beside[5, 60] == frames[1, 5, 59]


def test_a_network_without_a_reach_is_shown_the_frame_alone():
    movie = open_movie(scene([(0, 0), (0, 1)]))
    assert np.array_equal(read_frame(movie, 1, 0), movie.frame(1))
    assert np.array_equal(read_frame(movie, -1, 1), with_neighbours(movie, 1))
