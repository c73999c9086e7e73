"""The command line as a person types it, from a simulated movie to the comparison with a second annotation."""

import io
import json
import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
import tifffile
import typer
from rich.console import Console
from skimage.measure import label
from typer.main import get_command
from typer.testing import CliRunner

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import open_run
from napari_menndl.cli import app
from napari_menndl.cli.options import settings_options
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.notebook.terminal import SearchProgress
from napari_menndl.predict.prediction import Prediction
from napari_menndl.search.settings import SearchSettings
from tiny import SPACE

TINY = ["--pool", "serial", "--pixels", "15000", "--population", "2", "--rungs", "1", "--eta", "2"]


def run(*words, code=0):
    """What a command prints."""
    result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def command_line(*words):
    """In a process of its own, as the installed script."""
    command = [sys.executable, "-m", "napari_menndl.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A simulated movie, its annotation, and a finished search."""
    folder = tmp_path_factory.mktemp("cli [px]")  # brackets are no markup
    few = ("--mo-fraction", 0, "--s-vacancies", 0, "--s2-vacancies", 0, "--s-loss", 0, "--hole-density", 0)
    run("simulate", folder / "movie.tif", "--frames", 2, "--size", 96, "--snr", 20, "--w-vacancies", 0.1, *few)
    SPACE.save(folder / "space.json")
    space = json.loads((folder / "space.json").read_text())
    space["training"] |= {"learning_rate": [0.003, 0.01]}
    (folder / "space.json").write_text(json.dumps(space))
    search(folder, "a.menndl", "--annotation", folder / "movie.annotation.zarr", "--budget", "2networks")
    return folder


def search(folder, name, *words):
    return run("search", folder / "movie.tif", "--run", folder / name, "--space", folder / "space.json", *TINY, *words)


def search_error(folder, *words):
    return run("search", folder / "movie.tif", "--run", folder / "no", *words, code=2)


def test_search_ends_with_what_was_chosen(folder):
    status = json.loads(run("status", folder / "a.menndl", "--json"))
    assert (status["state"], status["births"]) == ("finished", 2)
    assert status["finished"]["members"]
    assert "Answer: network" in run("status", folder / "a.menndl")


def test_in_a_log_file_a_search_writes_a_line_per_minute_and_when_it_ends(folder):
    status, log = open_run(folder / "a.menndl").status(), io.StringIO()
    with SearchProgress(Console(file=log, width=40)) as shown:
        for second in range(150):
            shown.update(status | {"state": "running", "phase": "searching", "elapsed": second})
        shown.update(status | {"elapsed": 150})
    lines = log.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["searching"] * 3 + ["finished"]
    assert [line.rpartition(" · ")[2].partition(" of ")[0] for line in lines] == [
        "0 s",
        "1 min 00 s",
        "2 min 00 s",
        "2 min 30 s",
    ]


def test_options_of_the_search_reach_its_settings(folder):
    settings = open_run(folder / "a.menndl").settings
    assert (settings.pool, settings.pixels, settings.population, settings.eta) == ("serial", 15000, 2, 2)
    assert settings.crossover == SearchSettings.crossover


def test_predict_and_compare(folder):
    said = run("predict", folder / "a.menndl", folder / "movie.tif", "--out", folder / "prediction.zarr")
    assert f"Wrote {folder / 'prediction.zarr'} and prediction.defects.csv" in said
    assert (folder / "prediction.defects.csv").read_text().startswith("frame,")
    words = [folder / "prediction.zarr", folder / "movie.annotation.zarr", "--labelled", 0]
    review = json.loads(run("compare", *words, "--json"))
    assert review["frames"] == [0, 1]
    assert 0 <= review["scores"]["later"]["all"]["f1"] <= 1
    table = run("compare", *words)
    assert all(name in table for name in ("later", "Mo substitution", "precision"))
    assert "…" not in table  # nothing is cut off where the output is no terminal


def test_a_prediction_is_not_taken_for_that_of_another_movie_of_the_same_name(folder):
    movie = open_movie(folder / "movie.tif")
    for day, frames in (("day1", movie.frames), ("day2", movie.frames[:, ::-1])):
        (folder / day).mkdir()
        write_movie(open_movie(frames, pixel_size=movie.pixel_size), folder / day / "movie.tif")
    words = ["predict", folder / "a.menndl", "--out", folder / "days.zarr"]
    run(*words, folder / "day1" / "movie.tif")
    first = Prediction.open(folder / "days.zarr").probabilities.compute()
    said = run(*words, folder / "day2" / "movie.tif", code=2)
    assert "another movie" in said
    assert "--anew" in said
    run(*words, folder / "day2" / "movie.tif", "--anew")
    assert not np.array_equal(Prediction.open(folder / "days.zarr").probabilities.compute(), first)
    assert "another movie" in run(*words, folder / "day1" / "movie.tif", code=2)


def test_a_frame_that_cannot_be_predicted_is_named_and_the_others_have_their_table(folder):
    frames = np.stack([open_movie(folder / "movie.tif").frame(t) for t in (0, 1, 0)])
    frames[1, :, 3:] = np.nan
    np.save(folder / "gap.npy", frames)
    size = open_movie(folder / "movie.tif").pixel_size[0]
    words = [folder / "a.menndl", folder / "gap.npy", "--out", folder / "gap.zarr", "--pixel-size", size]
    assert "frame 1" in run("predict", *words, code=2)
    table = pd.read_csv(folder / "gap.defects.csv")
    assert set(table["frame"]) == {0, 2}


def test_one_of_several_images_of_a_file_is_chosen_by_its_number(folder):
    movie = open_movie(folder / "movie.tif")
    frames = np.asarray(movie.frames)
    with tifffile.TiffWriter(folder / "two.tif") as file:
        file.write(frames[:, :64, :64], photometric="minisblack", metadata={"axes": "TYX"})
        file.write(frames, photometric="minisblack", metadata={"axes": "TYX"})
    words = [folder / "a.menndl", folder / "two.tif", "--pixel-size", movie.pixel_size[0]]
    run("predict", *words, "--out", folder / "second.zarr", "--signal", "1")
    run("predict", *words, "--out", folder / "first.zarr", "--signal", "0")
    assert Prediction.open(folder / "second.zarr").spec.shape == frames.shape
    assert Prediction.open(folder / "first.zarr").spec.shape == (len(frames), 64, 64)


def test_a_pool_predicts_the_same(folder):
    run("predict", folder / "a.menndl", folder / "movie.tif", "--out", folder / "here.zarr")
    said = run("predict", folder / "a.menndl", folder / "movie.tif", "--out", folder / "there.zarr", "--pool", "serial")
    assert f"Wrote {folder / 'there.zarr'}" in said
    here, there = Prediction.open(folder / "here.zarr"), Prediction.open(folder / "there.zarr")
    assert here.spec == there.spec
    assert np.allclose(here.probabilities, there.probabilities, atol=1e-6)
    words = [folder / "a.menndl", folder / "movie.tif", "--out", folder / "nowhere.zarr"]
    assert "a pool" in run("predict", *words, "--pool", "nowhere", code=2)


def test_a_second_annotation_can_be_compared(folder):
    truth = folder / "movie.annotation.zarr"
    review = json.loads(run("compare", truth, truth, "--json"))
    assert review["scores"]["all"]["all"]["f1"] == 1


def test_resume_with_a_larger_budget_and_on_another_pool_goes_on(folder):
    (folder / "pool.yaml").write_text("kind: serial\n")
    before = list(open_run(folder / "a.menndl").folder.facts())
    resume = "search", folder / "movie.tif", "--resume", "--run", folder / "a.menndl"
    assert "--seed 0, as the search was started with" in run(*resume, "--seed", 7, code=2)
    said = run(*resume, "--budget", "3networks", "--pool", folder / "pool.yaml")
    assert "goes on with what it was begun on: MOVIE not read" in said
    resumed = open_run(folder / "a.menndl")
    assert list(resumed.folder.facts())[: len(before)] == before
    assert resumed.status()["births"] == 3
    assert resumed.state == "finished"
    assert resumed.settings.pool == str(folder / "pool.yaml")


def test_detached_search_from_clicked_points_is_watched_and_stopped(folder):
    Annotation.open(folder / "movie.annotation.zarr").to_points(0).to_csv(folder / "clicks.csv", index=False)
    words = ["--annotation", folder / "clicks.csv", "--radius", 3, "--budget", "1h", "--detach"]
    said = search(folder, "b.menndl", *words)
    assert " on frame 0, 1 class (" in said
    assert "), in px" in said
    assert f"napari-menndl stop {folder / 'b.menndl'}" in said.replace("\n", " ")
    run("stop", folder / "b.menndl")
    found = open_run(folder / "b.menndl")
    assert found.state == "stopped"
    assert "is not running (stopped)" in run("stop", folder / "b.menndl")
    assert found.task.pixel_size == pytest.approx((0.025, 0.025))
    assert found.task.known.all()


def test_search_says_what_it_understood_of_a_label_image(folder):
    marked = Annotation.open(folder / "movie.annotation.zarr").frame(0) > 0
    marked[:4] = False
    numbered = label(marked).astype(np.int16)
    numbered[:3] = 999
    np.save(folder / "labels.npy", numbered)
    words = ["--annotation", folder / "labels.npy", "--one-class", "--ignore", "999", "--budget", "3networks"]
    said = search(folder, "c.menndl", *words)
    assert f"labels of 1 frame, 1 class (defect: {numbered[3:].max()} defects), background 0" in said
    assert "3.12 % of frame 0 not looked at" in said
    assert not open_run(folder / "c.menndl").task.known[0, :3].any()
    assert "--one-class" in run("search", folder / "movie.tif", "--annotation", "a.csv", "--one-class", code=2)


def test_what_a_note_says_of_labels_can_be_contradicted(folder):
    marked = np.full((96, 96), 255, np.uint8)
    marked[20:30, 20:30] = 0
    np.save(folder / "inverted.npy", marked)
    # Refused after the labels were understood: there is no frame 1 among them.
    words = "--annotation", folder / "inverted.npy", "--frames", 1
    noted = " ".join(search_error(folder, *words).split())
    assert "give background=0 (--background 0)" in noted
    assert "--background" not in search_error(folder, *words, "--background", 0)


@pytest.mark.parametrize(("frames", "says"), [("1-3", "frames among 0 … 1; found 3"), ("first", "frame numbers like")])
def test_frames_to_learn_from_are_read_as_in_the_dock(folder, frames, says):
    annotation = folder / "movie.annotation.zarr"
    assert says in search_error(folder, "--annotation", annotation, "--frames", frames)


def test_stop_of_a_search_that_is_not_running_says_so(folder):
    assert f"{folder / 'a.menndl'} is not running (finished)" in run("stop", folder / "a.menndl")


def test_bad_input_ends_with_status_2_and_no_traceback(tmp_path):
    result = command_line("search", tmp_path / "no[px].tif", "--annotation", tmp_path / "no.tif")
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("Error Expected ")
    assert f"{tmp_path / 'no[px].tif'}; found none" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_place_that_cannot_be_written_is_no_traceback(folder):
    (folder / "table.defects.csv").mkdir()
    said = run("predict", folder / "a.menndl", folder / "movie.tif", "--out", folder / "table.zarr", code=2)
    assert "Expected files that can be read and written" in said


@pytest.mark.parametrize("command", get_command(app).commands)
def test_every_command_has_help(command):
    assert "--help" in run(command, "--help")


def test_help_shows_settings_with_unit_range_and_default():
    said = " ".join(run("search", "--help").split())
    assert "Longest evaluation of one network. [s; 1 to 1e+06; default 600]" in said
    assert "Radius of the disc that a clicked point becomes [px]" in said
    assert "--rung-folds" not in said  # a list is left to scripts


@dataclass(frozen=True)
class Toy:
    wide: bool = False
    width: float | None = field(default=None, metadata={"help": "Of the toy.", "unit": "nm", "min": 0, "max": 2})
    kind: str = field(default="dog", metadata={"options": ("dog", "cat")})
    names: list[str] = field(default_factory=list)
    parts: tuple[int, ...] = (1, 2)
    bare: int = 3


@pytest.fixture
def toy():
    """A command with the options of `Toy`, and what it was called with."""
    app, got = typer.Typer(rich_markup_mode=None), []

    @app.command()
    @settings_options(Toy, leave_out=("bare",))
    def make(settings: dict, colour: str = "red") -> None:
        got.append((colour, settings))

    return lambda *words: (CliRunner().invoke(app, words), got)


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ([], {}),
        (["--wide"], {"wide": True}),
        (["--no-wide"], {"wide": False}),
        (["--width", "1.5", "--kind", "cat"], {"width": 1.5, "kind": "cat"}),
        (["--width", "3"], {"width": 3.0}),  # ranges are the dataclass's
    ],
)
def test_only_what_was_typed_is_a_setting(toy, words, settings):
    result, got = toy(*words)
    assert result.exit_code == 0, result.output
    assert got == [("red", settings)]


@pytest.mark.parametrize("words", [["--names", "a"], ["--parts", "1"], ["--bare", "1"], ["--width", "wide"]])
def test_what_one_option_cannot_hold_is_none(toy, words):
    result, got = toy(*words)
    assert result.exit_code == 2
    assert got == []


def test_help_of_options_is_made_from_metadata(toy):
    said = " ".join(toy("--help")[0].stdout.split())
    assert "Of the toy. [nm; 0 to 2]" in said
    assert "[dog or cat; default dog]" in said
    assert "--wide / --no-wide [default off]" in said


def test_a_merged_run_predicts_as_its_best_island_does(folder):
    run("merge", folder / "a.menndl", "--run", folder / "merged.menndl")
    runs = [open_run(folder / name) for name in ("merged.menndl", "a.menndl")]
    assert np.array_equal(*(one.predict(folder / "movie.tif").probabilities[0].compute() for one in runs))
