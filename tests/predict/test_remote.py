"""Laws of prediction on a pool: the same as here, in the order in which it is looked at, and nothing lost."""

import os
import signal
import threading

import dask.array as da
import numpy as np
import psutil
import pytest
import torch
import zarr
from networks import NM, make_ensemble, make_network_of_many_classes

from napari_menndl.errors import Failure, InputError
from napari_menndl.movie.movie import Movie
from napari_menndl.network.device import choose_device
from napari_menndl.pool.open import open_pool
from napari_menndl.pool.protocol import Outcome
from napari_menndl.pool.serial import SerialPool
from napari_menndl.predict import remote
from napari_menndl.predict.background import BackgroundWriter
from napari_menndl.predict.job import ENTRY, run
from napari_menndl.predict.prediction import Prediction
from napari_menndl.predict.range import RangeCheck

FRAMES = np.random.default_rng(0).normal(1000, 50, (8, 70, 61)).astype(np.uint16)


def make_movie(frames=FRAMES, pixel_size=NM):
    return Movie(da.from_array(frames, chunks=(1, *frames.shape[1:])), pixel_size, name="noise")


@pytest.fixture(scope="module")
def network():
    return make_ensemble()


@pytest.fixture(scope="module")
def dask_pool():
    choose_device()
    # With another number of threads torch may round otherwise in the last bit.
    pool = open_pool("local", ENTRY, slots=2, threads=torch.get_num_threads())
    yield pool
    pool.close()


class Watched(SerialPool):
    """The serial pool, in this process; notes the order of frames, and fails those it is told to."""

    def __init__(self, failing=()):
        super().__init__(run)
        self.order, self.failing = [], failing

    def submit(self, key, payload, attachment=b""):
        self.order.append(int(key.rpartition("/")[2]))
        super().submit(key, payload, attachment)

    def finished(self, timeout=None):
        def spoilt(one):
            failed = int(one.key.rpartition("/")[2]) in self.failing
            failure = Failure("out_of_memory", "the GPU is full") if failed else one.failure
            return Outcome(one.key, one.payload, one.attachment, failure, one.slot, one.started, one.finished)

        return [spoilt(one) for one in super().finished(timeout)]


def contents(path):
    group = zarr.open_group(path, mode="r")
    return {name: group[name][:] for name in ("probabilities", "labels", "done")}


@pytest.mark.parametrize("kind", ["uint16", "uint8", "bool", "float32", "float64", "int32"])
def test_predicted_on_the_pool_is_predicted_here(network, dask_pool, tmp_path, kind):
    frames = FRAMES[:3] > 1000 if kind == "bool" else (FRAMES[:3] / (8 if kind == "uint8" else 1)).astype(kind)
    here = Prediction(network, make_movie(frames)).write(tmp_path / "here.zarr")
    there = Prediction(network, make_movie(frames)).write(tmp_path / "there.zarr", pool=dask_pool)
    for name, values in contents(here).items():
        assert np.array_equal(values, contents(there)[name]), name


def test_another_pixel_size_travels_with_the_frame(network, tmp_path):
    movie = make_movie(pixel_size=(0.03, 0.02))
    path = Prediction(network, movie).write(tmp_path / "there.zarr", frames=[1], pool=Watched())
    assert np.array_equal(contents(path)["probabilities"][1], network.predict_frame(movie.frame(1), (0.03, 0.02)))


def test_the_frame_in_view_comes_first_then_its_neighbours_and_the_view_may_move(network, tmp_path):
    pool, view = Watched(), [5]

    def told(t, problem):
        if t == 6:
            view[0] = 1

    prediction = Prediction(network, make_movie())
    prediction.write(tmp_path / "p.zarr", pool=pool, first=lambda: view[0], on_frame=told)
    assert pool.order == [5, 6, 4, 1, 2, 0, 3, 7] or pool.order == [5, 6, 1, 2, 0, 3, 4, 7]
    assert prediction.written == 8


def test_it_goes_on_where_it_was_cancelled(network, tmp_path):
    first, told = Watched(), []
    prediction = Prediction(network, make_movie())
    path = prediction.write(
        tmp_path / "p.zarr", pool=first, on_frame=lambda t, _: told.append(t), cancel=lambda: len(told) >= 3
    )
    assert Prediction.open(path).written == len(told) < 8
    second = Watched()
    Prediction(network, make_movie()).write(path, pool=second)
    assert not set(second.order) & set(told)
    here = Prediction(network, make_movie()).write(tmp_path / "here.zarr")
    assert np.array_equal(contents(here)["probabilities"], contents(path)["probabilities"])


def test_a_frame_that_fails_is_told_and_the_others_go_on(network, tmp_path):
    told = {}
    prediction = Prediction(network, make_movie())
    with pytest.raises(InputError, match="frame 2; found the GPU is full"):
        prediction.write(tmp_path / "p.zarr", pool=Watched({2}), on_frame=told.__setitem__)
    assert [t for t, problem in told.items() if problem] == [2]
    assert prediction.written == 7
    prediction.write(tmp_path / "p.zarr", pool=Watched())
    assert prediction.written == 8


def test_a_frame_that_cannot_be_read_is_told_and_the_others_go_on(network, tmp_path):
    frames = FRAMES.astype(np.float32)
    frames[[1, 4], 3:] = np.nan
    for name, pool in (("here", None), ("there", Watched())):
        prediction = Prediction(network, make_movie(frames))
        with pytest.raises(InputError, match="2 frames are not predicted: 1, 4"):
            prediction.write(tmp_path / name, pool=pool)
        assert prediction.written == 6


@pytest.mark.parametrize("pool", [None, "there"])
def test_what_is_warned_of_while_frames_are_predicted_is_said_once(network, pool, tmp_path):
    frames = FRAMES.copy()
    frames[[2, 4]] = 7
    with pytest.warns(UserWarning, match="without any contrast") as said:
        Prediction(network, make_movie(frames)).write(tmp_path / "p.zarr", pool=pool and Watched())
    (flat,) = [str(one.message) for one in said if "contrast" in str(one.message)]
    assert flat.startswith("Frame 2, and perhaps others: ")


def test_another_network_at_the_path_is_refused(network, tmp_path):
    path = network.with_thresholds((0.1, 0.1)).save(tmp_path / "n")
    predictor = remote.RemotePredictor(Watched(), path, network.digest, 2, 0)
    (_, found), *_ = predictor.predict(make_movie(), [0], RangeCheck(network))
    assert "with digest" in found.found


def test_frames_of_more_probabilities_than_a_message_holds_are_refused(network, tmp_path):
    vast = Movie(da.zeros((2, 16384, 16384), chunks=(1, -1, -1), dtype=np.uint8), NM)
    with pytest.raises(InputError, match="1 GiB"):
        Prediction(network, vast).write(tmp_path / "p.zarr", pool=Watched())


def test_a_large_frame_of_many_classes_comes_back(dask_pool):
    network = make_network_of_many_classes(12)
    movie = make_movie(np.random.default_rng(1).integers(0, 255, (1, 1300, 1300), np.uint8))
    with remote.on_pool(network, dask_pool) as predictor:
        [(_, found)] = predictor.predict(movie, [0], RangeCheck(network))
    assert found.nbytes > 64 * 2**20
    assert np.array_equal(found, network.predict_frame(movie.frame(0), NM))


def test_a_trainer_killed_in_between_loses_nothing(network, dask_pool, tmp_path):
    def trainers():
        children = psutil.Process().children(recursive=True)
        return [one.pid for one in children if one.status() != psutil.STATUS_ZOMBIE and ENTRY in one.cmdline()]

    killed, told = [], []

    def kill(t, problem):
        told.append(t)
        if not killed and (found := trainers()):
            killed.append(found[0])
            os.kill(found[0], signal.SIGKILL)

    prediction = Prediction(network, make_movie())
    path = prediction.write(tmp_path / "there.zarr", pool=dask_pool, on_frame=kill)
    assert killed
    assert sorted(told) == list(range(8))
    here = Prediction(network, make_movie()).write(tmp_path / "here.zarr")
    assert np.array_equal(contents(path)["probabilities"], contents(here)["probabilities"])


def test_who_looks_at_a_frame_gets_it_before_the_rest_is_done(network, tmp_path):
    pool, gate = Watched(), threading.Event()
    finished = pool.finished
    pool.finished = lambda timeout=None: gate.wait(20) and finished(timeout)
    prediction = Prediction(network, make_movie())
    writer = BackgroundWriter(prediction, tmp_path / "p.zarr", pool)
    writer.prioritise(6)
    gate.set()
    writer.wait_for(6)
    assert np.array_equal(prediction.frame_probabilities(6), network.predict_frame(make_movie().frame(6), NM))
    assert pool.order.index(6) <= 1
    writer.close(20)
    stopped = BackgroundWriter(Prediction(network, make_movie()), tmp_path / "other.zarr", pool)
    stopped.close(20)
    with pytest.raises(InputError, match="stopped"):
        stopped.wait_for(7)


def test_who_rests_gets_what_is_waited_for_and_no_more(network, tmp_path):
    pool, prediction = Watched(), Prediction(network, make_movie())
    writer = BackgroundWriter(prediction, tmp_path / "p.zarr", pool)
    writer.rest()
    writer.wait_for(7)
    done = len(pool.order)
    writer.wait_for(7)
    assert len(pool.order) <= done + 1 < 8
    writer.close(20)


def test_who_looks_at_a_frame_that_fails_is_told_so(network, tmp_path):
    writer = BackgroundWriter(Prediction(network, make_movie()), tmp_path / "p.zarr", Watched({3}))
    with pytest.raises(InputError, match="the GPU is full"):
        writer.wait_for(3)
    writer.wait_for(4)
    writer.close(20)


def test_a_pool_that_cannot_be_used_is_told_to_who_waits(network, tmp_path):
    writer = BackgroundWriter(Prediction(network, make_movie()), tmp_path / "p.zarr", "nowhere")
    with pytest.raises(InputError, match="pool"):
        writer.wait_for(0)
