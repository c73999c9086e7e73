"""The functions of the README: a search, its run, its prediction, and the comparison."""

import os
import shutil
import stat
import threading
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from napari_menndl import Annotation, InputError, compare, open_movie, open_run, run_search
from napari_menndl.api import resume_search, train_like_finalists
from napari_menndl.genome.genome import Genome
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.prediction import Prediction
from napari_menndl.predict.trained import TrainedNetwork
from tiny import PIXEL_SIZE, SETTINGS, SPACE, dots

FRAMES, LABELS = dots()


def search(path, movie=FRAMES, labels=LABELS[0], budget="3networks", **options):
    options = {**SETTINGS, "space": SPACE, "pool": "serial", **options}
    return run_search(movie, labels, budget=budget, run=path, **options)


@pytest.fixture(scope="module")
def told():
    """What `progress` was called with while the search of `run` went on."""
    return []


@pytest.fixture(scope="module")
def run(tmp_path_factory, told):
    """A finished search on arrays: a movie, and the label image of its first frame."""
    return search(tmp_path_factory.mktemp("api") / "dots.menndl", progress=told.append)


def test_a_search_on_arrays_comes_to_a_result(run):
    assert run.state == "finished"
    assert isinstance(run.best, TrainedNetwork | Ensemble)
    assert "finished" in repr(run)
    assert run.task.frames.shape == (1, 64, 64)
    assert run.settings.budget == "3networks"


def test_its_status_is_plain_and_was_told_while_it_went_on(run, told):
    status = run.status()
    assert (status["births"], status["networks"], status["in_flight"]) == (3, 3, 0)
    assert told[-1]["state"] == "finished"
    assert all(a["evaluations"] <= b["evaluations"] for a, b in pairwise(told))


def test_its_history_is_a_table_of_evaluations(run):
    history = run.history
    assert len(history) == len(run.evaluations()) == run.status()["evaluations"]
    assert {"id", "rung", "origin", "fitness", "parameters", "failure"} <= set(history.columns)
    assert history["fitness"].max() >= run.status()["best_fitness"]


def test_its_best_finds_what_was_labelled_in_later_frames(run):
    review = compare(run.predict(FRAMES), Annotation.from_labels(LABELS, run.task.class_names), labelled=0)
    scores = review.summary()["scores"]
    assert scores["later"]["all"]["f1"] > 0.8
    assert scores["later"]["all"]["average_precision"] > 0.8


def test_a_prediction_is_lazy_and_is_what_the_network_says(run):
    prediction = run.predict(FRAMES)
    assert isinstance(prediction, Prediction)
    assert prediction.probabilities.shape == (2, 1, 64, 64)
    assert prediction.labels.shape == (2, 64, 64)
    np.testing.assert_array_equal(prediction.probabilities[1].compute(), run.best.predict_frame(FRAMES[1]))
    assert isinstance(prediction.defects, pd.DataFrame)
    assert set(prediction.defects["frame"]) == {0, 1}


def test_an_opened_run_is_the_same_run(run):
    opened = open_run(run.path)
    assert opened.status() == run.status()
    pd.testing.assert_frame_equal(opened.history, run.history)
    np.testing.assert_array_equal(opened.best.predict_frame(FRAMES[0]), run.best.predict_frame(FRAMES[0]))


def everything(folder):
    """Every file and folder below with its size and time of change."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in [folder, *folder.rglob("*")]}


def test_looking_at_a_run_writes_nothing(run, tmp_path):
    copy = shutil.copytree(run.path, tmp_path / "copy")
    for leftover in ("search.lock", "search.owner"):
        (copy / leftover).unlink(missing_ok=True)
    for path in [*copy.rglob("*"), copy]:
        path.chmod(path.stat().st_mode & ~(stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH))
    before = everything(copy)
    opened = open_run(copy)
    opened.status(), opened.history, opened.evaluations(), opened.task
    opened.predict(FRAMES).labels[0].compute()
    assert everything(copy) == before
    assert opened.state == "finished"
    for path in [copy, *copy.rglob("*")]:
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_a_seed_gives_the_same_search_in_the_serial_pool(run, tmp_path):
    again = search(tmp_path / "again")
    columns = ["id", "rung", "origin", "fitness", "parameters"]
    pd.testing.assert_frame_equal(again.history[columns], run.history[columns])


def test_other_genomes_are_trained_like_the_finalists(run):
    genomes = {
        str(fact["id"]): Genome.from_json(fact["genome"]) for fact in run.folder.facts() if fact["kind"] == "born"
    }
    chosen = str(run.status()["finished"]["members"][0]["id"])
    trained = train_like_finalists(run, {chosen: genomes[chosen]})[chosen]
    assert trained.class_names == run.task.class_names
    assert trained.predict_frame(FRAMES[0]).shape == (1, 64, 64)


def test_a_search_goes_on_without_who_started_it_and_stops_when_asked(tmp_path):
    started = search(tmp_path / "run", open_movie(FRAMES, pixel_size=PIXEL_SIZE), budget="1h", wait=False)
    started.wait_for_start()
    assert started.state == "running"
    with pytest.raises(InputError, match="not running"):
        resume_search(started.path)
    watching = open_run(started.path)
    threading.Timer(0.5, watching.stop).start()
    watching.wait(interval=0.1)
    assert watching.state == "stopped"
    started.wait()

    births = watching.status()["births"]
    resumed = resume_search(started.path, budget=f"{births + 1}networks")
    assert resumed.state == "finished"
    assert resumed.status()["births"] >= births


def test_what_breaks_a_search_off_is_said_with_its_remedy(tmp_path):
    with pytest.raises(InputError, match=r"broke off: Expected .* Dask scheduler .*--resume") as caught:
        search(tmp_path / "run", pool="tcp://127.0.0.1:9")
    assert os.fspath(tmp_path / "run") in str(caught.value)
    assert open_run(tmp_path / "run").status()["births"] == 0
