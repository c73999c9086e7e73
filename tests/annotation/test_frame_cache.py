"""Labels through memory say what labels on disk say, and are on disk when a stroke has ended."""

import os

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_menndl import files
from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.frame_cache import KEPT, FrameCache
from napari_menndl.annotation.history import Stroke

SHAPE = (6, 8, 9)
SIDES = st.slices(8)
FRAMES = st.one_of(st.integers(-6, 5), st.slices(6), st.just(slice(2, 3)))
KEYS = st.one_of(FRAMES, st.tuples(FRAMES, SIDES), st.tuples(FRAMES, SIDES, st.integers(0, 8)))
EVENTS = st.lists(st.one_of(st.tuples(KEYS, st.integers(0, 9)), st.booleans()), max_size=12)


def stored(folder, fill=0):
    array = zarr.create_array(folder, shape=SHAPE, chunks=(1, *SHAPE[1:]), dtype="uint8")
    array[:] = fill
    return array


def positive(key):
    """zarr takes no steps backwards."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(not isinstance(part, slice) or (part.step or 1) > 0 for part in parts)


@settings(max_examples=25, deadline=None)
@given(EVENTS)
def test_it_reads_and_writes_like_numpy_whether_or_not_a_stroke_is_under_way(tmp_path_factory, events):
    array = np.random.default_rng(0).integers(0, 9, SHAPE, np.uint8)
    cache = FrameCache(stored(tmp_path_factory.mktemp("cache") / "a.zarr", array))
    for event in events:
        if isinstance(event, bool):
            cache.under_way = lambda event=event: event
        elif positive(event[0]):
            key, value = event
            array[key] = cache[key] = value
            assert np.array_equal(cache[key], array[key])
    assert np.array_equal(np.asarray(cache), array)
    cache.flush()
    assert np.array_equal(cache.stored[:], array)


def test_what_is_handed_out_is_nobody_elses(tmp_path):
    cache = FrameCache(stored(tmp_path / "a.zarr"))
    cache[2][...] = 7
    cache[2:3][...] = 7
    assert not cache[2].any()


def test_a_stroke_reaches_the_disk_when_it_ends_and_is_seen_at_once(tmp_path):
    annotation = Annotation.create(tmp_path / "a.zarr", SHAPE)
    annotation.labels.under_way = lambda: True
    annotation.labels[2:3, 1:4, 1:4] = np.ones((1, 3, 3), np.uint8)
    assert annotation.frame(2).sum() == 9
    assert not Annotation.open(annotation.path).frame(2).any()
    annotation.record(Stroke(2, (1, 1), np.zeros((3, 3), np.uint8), np.ones((3, 3), np.uint8)))
    assert Annotation.open(annotation.path).frame(2).sum() == 9
    # What somebody else changes meanwhile, a corrected defect or an undone stroke, is on disk at once as well.
    assert annotation.undo() == 2
    assert not Annotation.open(annotation.path).frame(2).any()


def test_what_another_window_wrote_is_read_anew(tmp_path):
    first = Annotation.create(tmp_path / "a.zarr", SHAPE)
    second = Annotation.open(tmp_path / "a.zarr", mode="r+")
    for value in (1, 0, 1):
        painted = np.full(SHAPE[1:], value, np.uint8)
        first.paint(4, painted)
        assert np.array_equal(second.frame(4), painted)


def test_frames_that_are_not_on_disk_yet_are_never_dropped(tmp_path):
    cache = FrameCache(stored(tmp_path / "a.zarr"))
    cache.under_way = lambda: True
    for t in range(SHAPE[0]):
        cache[t, 0, 0] = t
    assert SHAPE[0] > KEPT
    assert cache.stored[:].sum() == 0
    assert np.asarray(cache[:, 0, 0]).tolist() == list(range(SHAPE[0]))


def test_what_could_not_be_written_is_kept_until_it_can(tmp_path):
    cache = FrameCache(stored(tmp_path / "a.zarr", fill=1))
    cache.under_way = lambda: True
    cache[1] = 5
    chunks = tmp_path / "a.zarr" / "c"
    aside = chunks.rename(tmp_path / "aside")
    chunks.write_text("in the way")
    with pytest.raises(OSError, match="c"):
        cache.flush()
    assert (cache[1] == 5).all()
    chunks.unlink()
    aside.rename(chunks)
    cache.flush()
    assert (cache.stored[1] == 5).all()


def test_every_file_of_a_stroke_is_synced_soon_after(tmp_path, monkeypatch):
    synced, fsync = [], os.fsync

    def telling(handle):
        synced.append(os.fstat(handle).st_ino)
        fsync(handle)

    annotation = Annotation.create(tmp_path / "a.zarr", SHAPE)
    files._thread.submit(lambda: None).result()  # after what waits already
    monkeypatch.setattr(os, "fsync", telling)
    annotation.paint(1, np.ones(SHAPE[1:], np.uint8))
    files._thread.submit(lambda: None).result()  # after what waits already
    written = [annotation.labels.file(1), annotation.path / "zarr.json", *(annotation.path / "history").glob("*.npz")]
    assert len(written) == 3
    for file in written:
        assert {file.stat().st_ino, file.parent.stat().st_ino} <= set(synced)
