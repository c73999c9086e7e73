"""The list of known runs, a glance at one, and the folder suggested for a new one."""

import json

import pytest
from made_up import UnreliablePool, make_folder

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.errors import InputError
from napari_menndl.search.frame_numbers import finished_frames, frames_text, parse_frames
from napari_menndl.search.runner import SearchRunner
from napari_menndl.search.views.known_runs import KnownRuns, Peek, peek, suggest_folder


@pytest.fixture
def known(tmp_path):
    return KnownRuns(tmp_path / "data" / "runs.json")


def test_what_is_remembered_is_listed_by_another_process_latest_first(known, tmp_path):
    known.remember(tmp_path / "a", "WS2")
    known.remember(tmp_path / "b")
    known.remember(tmp_path / "a")
    again = KnownRuns(known.path).list()
    assert [(one.path, one.movie) for one in again] == [(str(tmp_path / "a"), "WS2"), (str(tmp_path / "b"), "")]


def test_a_forgotten_run_is_not_listed_and_its_folder_stays(known, tmp_path):
    (tmp_path / "a").mkdir()
    known.remember(tmp_path / "a")
    known.forget(tmp_path / "a")
    assert known.list() == []
    assert (tmp_path / "a").is_dir()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"runs": 3}', '{"runs": [{"path": 1}]}'])
def test_a_damaged_list_is_an_empty_one_and_can_be_written_again(known, tmp_path, text):
    known.path.parent.mkdir()
    known.path.write_text(text)
    assert known.list() == []
    known.remember(tmp_path / "a")
    assert len(json.loads(known.path.read_text())["runs"]) == 1


def test_list_stands_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("NAPARI_MENNDL_DATA", str(tmp_path))
    assert KnownRuns().path == tmp_path / "runs.json"


def test_glance_tells_each_state(tmp_path):
    assert peek(tmp_path / "nowhere") == Peek("missing")
    folder = make_folder(tmp_path / "run")
    assert peek(folder.path) == Peek("new")
    SearchRunner(folder, UnreliablePool()).run()
    seen = peek(folder.path)
    assert (seen.state, seen.networks) == ("finished", 30)
    assert seen.fitness == folder.status()["finished"]["fitness"]
    with folder.lock():
        assert peek(folder.path).state == "running"
    lines = folder.journal_path.read_bytes().splitlines(keepends=True)
    folder.journal_path.write_bytes(b"".join(lines[: len(lines) // 2]))
    assert peek(folder.path).state == "interrupted"


def test_suggested_folder_is_new_and_beside_the_movie(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    movie = tmp_path / "film 1.tif"
    movie.touch()
    first = suggest_folder("film 1", movie)
    assert first == tmp_path / "film 1.menndl"
    first.mkdir()
    assert suggest_folder("film 1", movie) == tmp_path / "film 1-2.menndl"
    for source in (None, tmp_path / "gone" / "film.tif"):
        assert suggest_folder("a/b:c", source).parent == tmp_path / "home" / "menndl-searches"


@pytest.mark.parametrize(
    ("text", "frames"), [("0", (0,)), ("0, 5-8", (0, 5, 6, 7, 8)), ("3;1,1", (1, 3)), (" 2 – 3 ", (2, 3)), ("9,", (9,))]
)
def test_frames_are_read_as_they_are_written(text, frames):
    assert parse_frames(text, 10) == frames
    assert parse_frames(frames_text(frames), 10) == frames


@pytest.mark.parametrize("text", ["", ",", "a", "-1", "3-1", "10", "0-10", "1 2", "1.5"])
def test_other_texts_are_refused_with_a_remedy(text):
    with pytest.raises(InputError):
        parse_frames(text, 10)


def test_frames_that_are_complete_or_have_regions_are_offered(tmp_path):
    import numpy as np

    annotation = Annotation.from_labels(np.zeros((5, 8, 8), np.uint8), ["a"], frames=[1, 3])
    annotation.set_status(2, "in progress")
    annotation.set_status(4, "in progress")
    annotation.set_regions(4, [(0, 0, 4, 4)])
    assert finished_frames(annotation) == (1, 3, 4)
