"""A network out of a run and into whatever predicts: as a file, over several movies, at other thresholds."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from typer.testing import CliRunner

from napari_menndl import open_network
from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import open_run
from napari_menndl.cli import app
from napari_menndl.errors import InputError
from napari_menndl.metrics.scores import ClassScore, never_predicted
from napari_menndl.movie.movie import Movie
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.opening import at_thresholds
from napari_menndl.predict.prediction import Prediction
from napari_menndl.predict.predictor_file import save_file
from tiny import PIXEL_SIZE, dots, finish, prepare


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A finished search, its network exported, and two movies of one name."""
    place = tmp_path_factory.mktemp("networks")
    finish(prepare(place / "run", budget="1networks"))
    frames, labels = dots()
    for day, shown in (("day1", frames), ("day2", frames[::-1])):
        (place / day).mkdir()
        write_movie(open_movie(np.ascontiguousarray(shown), pixel_size=PIXEL_SIZE), place / day / "movie.tif")
    Annotation.from_labels(labels).save(place / "labels.zarr")
    said("export", place / "run", place / "best")
    return place


def said(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def test_an_exported_network_is_the_runs_best(place):
    saved, best = open_network(place / "best.safetensors"), open_run(place / "run").best
    assert saved.digest == best.digest
    assert saved.pixel_size == PIXEL_SIZE
    words = said("export", place / "run", place / "again.safetensors")
    assert f"Wrote {place / 'again.safetensors'}: " in words
    assert "classes defect; pixel size 0.02 × 0.02 nm" in words
    assert "which exists" in said("export", place / "run", place / "again", code=2)
    said("export", place / "run", place / "again", "--overwrite")


def test_a_saved_network_and_its_run_predict_the_same(place):
    movie = place / "day1" / "movie.tif"
    for source, out in ((place / "run", "a.zarr"), (place / "best.safetensors", "b.zarr")):
        said("predict", source, movie, "--out", place / out)
    assert np.array_equal(*(Prediction.open(place / out).labels for out in ("a.zarr", "b.zarr")))


def test_a_network_file_is_enough_in_another_home_and_without_its_run(place, tmp_path):
    network, movie = place / "best.safetensors", place / "day1" / "movie.tif"
    for file in (network, movie):
        shutil.copy(file, tmp_path)
    (tmp_path / "home").mkdir()
    home = {"HOME": str(tmp_path / "home"), "PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = ("-m", "napari_menndl.cli", "predict", network.name, movie.name, "--out", "there.zarr")
    run = subprocess.run([sys.executable, *words], cwd=tmp_path, env=home, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    said("predict", network, movie, "--out", tmp_path / "here.zarr")
    assert np.array_equal(*(Prediction.open(tmp_path / out).labels for out in ("here.zarr", "there.zarr")))


WHAT = {
    "nothing there": (lambda p: p / "no", "does not exist"),
    "a movie": (lambda p: p / "day1" / "movie.tif", "a movie or an image (TIFF)"),
    "a movie with a wrong suffix": (
        lambda p: shutil.copy(p / "day1" / "movie.tif", p / "a.dat"),
        "a movie or an image",
    ),
    "an annotation": (lambda p: p / "labels.zarr", "an annotation"),
    "a zarr movie": (lambda p: zarr_movie(p / "m.zarr"), "a movie or labels in zarr"),
    "a stored prediction": (lambda p: stored(p), "a stored prediction"),
    "a part of a run": (lambda p: p / "run" / "search.json", "a part of the run folder"),
    "weights of a run": (lambda p: next((p / "run" / "networks").glob("*")), "a part of the run folder"),
    "a folder of runs": (lambda p: p, "a folder with the runs run"),
    "a folder": (lambda p: p / "day1", "a folder that no search has written"),
    "a table": (lambda p: table(p / "a.csv"), "a table of points"),
    "a file of PyTorch": (lambda p: torch_file(p / "a.pt"), "a file of PyTorch, which could execute code"),
    "text": (lambda p: text(p / "a.md"), "a file of another kind"),
    "an empty file": (lambda p: text(p / "a.bin", ""), "a file of another kind"),
    "a foreign network": (lambda p: foreign(p / "f.safetensors"), "written by another program"),
    "a damaged network": (lambda p: text(p / "d.safetensors", "x" * 99), "d.safetensors"),
}


def zarr_movie(path):
    zarr.create_array(path, data=dots()[0], overwrite=True)
    return path


def stored(place):
    said("predict", place / "best.safetensors", place / "day1" / "movie.tif", "--out", place / "p.zarr")
    return place / "p.zarr"


def table(path):
    pd.DataFrame({"y": [1], "x": [2]}).to_csv(path)
    return path


def torch_file(path):
    torch.save({"a": torch.ones(2)}, path)
    return path


def text(path, words="# about"):
    path.write_text(words)
    return path


def foreign(path):
    from safetensors.numpy import save_file

    save_file({"a": np.ones(3)}, path)
    return path


@pytest.mark.parametrize("what", WHAT)
def test_what_holds_no_network_is_called_by_its_name(place, what):
    make, words = WHAT[what]
    path = make(place)
    with pytest.raises(InputError) as error:
        open_network(path)
    assert words in str(error.value)
    assert str(error.value) in said("export", path, place / "never", code=2)


def test_a_network_is_known_by_what_it_holds_whatever_its_name(place):
    shutil.copy(place / "best.safetensors", place / "renamed.bin")
    assert open_network(place / "renamed.bin").digest == open_network(place / "best.safetensors").digest


def test_several_movies_of_one_name_go_into_one_table_and_a_zarr_each(place):
    days = [place / day / "movie.tif" for day in ("day1", "day2")]
    said("predict", place / "run", *days, "--out", place / "both")
    assert sorted(one.name for one in (place / "both").iterdir()) == [
        "day1-movie.zarr",
        "day2-movie.zarr",
        "defects.csv",
    ]
    table = pd.read_csv(place / "both" / "defects.csv")
    assert list(table.columns[:2]) == ["movie", "frame"]
    for day in days:
        said("predict", place / "run", day, "--out", place / f"{day.parent.name}.zarr")
        alone = pd.read_csv(place / f"{day.parent.name}.defects.csv")
        here = table[table["movie"] == str(day)].drop(columns="movie").reset_index(drop=True)
        pd.testing.assert_frame_equal(here, alone)


def test_a_movie_that_cannot_be_read_costs_the_others_nothing(place):
    broken = text(place / "broken.tif", "no TIFF")
    words = [place / "run", broken, place / "missing.tif", place / "day1" / "movie.tif", "--out", place / "some"]
    errors = said("predict", *words, code=2)
    assert f"{broken}: Expected" in errors
    assert "2 that could not" in errors
    assert set(pd.read_csv(place / "some" / "defects.csv")["movie"]) == {str(place / "day1" / "movie.tif")}


@pytest.mark.parametrize(
    ("movies", "out", "words"),
    [(("day1", "day2"), "x.zarr", "a folder for the predictions"), (("day1", "day1"), "x", "each movie once")],
)
def test_movies_that_would_overwrite_each_other_are_refused(place, movies, out, words):
    paths = [place / day / "movie.tif" for day in movies]
    assert words in said("predict", place / "run", *paths, "--out", place / out, code=2)
    assert not (place / out).exists()


def test_thresholds_of_single_classes(place):
    movie = place / "day1" / "movie.tif"
    said("predict", place / "run", movie, "--out", place / "low.zarr", "--threshold", "defect=0.05")
    said("export", place / "run", place / "low", "--threshold", "defect = 0.05")
    assert Prediction.open(place / "low.zarr").spec.thresholds == (0.05,)
    assert open_network(place / "low.safetensors").thresholds == (0.05,)
    for wrong, words in (
        ("hole=0.5", "'hole'"),
        ("defect=2", "2 for defect"),
        ("defect", "'defect'"),
        ("=0.3", "=0.3"),
    ):
        out = place / "never.zarr"
        assert words in said("predict", place / "run", movie, "--out", out, "--threshold", wrong, code=2)


def test_a_network_without_pixel_size_predicts_a_calibrated_movie_when_told_to(place):
    best = open_run(place / "run").best
    members = tuple(replace(member, pixel_size=None) for member in getattr(best, "members", (best,)))
    blind = replace(best, members=members) if hasattr(best, "members") else members[0]
    blind.save(place / "blind.safetensors")
    words = [place / "blind.safetensors", place / "day1" / "movie.tif", "--out", place / "blind.zarr"]
    assert "--pixel-size none" in said("predict", *words, code=2)
    said("predict", *words, "--pixel-size", "none")
    assert Prediction.open(place / "blind.zarr").spec.pixel_size is None
    said(
        "predict", place / "run", place / "day1" / "movie.tif", "--out", place / "a2.zarr", "--pixel-size", "0.02,0.02"
    )
    assert np.array_equal(Prediction.open(place / "blind.zarr").labels, Prediction.open(place / "a2.zarr").labels)
    assert "or none" in said("predict", *words, "--pixel-size", "big", code=2)


def test_an_absurd_pixel_size_is_refused_before_anything_is_written(place):
    words = [place / "run", place / "day1" / "movie.tif", "--out", place / "absurd.zarr", "--pixel-size", "20"]
    assert "no real calibration" in said("predict", *words, code=2)
    assert not (place / "absurd.zarr").exists()


def test_a_frame_that_becomes_too_large_is_refused_before_anything_is_made_room_for(place):
    frames = da.zeros((2, 4096, 4096), chunks=(1, 4096, 4096), dtype=np.uint16)
    with pytest.raises(InputError, match=r"4,096 × 4,096 px that become 20,480 × 20,480"):
        Prediction(open_network(place / "run"), Movie(frames, (0.1, 0.1)))


def test_a_frame_unlike_those_trained_on_is_told_once(place, tmp_path):
    rng = np.random.default_rng(0)
    best = open_run(place / "run").best
    assert getattr(best, "members", (best,))[0].seen
    frames = np.stack([dots()[0][0]] * 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Prediction(best, open_movie(frames, pixel_size=PIXEL_SIZE)).write(tmp_path / "same.zarr")
    assert not [one for one in caught if "unlike" in str(one.message)]
    turned = -frames + rng.normal(size=frames.shape).astype(np.float32)
    write_movie(open_movie(turned, pixel_size=PIXEL_SIZE), tmp_path / "turned.tif")
    result = CliRunner().invoke(
        app, ["predict", str(place / "run"), str(tmp_path / "turned.tif"), "--out", str(tmp_path / "turned.zarr")]
    )
    assert result.exit_code == 0
    assert result.stderr.count("its contrast is turned over") == 1
    assert open_network(place / "best.safetensors").digest == best.digest  # what was seen changes no prediction


SCORES = [
    ClassScore("S vacancy", 0.8, 0.8, 0.7, 0.5, 20, 4, 5),
    ClassScore("hole", 0.1, 0.1, 0.1, 0.4, 2, 40, 1),
    ClassScore("Mo", 0.0, 0.0, 0.0, 0.6, 0, 0, 3),
]


@pytest.mark.parametrize(
    ("thresholds", "scores", "wanted"),
    [
        ((0.5, 0.4, 0.6, 0.5), None, []),
        ((0.5, 2.0, 0.6, 0.5), None, ["Never predicted: hole."]),
        ((0.5, np.inf, 0.6, 0.5), SCORES, ["hole (2 of 42 found were right)", "Mo, 0 of 3", "Not learned: dopant"]),
    ],
)
def test_what_is_never_predicted_is_said_with_its_reason(thresholds, scores, wanted):
    words = never_predicted(("S vacancy", "hole", "Mo", "dopant"), thresholds, scores)
    assert bool(words) == bool(wanted)
    assert all(part in words for part in wanted)
    assert "S vacancy" not in words


def test_a_class_that_is_never_predicted_is_named_by_predict(place):
    best = open_run(place / "run").best
    best.with_thresholds([2.0]).save(place / "silent.safetensors")
    words = [place / "silent.safetensors", place / "day1" / "movie.tif", "--out", place / "silent.zarr"]
    assert "Never predicted: defect." in said("predict", *words)
    assert "Never predicted" not in said("predict", *words[:-1], place / "loud.zarr", "--threshold", "defect=0.3")
    assert at_thresholds(best, {}) is best


def test_status_is_json_and_says_what_is_learned(place):
    status = json.loads(said("status", place / "run", "--json"))
    assert status["learns"] == {"frames": 1, "defects": {"defect": 25}}
    assert "Learns from 1 frame: defect 25" in said("status", place / "run")


def test_a_card_travels_with_the_network_and_is_told(place):
    texts = ("--title", "Dots", "--licence", "CC-BY-4.0", "--author", "Ada", "--author", "Ernst", "--cite", "A paper")
    said("export", place / "run", place / "carded", *texts)
    words = said("info", place / "carded.safetensors")
    for part in ("Dots", "array, frame 0", "labelled defects: defect 25", "out of fold F1", "bright on dark"):
        assert part in words
    for part in ("0.01 × 0.01 to 0.04 × 0.04 nm", "CC-BY-4.0", "Ada\n", "Ernst", "A paper", "torch", "conv"):
        assert part in words
    card = json.loads(said("info", place / "carded.safetensors", "--json"))["card"]
    run = open_run(place / "run")
    assert card["task"] == run.folder.task_digest
    assert card["recorded"] == [[0, run.task.origin.digests[0]]]
    assert open_network(place / "carded.safetensors").digest == run.best.digest  # a card changes no prediction
    assert "not stated: ask who trained it" in said("info", place / "run")


def test_what_is_set_on_a_card_stays_and_can_be_set_anew(place):
    said("export", place / "run", place / "first", "--licence", "MIT", "--about", "Dots only.")
    said("export", place / "first.safetensors", place / "second", "--licence", "CC0-1.0")
    card = open_network(place / "second.safetensors").card
    assert (card.licence, card.about, card.title) == ("CC0-1.0", "Dots only.", "run")
    with pytest.raises(InputError, match="title, about, licence"):
        open_run(place / "run").best.with_texts(owner="me")
    with pytest.raises(InputError, match="tuples of them"):
        open_run(place / "run").best.with_texts(authors="me")


def test_a_network_saved_without_a_card_is_opened_and_a_damaged_card_refused(place):
    best = open_run(place / "run").best
    first = getattr(best, "members", (best,))[0]
    about = first.describe()
    save_file(place / "old.safetensors", "network", about, first.weights)
    assert open_network(place / "old.safetensors").digest == first.digest
    assert "not stated" in said("info", place / "old.safetensors")
    for card in (["a list"], {"frames": "all"}, {"scores": [{"name": "x"}]}, {"recorded": [3]}):
        save_file(place / "wrong.safetensors", "network", about | {"card": card}, first.weights)
        assert "a complete description" in said("info", place / "wrong.safetensors", code=2)


@pytest.mark.parametrize(("name", "option"), [("a.onnx", ()), ("a.zip", ()), ("b", ("--to", "onnx"))])
def test_networks_for_other_programs(place, name, option):
    words = said("export", place / "best.safetensors", place / name, *option)
    assert f"Wrote {place / name}" in words
    assert "which exists" in said("export", place / "run", place / name, *option, code=2)
    written = next(place.glob(f"{name}*"))
    assert "Expected a run folder, or a network" in said("info", written, code=2)


@pytest.mark.parametrize(
    ("option", "words"), [(("--to", "tflite"), "safetensors, onnx, bioimageio"), (("--to", "onnx"), "suffix .onnx")]
)
def test_an_unknown_format_and_another_suffix_are_refused(place, option, words):
    assert words in said("export", place / "best.safetensors", place / "c.zip", *option, code=2)
