"""Which frames of two label files are compared, and what is said of those without a label."""

import json
import warnings

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import compare
from napari_menndl.cli import app
from napari_menndl.errors import InputError
from napari_menndl.simulation.simulate import simulate_movie

TOTAL = 8


def dots(*blank):
    """Labels (8, 24, 24) of four dots, none on the frames that are `blank`."""
    labels = np.zeros((TOTAL, 24, 24), np.uint8)
    for y, x in ((4, 4), (4, 18), (18, 4), (18, 18)):
        labels[:, y - 1 : y + 2, x - 1 : x + 2] = 1
    labels[list(blank)] = 0
    return labels


def write(path, labels):
    tifffile.imwrite(path, labels, photometric="minisblack")
    return path


def typed(*words, code=0):
    result = CliRunner().invoke(app, ["compare", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == code, result.output
    return result


def compared(*words):
    """What the command prints as JSON, and what it notes."""
    result = typed(*words, "--json")
    return json.loads(result.stdout), " ".join(result.stderr.split())


@pytest.fixture
def files(tmp_path):
    return write(tmp_path / "one.tif", dots()), write(tmp_path / "other.tif", dots(2, 7))


@pytest.mark.parametrize(
    ("frames", "chosen"), [("3,5-6", [3, 5, 6]), ("6, 3", [3, 6]), ("1-1", [1]), ("0–2", [0, 1, 2]), (" 4 ", [4])]
)
def test_only_the_frames_that_are_named_are_compared(files, frames, chosen):
    found, _ = compared(*files, "--frames", frames)
    assert found["frames"] == chosen


@pytest.mark.parametrize("frames", ["8", "3,5-9", "-1", "a", "5-3", "", "1.5"])
def test_frames_that_are_none_are_refused(files, frames):
    assert "Expected" in typed(*files, "--frames", frames, code=2).stderr


def test_a_frame_without_a_label_is_named_with_what_can_be_done(files):
    found, said = compared(*files)
    assert found["frames"] == list(range(TOTAL))
    assert "Frames 2, 7 of the annotation have no label: compared as frames without defects" in said
    assert "--frames" in said
    assert "--ignore" in said


def test_the_same_is_said_of_the_second_expert_s_file(files):
    _, said = compared(*files[::-1])
    assert "of the second annotation have no label" in said


@pytest.mark.parametrize("frames", ["0,1,3", "2", "2,7"])
def test_nothing_is_said_where_no_frame_or_every_frame_is_blank(files, frames):
    assert "no label" not in compared(*files, "--frames", frames)[1]


@pytest.mark.parametrize("value", [255, 9])
def test_what_was_not_looked_at_is_left_out(tmp_path, files, value):
    labels = dots()
    labels[2] = value  # nobody looked at this frame
    labels[4, :, 12:] = value  # nor at the right half of this one
    found, said = compared(files[0], write(tmp_path / "part.tif", labels), "--ignore", value)
    assert found["frames"] == [0, 1, 3, 4, 5, 6, 7]
    assert found["scores"]["all"]["all"]["tp"] == 6 * 4 + 2
    assert found["scores"]["all"]["all"]["fp"] == 0
    assert "no label" not in said
    one, _ = compared(tmp_path / "part.tif", files[0], "--ignore", value)
    assert one["scores"]["all"]["all"]["fn"] == 0


def test_a_named_frame_that_nobody_looked_at_is_said(tmp_path, files):
    labels = dots()
    labels[2] = 255
    found, said = compared(files[0], write(tmp_path / "p.tif", labels), "--ignore", 255, "--frames", "1-3")
    assert found["frames"] == [1, 3]
    assert "Not annotated, and so not compared: frame 2" in said


def test_ignore_needs_a_label_image(tmp_path):
    Annotation.from_labels(dots()).save(tmp_path / "a.annotation.zarr")
    both = [tmp_path / "a.annotation.zarr"] * 2
    assert "--ignore" in typed(*both, "--ignore", 255, code=2).stderr


def test_in_our_own_format_a_complete_frame_without_a_label_says_that_there_is_no_defect(tmp_path, files):
    Annotation.from_labels(dots(2)).save(tmp_path / "a.annotation.zarr")
    assert "no label" not in compared(files[0], tmp_path / "a.annotation.zarr")[1]


def test_frames_from_python():
    one, other = Annotation.from_labels(dots()), Annotation.from_labels(dots(2))
    assert compare(one, other, frames=[1, 3]).frames == (1, 3)
    with pytest.raises(InputError, match="frame 8"):
        compare(one, other, frames=[1, 8])
    with pytest.warns(UserWarning, match="Frame 2 of the annotation has no label"):
        compare(one, other)


def test_the_truth_of_a_simulation_is_complete_where_it_shows_nothing():
    simulated = simulate_movie(2, (32, 32), area_seed=1)
    simulated.labels[0] = 0
    simulated.labels[1, 4:9, 4:9] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare(simulated.labels, Annotation.from_simulation(simulated))
