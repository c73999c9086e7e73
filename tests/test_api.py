"""The functions of the README: a search, its run, its prediction, and the comparison."""

import os
import shutil
import stat
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from distributed import Client

from napari_menndl import Annotation, Failure, InputError, compare, open_movie, open_run, run_search
from napari_menndl.api import resume_search, train_alike
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.genes import Conv
from napari_menndl.genome.variation import sample_genome
from napari_menndl.movie.metadata import Metadata
from napari_menndl.movie.neighbours import read_frame
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.prediction import Prediction
from napari_menndl.predict.trained import TrainedNetwork
from napari_menndl.run import Run
from napari_menndl.search.folder import RunFolder
from napari_menndl.training.evaluate import evaluate
from tiny import SETTINGS, SPACE, dots, finish, prepare

FRAMES, LABELS = dots()
RECORDING = Metadata(detector="HAADF", beam_energy=200.0)


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
    movie = replace(open_movie(FRAMES), metadata=RECORDING)
    return search(tmp_path_factory.mktemp("api") / "dots.menndl", movie, progress=told.append)


def test_a_search_on_arrays_comes_to_a_result(run):
    assert run.state == "finished"
    assert isinstance(run.best, TrainedNetwork | Ensemble)
    assert "finished" in repr(run)
    assert run.task.frames.shape == (1, 64, 64)
    assert run.settings.budget == "3networks"
    assert open_run(run.path).metadata == RECORDING


def test_statements_about_other_frames_are_not_compared():
    first, second = (Annotation.from_labels(LABELS, ["dot"]) for _ in range(2))
    assert compare(first, second).frames  # what does not say its frames is compared as it is
    first.note(open_movie(FRAMES))
    second.note(open_movie(FRAMES))
    assert compare(first, second).frames
    second.note(open_movie(FRAMES[:, ::-1]))
    with pytest.raises(InputError, match="frame 0 of another movie"):
        compare(first, second)


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


def test_thresholds_chosen_out_of_fold_hold_for_what_predicts(run):
    """Networks that were trained apart, for so few steps, say the same with other probabilities: calibration helps."""
    truth = Annotation.from_labels(LABELS, run.task.class_names)
    promised, kept = [], []
    for seed in range(8):
        genome = sample_genome(SPACE, np.random.default_rng(seed))
        evaluation, weights = evaluate(genome, run.task, Rung("0", 60_000), seed)
        best = Ensemble.from_evaluation(genome, run.task, evaluation, weights)
        review = compare(Prediction(best, open_movie(FRAMES)), truth, labelled=0)
        promised.append(evaluation.scores[0].f1)
        kept.append(review.summary()["scores"]["later"]["all"]["f1"])
    assert np.mean(kept) > np.mean(promised) - 0.05, (promised, kept)
    assert np.count_nonzero(np.greater(kept, np.subtract(promised, 0.15))) >= 7, (promised, kept)


def test_a_prediction_is_lazy_and_is_what_the_network_says(run):
    prediction = run.predict(FRAMES)
    assert isinstance(prediction, Prediction)
    assert prediction.probabilities.shape == (2, 1, 64, 64)
    assert prediction.labels.shape == (2, 64, 64)
    shown = read_frame(open_movie(FRAMES), 1, run.best.reach)
    np.testing.assert_array_equal(prediction.probabilities[1].compute(), run.best.predict_frame(shown))
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


def test_a_seed_gives_the_same_search_in_whatever_process(run, tmp_path):
    again = finish(Run(RunFolder.create(tmp_path / "again", run.settings, SPACE, run.task)))
    columns = ["id", "rung", "origin", "fitness", "parameters"]
    pd.testing.assert_frame_equal(again.history[columns], run.history[columns])


@pytest.mark.parametrize(("frames", "pixels"), [(FRAMES[:1], 1_500_000), (FRAMES, 6_000_000)])
def test_a_search_notes_with_how_many_pixels_it_begins_on_a_single_image_and_on_a_movie(tmp_path, frames, pixels):
    run = run_search(
        frames, LABELS[0], budget="1networks", run=tmp_path / "run", space=SPACE, pool="serial", wait=False
    )
    run.stop()
    assert open_run(run.path).settings.pixels == pixels
    run.wait()


def test_other_genomes_are_trained_as_the_answer_was(run):
    genomes = {str(fact.id): fact.candidate.genome for fact in run.folder.facts() if fact.kind == "born"}
    chosen = str(run.status()["finished"]["members"][0]["id"])
    # All its activations die, so that every pixel gets the same logit.
    dead = (Conv(1, (1, 1), norm="none"),) * 12
    still = replace(genomes[chosen], layers=dead, skips=())
    trained, stopped = train_alike(run, {chosen: genomes[chosen], "one that learns nothing": still}).values()
    assert isinstance(stopped, Failure)
    assert trained.class_names == run.task.class_names
    assert trained.predict_frame(FRAMES[0]).shape == (1, 64, 64)


def test_a_scheduler_that_nobody_started_is_said_before_a_run_folder_is_made(tmp_path):
    with pytest.raises(InputError, match="nothing that listens there"):
        search(tmp_path / "run", pool="tcp://127.0.0.1:9")
    assert not (tmp_path / "run").exists()


def test_a_search_whose_scheduler_is_gone_breaks_off_with_a_remedy_and_goes_on_when_it_is_back(tmp_path):
    file = tmp_path / "scheduler.json"
    run = prepare(tmp_path / "run", pool=f"scheduler-file:{file}", budget="1networks")
    run.start()
    with pytest.raises(InputError, match=r"broke off: Expected a scheduler's file .*--resume") as caught:
        run.wait(interval=0.1)
    assert os.fspath(run.path) in str(caught.value)
    assert run.status()["births"] == 0

    def dask(kind, *words):
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--scheduler-file", os.fspath(file), *words]
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ending.callback(process.wait)
        ending.callback(process.terminate)

    with ExitStack() as ending:
        dask("scheduler", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        dask("worker", "--no-dashboard", "--local-directory", os.fspath(tmp_path))
        with Client(scheduler_file=os.fspath(file), timeout=600, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=600)
        resumed = resume_search(run.path)
    assert resumed.state == "finished"
    assert resumed.status()["births"] == 1


def test_a_search_starts_from_another_one(run, tmp_path):
    movie = FRAMES + np.random.default_rng(1).normal(0, 3, FRAMES.shape).astype(np.float32)
    again = search(tmp_path / "again.menndl", movie, budget="1networks", start_from=run.path)
    assert again.history["origin"][0] == "founder dots 1"
    assert again.settings.start_from == str(run.path)
