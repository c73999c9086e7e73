"""No process of ours imports anything from the folder in which it was started, whatever is called what there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import napari_menndl
from napari_menndl.annotation.annotation import Annotation
from napari_menndl.api import open_run
from napari_menndl.interpreter import leave_out_current_folder
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie
from tiny import PIXEL_SIZE, SPACE, dots

#: As what is imported by the command, the search process, Dask's worker and trainers, early and late.
NAMES = (
    *("napari_menndl", "torch", "numpy", "dask", "distributed", "zarr", "safetensors", "typer", "rich", "pandas"),
    *("scipy", "skimage", "tifffile", "psutil", "filelock", "yaml", "tornado", "msgpack", "cloudpickle"),
    *(
        "json",
        "random",
        "queue",
        "secrets",
        "tempfile",
        "multiprocessing",
        "asyncio",
        "subprocess",
        "logging",
        "pickle",
    ),
)
SOURCE = Path(napari_menndl.__file__).parents[1]
TRAP = "open(__file__ + '.ran', 'w').close(); raise SystemExit('a trap')\n"
SEARCH = ["--population", "2", "--pixels", "60000", "--rungs", "1", "--budget", "1networks", "--slots", "1"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder of traps, with a movie and its labels beside it; PYTHONPATH has an empty part."""
    frames, labels = dots()
    write_movie(open_movie(frames, pixel_size=PIXEL_SIZE), tmp_path / "movie.tif")
    Annotation.from_labels(labels).save(tmp_path / "labels.zarr")
    SPACE.save(tmp_path / "space.json")
    folder = tmp_path / "traps"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(TRAP)
    monkeypatch.setenv("PYTHONPATH", f"{SOURCE}{os.pathsep}")
    return folder


SCRIPT = "from napari_menndl.cli import app; app()"


def start(folder, *command):
    return subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, timeout=600, check=False)


def traps(folder):
    return sorted(path.name.partition(".")[0] for path in folder.glob("*.ran"))


def test_a_trap_springs_where_python_is_started_carelessly(folder):
    start(folder, sys.executable, "-c", "import torch")
    assert traps(folder) == ["torch"]


def test_a_search_springs_none(folder):
    place = folder.parent
    # As the installed script is: nothing comes before what PYTHONPATH says.
    script = "import sys; sys.argv[0] = 'napari-menndl'\nfrom napari_menndl.cli import app; app()"
    program = [sys.executable, "-P", "-c", script]
    asked = [place / "movie.tif", "--annotation", place / "labels.zarr", "--space", place / "space.json"]
    done = start(folder, *program, "search", *asked, "--run", place / "run", *SEARCH)
    assert (done.returncode, traps(folder)) == (0, []), done.stderr
    assert open_run(place / "run").status()["networks"] == 1


def test_a_module_of_ours_takes_the_current_folder_out_before_it_imports_anything(folder):
    (folder / "napari_menndl.py").unlink()  # it would be started instead of ours
    done = start(folder, sys.executable, "-m", "napari_menndl.cli", "search", "--help")
    assert (done.returncode, traps(folder)) == (0, []), done.stderr


def test_a_pool_of_a_notebook_imports_nothing_from_the_folder_of_the_notebook(folder, monkeypatch):
    # The interpreter of a notebook finds modules in the current folder; what it has imported by then is its own.
    script = (
        "import sys; sys.path.remove('')\n"
        "from napari_menndl.pool.check import probe_pool\n"
        "import distributed, tornado, cryptography, asyncio, multiprocessing.popen_spawn_posix\n"
        "sys.path.insert(0, '')\n"
        "print(probe_pool('local').workers, sys.path[0] == '')"
    )
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))
    done = start(folder, sys.executable, "-c", script)
    assert done.stdout.split() == ["1", "True"], done.stderr
    assert traps(folder) == []


@pytest.mark.parametrize(
    ("python_path", "left"), [("", False), (os.pathsep + "/elsewhere", False), ("HERE", True), (".", True)]
)
def test_a_folder_that_a_person_named_is_kept(python_path, left, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", python_path.replace("HERE", str(tmp_path)))
    monkeypatch.setattr(sys, "path", [str(tmp_path), "", *sys.path])
    leave_out_current_folder()
    assert (str(tmp_path) in sys.path) == left
    assert "" not in sys.path
