"""Every kind of bad input, at the level at which a person meets it, and what is said about it.

Each row: what is made, the call that must refuse it, and words that the message must hold. Besides, every message says
what was expected, what was found and what to do; and after a refusal every file is as it was.
"""

import hashlib
import json
import os
import re
import shutil
import socket
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tifffile
import zarr
from typer.testing import CliRunner

from napari_menndl import Annotation, DefectClass, InputError, SearchSpace, compare, open_movie, open_run, run_search
from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.api import open_prediction_or_annotation, resume_search, train_alike
from napari_menndl.cli import app
from napari_menndl.movie.writing import write_movie
from napari_menndl.pool.open import open_pool
from napari_menndl.search.folder import RunFolder
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.simulate import simulate_movie
from tiny import PIXEL_SIZE, SETTINGS, SPACE, dots, finish, prepare

FRAMES, LABELS = dots()
MOVIE = open_movie(FRAMES, pixel_size=PIXEL_SIZE)


# ------------------------------------------------------------------ runs to be spoilt


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A run folder without and one with a result, to be copied."""
    folder = tmp_path_factory.mktemp("runs")
    prepare(folder / "new")
    finish(prepare(folder / "finished"))
    return folder


def copied(name, spoil=lambda path: None):
    """A copy of one of `runs`, with something about it changed."""

    def make(folder, runs):
        shutil.copytree(runs / name, folder / "run")
        spoil(folder / "run")
        return folder / "run"

    return make


def record(**changed):
    """Changes search.json; ``...`` takes a field out."""

    def spoil(path):
        found = json.loads((path / "search.json").read_text()) | changed
        (path / "search.json").write_text(json.dumps({k: v for k, v in found.items() if v is not ...}))

    return spoil


def one(pattern, change):
    """Changes the bytes of the first file like this."""

    def spoil(path):
        file = sorted(p for p in path.glob(pattern) if p.is_file())[0]
        file.write_bytes(change(file.read_bytes()))

    return spoil


def every(pattern, change):
    """Changes the bytes of all files like this."""

    def spoil(path):
        for file in path.glob(pattern):
            file.write_bytes(change(file.read_bytes()))

    return spoil


def cut(content):
    return content[: len(content) // 2]


def flip(content):
    """One bit in the middle."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


# ------------------------------------------------------------------ files and arrays


def file(name, content):
    def make(folder, _):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder / name

    return make


def npy(array, change=lambda content: content):
    def make(folder, _):
        np.save(folder / "array.npy", array, allow_pickle=True)
        return spoilt(folder / "array.npy", change)

    return make


def tiff(array, change=lambda content: content):
    def make(folder, _):
        tifffile.imwrite(folder / "array.tif", array, photometric="minisblack", compression="zlib")
        return spoilt(folder / "array.tif", change)

    return make


def spoilt(path, change):
    path.write_bytes(change(path.read_bytes()))
    return path


def annotation(**attributes):
    """An annotation in our own format, attributes changed."""

    def make(folder, _):
        Annotation.from_labels(LABELS).save(folder / "labels.zarr")
        group = zarr.open_group(folder / "labels.zarr", mode="r+")
        group.attrs.put({k: v for k, v in {**dict(group.attrs), **attributes}.items() if v is not ...})
        return folder / "labels.zarr"

    return make


def this(thing):
    return lambda folder, runs: thing


def missing(name):
    return lambda folder, runs: folder / name


def with_value(value, where=(0, 3, 3)):
    frames = FRAMES.copy()
    frames[where] = value
    return this(frames)


def with_status(*status):
    return this(Annotation(LABELS, ["dot"], [FrameStatus(one) for one in status]))


nothing = this(None)
no_folder = file("file", "Nothing can stand below a file.")


# ------------------------------------------------------------------ calls


def search(given, folder, *, movie=FRAMES, labels=LABELS, run="run.menndl", **options):
    options = {**SETTINGS, "space": SPACE, "budget": "1networks", "pool": "serial", **options}
    run_search(movie, labels, run=folder / run, **options)


def of_movie(given, folder):
    search(given, folder, movie=given)


def of_labels(given, folder):
    search(given, folder, labels=given)


def with_options(**options):
    return lambda given, folder: search(given, folder, **options)


def from_points(given, folder, radius=3, **options):
    Annotation.from_points(given, MOVIE.shape, radius, **options)


def called(function, *arguments, **options):
    """A function that gets just these arguments, whatever was made."""
    return lambda given, folder: function(*arguments, **options)


def predicted(given, folder, movie=MOVIE):
    open_run(given).predict(movie).write(folder / "prediction.zarr")


def predicted_there(given, folder):
    open_run(given).predict(MOVIE).write(folder / "file" / "prediction.zarr")


def predicted_twice(given, folder):
    predicted(given, folder)
    other = replace(MOVIE, frames=MOVIE.frames[:1])
    before = contents(folder)
    try:
        predicted(given, folder, other)
    finally:
        assert contents(folder) == before
        shutil.rmtree(folder / "prediction.zarr")


def held_by_another(given, folder):
    holder = RunFolder.open(given)
    with holder.lock():
        try:
            resume_search(given, budget="3networks")
        finally:
            assert json.loads((given / "search.json").read_text())["settings"]["budget"] == "2networks"
    (given / "search.lock").unlink(missing_ok=True)
    (given / "search.owner").unlink(missing_ok=True)


@contextmanager
def full_disk(room):
    """No file may grow beyond so many bytes: what a full disk does, on POSIX."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def on_full_disk(call, room=1000):
    def on_it(given, folder):
        with full_disk(room):
            call(given, folder)

    return on_it


def unused_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def unreachable(given, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_menndl.pool.clusters.client.CONNECT", 0.5)
        open_pool(f"tcp://127.0.0.1:{unused_port()}", "napari_menndl.training.job:run")


def command(*words):
    """A command line; ``{}`` is the path that was made, ``{folder}`` the empty folder."""

    def typed(given, folder):
        words_ = [word.format(given, folder=folder) for word in words]
        result = CliRunner().invoke(app, words_)
        assert result.exit_code == 2
        assert "Traceback" not in result.output
        assert not result.stdout
        parts = re.fullmatch(r"Error Expected (.*?); found (.*?)\. (.*)\n", result.stderr, re.DOTALL)
        raise InputError(*parts.groups())

    return typed


def compared(found, true, **options):
    return called(compare, found, true, **options)


TRUTH = Annotation.from_labels(LABELS, ["dot"])
COLOUR = np.zeros((2, 64, 64, 3), np.uint8)

CASES = {
    # Movies
    "movie that is not there": (missing("no/movie.tif"), of_movie, "none; .* exists"),
    "no movie at all": (nothing, of_movie, "found a NoneType"),
    "empty file": (file("movie.tif", ""), of_movie, "an empty file"),
    "empty folder": (lambda folder, _: folder, of_movie, "found nothing"),
    "text called tif": (file("movie.tif", "Dear reader, this is no image."), of_movie, "a TIFF file"),
    "TIFF without an image": (file("movie.tif", b"II*\0\0\0\0\0"), of_movie, "a TIFF file"),
    "TIFF cut short": (tiff(FRAMES, cut), of_movie, "cut short|a TIFF file"),
    "npy cut short": (npy(FRAMES, cut), of_movie, "a complete .npy file"),
    "npy with a pickle": (npy(np.array([[None, 1], [2, 3]], object)), of_movie, "a complete .npy file of numbers"),
    "array of objects": (this(FRAMES.astype(object)), of_movie, "Python objects"),
    "complex numbers": (this(FRAMES.astype(complex)), of_movie, "modulus"),
    "colour": (this(COLOUR), of_movie, "colour"),
    "four axes": (this(FRAMES.reshape(2, 2, 32, 64)), of_movie, r"frames of \(T, Y, X\)"),
    "one axis": (this(FRAMES[0, 0]), of_movie, "a height and a width"),
    "no frames": (this(FRAMES[:0]), of_movie, "at least one frame"),
    "several arrays in one npz": (
        lambda folder, _: np.savez(folder / "movie.npz", a=FRAMES) or folder / "movie.npz",
        of_movie,
        "np.save",
    ),
    "unknown suffix": (file("movie.xyz", "1234"), of_movie, "movie.xyz"),
    "video": (file("movie.mp4", "0000ftypmp42"), of_movie, "recorded intensities"),
    "microscope format dm4": (file("movie.dm4", "1234"), of_movie, "export the movie as TIFF"),
    "microscope format emd": (file("movie.emd", b"\x89HDF\r\n\x1a\n"), of_movie, "export the movie as TIFF"),
    "NaN in most of the labelled frame": (with_value(np.nan, (0, slice(8, None))), of_movie, "NaN"),
    "infinity in most of the labelled frame": (with_value(np.inf, (0, slice(8, None))), of_movie, "infinite"),
    "constant frame": (with_value(7, 0), of_movie, "the value 7 everywhere"),
    "frame of a few lines": (
        this(FRAMES[:, :6]),
        lambda g, f: search(g, f, movie=g, labels=LABELS[:, :6]),
        "",
    ),
    "frame smaller than a tile": (
        this(FRAMES[:, :20, :20]),
        lambda g, f: search(g, f, movie=g, labels=LABELS[:, :20, :20]),
        "20 x 20",
    ),
    "impossible pixel size": (nothing, called(open_movie, FRAMES, pixel_size=-1), "nm"),
    "impossible frame time": (nothing, called(open_movie, FRAMES, frame_time=float("nan")), "seconds"),
    # Annotations
    "annotation that is not there": (missing("labels.tif"), of_labels, "nothing at"),
    "nothing annotated": (this(0 * LABELS), of_labels, "at least one annotated defect"),
    "everything annotated": (this(0 * LABELS + 1), of_labels, "without a defect"),
    "annotation of another shape": (this(LABELS[:, :60]), of_labels, "64 x 64"),
    "annotation of more frames than the movie": (this(LABELS.repeat(2, axis=0)), of_labels, "at most 2 frames"),
    "labelled frame not annotated": (
        with_status("complete", "untouched"),
        lambda g, f: search(g, f, labels=g, frames=[1]),
        "annotation of frame 1",
    ),
    "frame only begun": (with_status("in progress", "untouched"), of_labels, "Mark the frame complete"),
    "frame out of range": (nothing, with_options(frames=[2]), "a frame from 0 to 1"),
    "frame before the first": (nothing, with_options(frames=[-1]), "frame -1"),
    "no frame to learn from": (nothing, with_options(frames=[]), "at least one"),
    "a frame twice": (nothing, with_options(frames=[0, 0]), "each once"),
    "negative labels": (this(-LABELS.astype(int)), of_labels, "labels from 0 up"),
    "huge labels": (this(np.arange(2 * 64 * 64).reshape(2, 64, 64)), of_labels, "kinds of defects"),
    "probabilities for labels": (this(LABELS * 0.5), of_labels, "not probabilities"),
    "complex labels": (this(LABELS.astype(complex)), of_labels, "whole numbers"),
    "labels with a pickle": (npy(np.array([None]), lambda c: c), of_labels, "a readable label image"),
    "label TIFF cut short": (tiff(LABELS, cut), of_labels, "a readable label image"),
    "annotation opened in a mode that would empty it": (
        annotation(),
        lambda g, f: Annotation.open(g, mode="w"),
        'the mode "r" or "r[+]"; found \'w\'',
    ),
    "classes named for an annotation that names its own": (
        annotation(),
        lambda g, f: Annotation.open(g, classes=["hole"]),
        "Leave out classes",
    ),
    "labels between two frames": (nothing, called(Annotation.from_labels, LABELS, frames=[0.5]), "frame 0.5"),
    "axes of too few letters": (nothing, called(Annotation.from_labels, LABELS, axes="YX"), "a letter for each axis"),
    "region of three numbers": (
        nothing,
        lambda g, f: Annotation.from_labels(LABELS).set_regions(0, [(1, 2, 3)]),
        "regions of four numbers",
    ),
    "frame of an annotation in words": (nothing, called(TRUTH.frame, "first"), "found frame first"),
    "frame between two": (nothing, called(MOVIE.frame, 0.5), "a frame from 0 to 1 .*found frame 0.5"),
    "frame to learn from between two": (nothing, with_options(frames=[0.5]), "found frame 0.5"),
    "annotation of a newer version": (annotation(schema=99), of_labels, "Update napari-menndl"),
    "annotation without classes": (annotation(classes=...), of_labels, "classes"),
    "foreign zarr group": (annotation(format="mine"), of_labels, "not written by napari-menndl"),
    "annotation at another pixel size": (
        this(Annotation.from_labels(LABELS, pixel_size=(0.03, 0.03))),
        lambda g, f: search(g, f, movie=MOVIE, labels=g),
        "0.03",
    ),
    "label without a class": (
        nothing,
        called(Annotation.from_labels, LABELS * [[[1]], [[2]]], ["dot"]),
        "Name a class",
    ),
    "unknown class": (nothing, called(TRUTH.match_rule, "vacancy"), "one of the classes dot"),
    "a step by name": (nothing, called(open_movie(FRAMES).prepared, "drift"), "Import them"),
    "a shape of one number": (nothing, called(simulate_movie, 1, 32), r"shape \(Y, X\)"),
    "class of no colour": (nothing, called(DefectClass, "dot", "red"), "#56b4e9"),
    "two classes of one name": (nothing, called(Annotation.from_labels, LABELS, ["dot", "dot"]), "Rename one"),
    # Clicked points
    "radius in words": (file("points.csv", "y,x\n3,3\n"), partial(from_points, radius="3"), "a radius"),
    "CSV that is not there": (missing("points.csv"), from_points, "a CSV file of points"),
    "empty CSV": (file("points.csv", ""), from_points, "a CSV file of points"),
    "CSV without coordinates": (file("points.csv", "a,b\n1,2\n"), from_points, "columns y and x"),
    "CSV of binary noise": (file("points.csv", bytes(range(256))), from_points, "a CSV file of points|columns"),
    "points outside the frame": (file("points.csv", "y,x\n3,3\n3,99\n"), from_points, "1 outside"),
    "points in frames that are not there": (file("p.csv", "y,x,frame\n3,3,5\n"), from_points, "frames 0 to 1"),
    "NaN among the points": (file("points.csv", "y,x\n3,nan\n"), from_points, "row 0"),
    "words among the points": (file("points.csv", "y,x\n3,left\n"), from_points, "'left'"),
    "points of an unknown class": (
        file("points.csv", "y,x,class\n3,3,hole\n"),
        partial(from_points, classes=["dot"]),
        "hole",
    ),
    "radius of zero": (file("points.csv", "y,x\n3,3\n"), partial(from_points, radius=0), "a radius"),
    "radius of NaN": (file("points.csv", "y,x\n3,3\n"), partial(from_points, radius=np.nan), "a radius"),
    "no point at all": (
        file("points.csv", "y,x\n"),
        lambda g, f: search(g, f, labels=Annotation.from_points(g, MOVIE.shape, 3)),
        "at least one annotated defect",
    ),
    # Settings, budget, pool, search space
    **{
        f"budget {budget!r}": (nothing, with_options(budget=budget), 'a budget like "10min"')
        for budget in ("", "soon", "10", "0min", "-5min", "fitness 2", "10min, 20min", "nan h")
    },
    "unknown setting": (nothing, with_options(colour="red"), "settings among"),
    "setting of the wrong type": (nothing, with_options(population="many"), "int for population"),
    "setting out of range": (nothing, with_options(crossover=1.5), "crossover between 0 and 1"),
    "setting NaN": (nothing, with_options(timeout=float("nan")), "timeout between"),
    "setting among others": (nothing, with_options(replacement="youngest"), "age, worst"),
    "unknown founder": (nothing, with_options(founders=["resnet"]), "dilated_fcn"),
    "no rung": (nothing, with_options(rungs=0), "between 1 and 16"),
    "negative seed": (nothing, with_options(seed=-1), "seed between"),
    "no slot": (nothing, with_options(slots=0), "slots between"),
    "unknown pool": (nothing, with_options(pool="cloud"), "a pool"),
    "scheduler without a port": (nothing, with_options(pool="tcp://127.0.0.1"), "tcp://host:port"),
    "scheduler on another machine": (nothing, with_options(pool="tcp://192.0.2.1:8786"), "ssh -L"),
    "scheduler that does not answer": (nothing, unreachable, "none that answers"),
    "search space that is not there": (
        missing("space.json"),
        lambda g, f: search(g, f, space=SearchSpace.open(g)),
        "No such file|cannot find",
    ),
    "search space that is no JSON": (file("space.json", "{"), lambda g, f: SearchSpace.open(g), "as JSON"),
    "search space with an unknown field": (
        file("space.json", '{"layers": {"colour": 1}}'),
        lambda g, f: SearchSpace.open(g),
        "unknown colour",
    ),
    "search space with a range inverted": (
        file("space.json", '{"training": {"learning_rate": [0.1, 0.001]}}'),
        lambda g, f: SearchSpace.open(g),
        "lowest, highest|between",
    ),
    "search space of the wrong type": (
        file("space.json", '{"limits": {"layers": "many"}}'),
        lambda g, f: SearchSpace.open(g),
        "layers",
    ),
    "search space that is a list": (file("space.json", "[1]"), lambda g, f: SearchSpace.open(g), "fields in braces"),
    # Run folders
    "search space without ranges": (nothing, called(SearchSpace, layers=5), "LayerSpace for layers; found 5"),
    "run folder that is not there": (missing("run"), lambda g, f: open_run(g), "no search.json"),
    "some other folder": (lambda folder, _: folder, lambda g, f: open_run(g), "no search.json"),
    "foreign search.json": (copied("new", record(format="mine")), lambda g, f: open_run(g), "something else"),
    "run folder of a newer version": (copied("new", record(schema=99)), lambda g, f: open_run(g), "Update"),
    "search.json without a task": (copied("new", record(task=...)), lambda g, f: open_run(g), "without task"),
    "search.json cut short": (copied("new", one("search.json", cut)), lambda g, f: open_run(g), "Restore it"),
    "search.json with bad settings": (
        copied("new", record(settings={"population": 0})),
        lambda g, f: open_run(g),
        "population between",
    ),
    "task cut short": (
        copied("new", one("task.zarr/frames/c/**/*", cut)),
        lambda g, f: open_run(g).task,
        "changed or damaged",
    ),
    "task with a bit flipped": (
        copied("new", one("task.zarr/labels/c/**/*", flip)),
        lambda g, f: open_run(g).task,
        "changed or damaged",
    ),
    "task that is gone": (
        copied("new", lambda path: shutil.rmtree(path / "task.zarr")),
        lambda g, f: open_run(g).task,
        "training task",
    ),
    "journal with a damaged line": (
        copied("finished", one("journal.jsonl", flip)),
        lambda g, f: finish(open_run(g)),
        "line .* damaged",
    ),
    "run folder that exists": (copied("new"), with_options(run="run"), "Resume it"),
    "folder of other things": (no_folder, with_options(run="."), "files that are not a search's"),
    "run folder below a file": (no_folder, with_options(run="file/run"), "a folder that can be written"),
    "run folder called as a file": (no_folder, with_options(run="file"), "a folder that can be written"),
    "second writer": (copied("new"), held_by_another, "at work"),
    "resumed with a bad budget": (copied("new"), lambda g, f: resume_search(g, budget="soon"), "a budget like"),
    # Prediction and comparison
    "run without a result": (copied("new"), predicted, "Let it run longer"),
    "training alike where there is no answer": (
        copied("new"),
        lambda g, f: train_alike(open_run(g), {}),
        "with an answer",
    ),
    "weights cut short": (copied("finished", every("networks/*.safetensors", cut)), predicted, "safetensors"),
    "weights that are gone": (
        copied("finished", lambda path: shutil.rmtree(path / "networks")),
        predicted,
        "the weights of network",
    ),
    "unknown pixel size where the network knows its own": (
        copied("finished"),
        partial(predicted, movie=FRAMES),
        "pixel_size=",
    ),
    "movie to predict that is not there": (copied("finished"), partial(predicted, movie="no.tif"), "none"),
    "other prediction at the same place": (copied("finished"), predicted_twice, "Choose another place"),
    "prediction below a file": (
        lambda folder, runs: no_folder(folder, runs) and copied("finished")(folder, runs),
        predicted_there,
        "a place that can be written",
    ),
    "nothing to compare": (missing("prediction.zarr"), lambda g, f: open_prediction_or_annotation(g), "nothing at"),
    "no class in common": (nothing, compared(Annotation.from_labels(LABELS, ["hole"]), TRUTH), "the same names"),
    "comparison of other shapes": (nothing, compared(LABELS[:, :60], TRUTH), "the same movie"),
    "comparison with an unknown label": (nothing, compared(7 * LABELS, TRUTH), "the label 7"),
    "frame learned from that neither side has": (
        nothing,
        compared(LABELS, TRUTH, labelled=7),
        "found frame 7. Name the frames that were learned from",
    ),
    "no frame to compare": (nothing, compared(LABELS, TRUTH, frames=[9]), "annotated frame"),
    # Written movies
    "movie where one stands": (
        lambda folder, _: write_movie(MOVIE, folder / "movie.tif"),
        lambda g, f: write_movie(MOVIE, g),
        "Choose another place",
    ),
    "sample that cannot be": (nothing, called(simulate_movie, 1, (0, 64)), "at least 16 px"),
    "acquisition that cannot be": (nothing, called(Acquisition, dose=-1), "dose"),
    # The command line
    "search without annotation": (tiff(FRAMES), command("search", "{}"), "--annotation"),
    "points without a radius": (
        lambda folder, _: file("p.csv", "y,x\n3,3\n")(folder, _) and tiff(FRAMES)(folder, _),
        command("search", "{}", "--annotation", "{folder}/p.csv"),
        "--radius",
    ),
    "frames that are no numbers": (
        tiff(FRAMES),
        command("search", "{}", "--annotation", "{}", "--frames", "first"),
        "frame numbers",
    ),
    "frames beyond the end": (
        lambda folder, _: tiff(FRAMES)(folder, _) and npy(LABELS)(folder, _).parent,
        command("search", "{}/array.tif", "--annotation", "{}/array.npy", "--frames", "0-2"),
        "frames among 0 … 1",
    ),
    "setting out of range on the command line": (
        lambda folder, _: tiff(FRAMES)(folder, _) and npy(LABELS)(folder, _).parent,
        command("search", "{}/array.tif", "--annotation", "{}/array.npy", "--population", "1"),
        "population between",
    ),
    "status of no run": (missing("run"), command("status", "{}"), "no search.json"),
    "stop of no run": (missing("run"), command("stop", "{}"), "no search.json"),
    "resume of no run": (missing("run"), command("search", "--resume", "--run", "{}"), "no search.json"),
    "resume with other settings": (
        copied("new"),
        command("search", "--resume", "--run", "{}", "--population", "99"),
        "--population 2",
    ),
    "prediction without a run": (tiff(FRAMES), command("predict", "{}", "{}", "--out", "{folder}/p"), "no search.json"),
    "prediction of a movie of unknown pixel size": (
        lambda folder, runs: tiff(FRAMES)(folder, runs) and copied("finished")(folder, runs),
        command("predict", "{}", "{folder}/array.tif", "--out", "{folder}/p.zarr"),
        "pixel size",
    ),
    "two thresholds for one class": (
        copied("finished"),
        command("predict", "{}", "m.tif", "--out", "{folder}/p", "--threshold", "dot=0.4", "--threshold", "dot=0.6"),
        "found two for 'dot'",
    ),
    "place without a name for a network": (copied("finished"), command("export", "{}", ""), "a path with a name"),
    "place without a name for a prediction": (
        copied("finished"),
        command("predict", "{}", "m.tif", "--out", "."),
        "a path with a name",
    ),
    "radius for a label image": (
        npy(LABELS),
        command("search", "{}", "--annotation", "{}", "--run", "{folder}/run", "--radius", "3"),
        "clicked points .* with --radius",
    ),
    "prediction for an annotation": (
        lambda folder, runs: predicted(copied("finished")(folder, runs), folder) or folder / "prediction.zarr",
        lambda g, f: Annotation.open(g),
        "prediction.zarr, a prediction",
    ),
    "comparison of nothing": (missing("a"), command("compare", "{}", "{}"), "nothing at"),
    "simulation to an unknown suffix": (
        nothing,
        command("simulate", "{folder}/movie.png", "--frames", "1", "--size", "32"),
        ".tif or .zarr",
    ),
    "simulation out of range": (nothing, command("simulate", "{folder}/movie.tif", "--dose", "-1"), "dose"),
}
if os.name == "posix":
    CASES |= {
        "run folder on a full disk": (nothing, on_full_disk(search), "written"),
        "annotation on a full disk": (
            nothing,
            on_full_disk(lambda g, f: TRUTH.save(f / "labels.zarr"), 100),
            "a place that can be written",
        ),
        "movie on a full disk": (nothing, on_full_disk(lambda g, f: write_movie(MOVIE, f / "movie.tif")), "room"),
        "prediction on a full disk": (copied("finished"), on_full_disk(predicted, 100), "room|written"),
        "a device for a run folder": (nothing, lambda g, f: search(g, f, run="/dev/null"), "can be written"),
    }


def contents(folder):
    """Every file and what is in it; what a view of a run leaves, an empty lock, does not count."""
    return {
        path.relative_to(folder): path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.name not in ("search.lock", "search.owner")
    }


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_refused_with_a_remedy_and_nothing_half_written(case, tmp_path, runs):
    make, call, said = CASES[case]
    given = make(tmp_path, runs)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"(?s)^Expected .+; found .+\. .+\.$") as caught:
        call(given, tmp_path)
    assert re.search(said, str(caught.value)), caught.value
    assert contents(tmp_path) == before
