"""Every block of commands or of Python in README and docs is run, on a smaller movie and budget, or says why not."""

import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from filelock import FileLock

from napari_menndl import Annotation, open_movie
from napari_menndl.metrics import label_components

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]
#: test_recipes.py follows the recipes; test_pool_pages.py reads what is YAML.
PAGES = [page for page in PAGES if "_build" not in page.parts and page.name != "recipes.md"]
BLOCK = re.compile(
    r"(?:<!-- not run: ([^\n]+) -->\n)?^ *```(bash|python|dockerfile)\n(.*?)^ *```", re.DOTALL | re.MULTILINE
)
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
COMMAND = [sys.executable, "-m", "napari_menndl.cli"]
#: Options that make a command quick.
SMALLER = {
    "simulate": ["--size", "128", "--frames", "3"],
    "search": ["--budget", "1networks", "--pixels", "300000"],
    "follow": ["--existing", "--pixel-size", "0.025"],
}
PATIENCE = 120.0


@dataclass
class Block:
    reason: str
    language: str
    text: str

    @property
    def commands(self):
        """Arguments of every line, which must all be calls of napari-menndl."""
        lines = [shlex.split(line, comments=True) for line in self.text.replace("\\\n", " ").splitlines()]
        assert all(words[0] == "napari-menndl" for words in lines if words), "not run, without a reason"
        return [words[1:] for words in lines if words]


def blocks(page):
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def written(arguments):
    """What a command says that it writes."""
    after = dict(itertools.pairwise(arguments))
    return [after[option] for option in ("--out", "--run", "--pictures", "--film") if option in after]


def run(arguments, folder):
    given = [*arguments, *SMALLER.get(arguments[0], [])]
    if arguments[0] != "follow":
        subprocess.run([*COMMAND, *given], cwd=folder, check=True)
        return
    follower = subprocess.Popen([*COMMAND, *given], cwd=folder)
    (table,) = [folder / place / "frames.csv" for place in written(arguments)]
    end = time.monotonic() + PATIENCE
    while not (table.exists() and len(table.read_text().splitlines()) > 1):
        assert time.monotonic() < end
        assert follower.poll() is None
        time.sleep(0.2)
    follower.send_signal(signal.SIGINT)
    assert follower.wait(PATIENCE) == 0


@pytest.fixture(scope="module")
def files(tmp_path_factory, worker_id):
    """A folder with every file that a page may name, made by the first process of tests that asks for it."""
    if worker_id == "master":
        return _make_files(tmp_path_factory.mktemp("files"))
    folder = tmp_path_factory.getbasetemp().parent / "files"
    with FileLock(f"{folder}.lock"):
        return folder if folder.exists() else _make_files(folder.parent / "making").rename(folder)


def _make_files(folder):
    """Make them, results of a search among them."""
    folder.mkdir(exist_ok=True)
    for arguments in (
        ["simulate", "movie.tif"],
        ["search", "movie.tif", "--annotation", "movie.annotation.zarr", "--run", "search.menndl"],
        ["predict", "search.menndl", "movie.tif", "--out", "prediction.zarr"],
    ):
        run(arguments, folder)
    shutil.copytree(folder / "movie.annotation.zarr", folder / "labels.zarr")
    movie, labels = open_movie(folder / "movie.tif"), np.asarray(Annotation.open(folder / "labels.zarr").labels) > 0
    # Of one class, which has no name in an image.
    tifffile.imwrite(folder / "labels.tif", labels[0].astype(np.uint8))
    named = Annotation.from_labels(labels.astype(np.uint8), ["defect"], pixel_size=movie.pixel_size)
    named.save(folder / "labels-of-later-frames.zarr")
    clicks = pd.DataFrame(label_components(labels[0]).centres, columns=["y", "x"])
    clicks.assign(frame=0).to_csv(folder / "clicks.csv", index=False)
    (folder / "series").mkdir()
    for t in range(len(movie)):
        tifffile.imwrite(folder / "series" / f"{t}.tif", movie.frame(t))
    for copy in ("day1/movie.tif", "day2/movie.tif", "day2.tif"):
        (folder / copy).parent.mkdir(exist_ok=True)
        shutil.copy(folder / "movie.tif", folder / copy)
    return folder


def shown(page):
    return page.relative_to(ROOT).as_posix()


def runs(page):
    return any(not block.reason for block in blocks(page))


@pytest.mark.parametrize("page", [page for page in PAGES if runs(page)], ids=shown)
def test_what_a_page_shows_can_be_done_and_leaves_what_it_says(page, files, tmp_path):
    folder = tmp_path / "work"
    shutil.copytree(files, folder)
    run_here = [block for block in blocks(page) if not block.reason]
    commands = [words for block in run_here if block.language == "bash" for words in block.commands]
    made = [place for words in commands for place in written(words)]
    for place in {*made, *(words[1] for words in commands if words[0] == "simulate")}:
        _remove(folder / place)
    for profile in YAML.findall(page.read_text(encoding="utf-8")):
        (folder / "profile.yaml").write_text(profile)
    for words in commands:
        run(words, folder)
    assert all((folder / place).exists() for place in made)
    for block in run_here:
        if block.language == "python":
            _remove(folder / "my-search.menndl")
            _remove(folder / "search.menndl")
            code = re.sub(r'budget="[^"]*"', 'budget="1networks", pixels=300_000', block.text)
            code = code.replace("frames=20, shape=(256, 256)", "frames=3, shape=(128, 128)")
            subprocess.run([sys.executable, "-c", code], cwd=folder, env={**os.environ}, check=True)


def _remove(place):
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_a_block_is_run_or_says_why_not(page):
    for block in blocks(page):
        assert block.reason or block.language == "python" or block.commands
