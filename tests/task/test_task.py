"""A training task keeps teaching and judging apart, and cannot be changed unnoticed."""

from dataclasses import replace

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import DefectClass
from napari_menndl.errors import InputError
from napari_menndl.movie.movie import Movie
from napari_menndl.movie.neighbours import with_neighbours
from napari_menndl.movie.reading import open_movie
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.task.task import TrainingTask

SEEDS = st.integers(0, 10_000)


def labelled(seed: int = 0, shape: tuple[int, int] = (96, 112), number: int = 24) -> np.ndarray:
    """Two frames with square defects of two classes."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((2, *shape), np.uint8)
    for n in range(2):
        for k in range(number):
            y, x = (int(rng.integers(2, edge - 2)) for edge in shape)
            labels[n, y - 1 : y + 2, x - 1 : x + 2] = 1 + k % 2
    return labels


def movie_of(shape: tuple[int, int] = (96, 112), frames: int = 3, **options) -> Movie:
    return open_movie(np.random.default_rng(0).normal(100, 10, (frames, *shape)).astype(np.float32), **options)


def task_of(labels: np.ndarray, region: tuple[int, int, int, int] | None = None) -> TrainingTask:
    annotation = Annotation.from_labels(labels, [DefectClass("a", tolerance=3.0), DefectClass("b", tolerance=5.0)])
    if region:
        annotation.set_regions(0, [region])
    return TrainingTask.from_movie(movie_of(labels.shape[1:]), annotation, frames=range(len(labels)))


TASK = task_of(labelled())


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(0, 4), st.booleans())
def test_no_pixel_is_in_two_splits_and_each_known_one_is_judged_once(seed, split, sparse):
    task = task_of(labelled(seed), (10, 20, 86, 100) if sparse else None)
    judged = np.zeros(task.known.shape, int)
    for fold in range(task.folds):
        part = task.split(split, fold)
        assert not (part.train & part.validate).any()
        assert part.validate.any()
        judged += part.validate
    assert np.array_equal(judged, task.known.astype(int))


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(0, 4), st.integers(0, 3), st.integers(16, 96))
def test_no_training_tile_comes_nearer_to_a_validation_block_than_the_guard_band(seed, split, fold, size):
    task = task_of(labelled(seed))
    part = task.split(split, fold)
    tiles = task.tiles(part, size, np.random.default_rng(seed))
    block = np.argwhere(task.fold_map(split) == fold)
    (y0, x0), (y1, x1) = block.min(axis=0), block.max(axis=0)
    for _, y, x in tiles.origins:
        down = max(y0 - (y + tiles.size - 1), y - y1)
        across = max(x0 - (x + tiles.size - 1), x - x1)
        assert max(down, across) > task.guard


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(0, 2))
def test_every_class_is_taught_and_judged_in_every_fold(seed, split):
    task = task_of(labelled(seed, number=40))
    for fold in range(task.folds):
        part = task.split(split, fold)
        for value in (1, 2):
            assert ((task.labels == value) & part.train).any()
            assert ((task.labels == value) & part.validate).any()


def test_the_guard_band_is_twice_the_largest_tolerance_of_a_point_defect_and_at_least_8_px():
    assert TASK.guard == 10
    annotation = Annotation.from_labels(labelled(), [DefectClass("a", tolerance=1.0), DefectClass("b", tolerance=1.0)])
    assert TrainingTask.from_movie(movie_of(), annotation).guard == 8
    annotation.classes = [DefectClass("a", tolerance=1.0), DefectClass("hole", extended=True, tolerance=30.0)]
    assert TrainingTask.from_movie(movie_of(), annotation).guard == 8


def test_everything_trains_on_all_that_is_known_and_judges_nothing():
    part = TASK.everything()
    assert np.array_equal(part.train, TASK.known)
    assert not part.validate.any()
    assert part.area.all()


def test_a_small_frame_shrinks_the_tile():
    task = task_of(labelled(shape=(64, 64)))
    tiles = task.tiles(task.split(0, 0), 256, np.random.default_rng(0))
    assert 16 <= tiles.size < 64


def test_what_is_unknown_makes_no_difference():
    labels = labelled()
    other = labels.copy()
    other[0, :10] = 1
    one, two = (task_of(values, (10, 20, 86, 100)) for values in (labels, other))
    assert one.digest == two.digest


def test_a_simulated_movie_makes_a_task():
    simulated = simulate_movie(frames=2, shape=(96, 96))
    task = TrainingTask.from_movie(simulated.movie, Annotation.from_simulation(simulated, frames=[0]))
    assert task.frames.shape == (1, 96, 96)
    assert task.class_names == tuple(simulated.class_names)
    assert task.pixel_size == simulated.movie.pixel_size


# On disk


def test_saving_and_opening_changes_nothing(tmp_path):
    TASK.save(tmp_path / "t.zarr")
    opened = TrainingTask.open(tmp_path / "t.zarr")
    assert opened.digest == TASK.digest
    for name in ("frames", "labels", "known"):
        assert np.array_equal(getattr(opened, name), getattr(TASK, name))
        assert getattr(opened, name).dtype == getattr(TASK, name).dtype
    for name in ("class_names", "match_rules", "pixel_size", "folds", "guard"):
        assert getattr(opened, name) == getattr(TASK, name)
    assert [p.name for p in tmp_path.iterdir()] == ["t.zarr"]


@pytest.mark.parametrize(
    "change",
    [
        {"guard": 9},
        {"folds": 5},
        {"class_names": ("a", "c")},
        {"pixel_size": (0.1, 0.1)},
        {"frames": TASK.frames + np.float32(1)},
        {"labels": TASK.labels[:, ::-1]},
        {"known": ~TASK.known},
    ],
    ids=lambda change: next(iter(change)),
)
def test_the_digest_speaks_for_all_that_a_task_holds(change):
    assert replace(TASK, **change).digest != TASK.digest


@pytest.mark.parametrize("position", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", ["frames", "labels", "known"])
def test_one_changed_bit_is_noticed(tmp_path, name, position):
    TASK.save(tmp_path / "t.zarr")
    chunk = next(p for p in (tmp_path / "t.zarr" / name).rglob("*") if p.is_file() and p.name != "zarr.json")
    content = bytearray(chunk.read_bytes())
    content[int(position * len(content))] ^= 8
    chunk.write_bytes(content)
    with pytest.raises(InputError, match="changed or damaged"):
        TrainingTask.open(tmp_path / "t.zarr")


def test_a_changed_class_name_is_noticed(tmp_path):
    TASK.save(tmp_path / "t.zarr")
    zarr.open_group(tmp_path / "t.zarr", mode="r+").attrs["class_names"] = ["a", "c"]
    with pytest.raises(InputError, match="changed or damaged"):
        TrainingTask.open(tmp_path / "t.zarr")


def test_gaps_of_the_frame_count_as_unknown():
    frames, labels = np.array(movie_of().frames), labelled()
    frames[0, :, :5] = np.nan
    with pytest.warns(UserWarning, match="Frame 0: .* % of its pixels have no value: they count as unknown"):
        task = TrainingTask.from_movie(open_movie(frames), Annotation.from_labels(labels, frames=[0]))
    assert not task.known[0, :, :5].any()
    assert task.known[0, :, 5:].all()
    assert not task.labels[0, :, :5].any()
    assert np.isfinite(task.frames).all()


# Neighbouring frames


def test_the_frames_around_a_labelled_one_are_kept(tmp_path):
    simulated = simulate_movie(frames=3, shape=(96, 96), snr=5.0)
    task = TrainingTask.from_movie(simulated.movie, Annotation.from_simulation(simulated, frames=[1]), [1])
    assert task.planes.shape == (1, 5, 96, 96)
    assert np.array_equal(task.planes[0], with_neighbours(simulated.movie, 1))
    task.save(tmp_path / "t.zarr")
    opened = TrainingTask.open(tmp_path / "t.zarr")
    assert opened.digest == task.digest
    assert np.array_equal(opened.planes, task.planes)
    assert replace(task, neighbours=None).digest != task.digest


def test_frames_that_show_something_else_are_no_neighbours():
    assert TASK.neighbours is None
    assert np.array_equal(TASK.planes, TASK.frames)
