"""A napari that paints until it is killed, and what is then left of its strokes.

    tools/with-screen python tests/widgets/painting.py [--kills 20] [--seed 0]

The painter is a process of its own with a real window, the dock "Annotate defects" and a hand on the mouse. It reports
a stroke when the mouse is released and napari has answered.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.movie.reading import open_movie
from napari_menndl.movie.writing import write_movie

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari

FRAMES, SIZE, CELL = 8, 256, 16
CLASSES = 3


@dataclass(frozen=True)
class Loss:
    """What a series of kills did.

    Attributes
    ----------
    reported : int
        Strokes that were reported, over all painters.
    lost : list
        Those that are not on disk as they were reported: (frame, y, x, label).
    undone : int
        Strokes that could be undone after the last kill.
    """

    reported: int
    lost: list[tuple[int, int, int, int]]
    undone: int


def kill_painters(
    folder: Path,
    kills: int = 1,
    seed: int = 0,
    strokes: int = 15,
    run: Path | None = None,
    killed: Callable[[], None] = lambda: None,
) -> Loss:
    """Kill a painter again and again, each time at a random moment; the next one goes on with the annotation.

    Parameters
    ----------
    folder : Path
        Empty; for movie and annotation.
    kills, seed : int
    strokes : int
        About so many are painted before each kill.
    run : Path, optional
        Run folder of a search that the first painter starts and the others open.
    killed : callable
        Called after each kill.
    """
    rng = np.random.default_rng(seed)
    movie = folder / "movie.tif"
    write_movie(open_movie(rng.random((FRAMES, SIZE, SIZE)).astype(np.float32), pixel_size=0.02), movie)
    reported: list[tuple[int, int, int, int]] = []
    for _ in range(kills):
        reported += _kill_one(movie, len(reported), strokes, float(rng.uniform(0.0, 0.15)), run)
        killed()
    annotation = Annotation.open(folder / "movie.annotation.zarr", mode="r+")
    painted = {t: annotation.frame(t) for t in range(FRAMES)}
    lost = [stroke for stroke in reported if painted[stroke[0]][stroke[1:3]] != stroke[3]]
    lost += [stroke for stroke in reported if str(annotation.status[stroke[0]]) == "untouched"]
    undone = 0
    while annotation.undo() is not None:
        undone += 1
    return Loss(len(reported), lost, undone)


def _kill_one(movie: Path, first: int, strokes: int, delay: float, run: Path | None) -> list[tuple[int, int, int, int]]:
    with (movie.parent / "painter.log").open("a") as log:
        painter = subprocess.Popen(
            [sys.executable, __file__, "--paint", str(movie), "--first", str(first)]
            + (["--run", str(run)] if run else []),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert painter.stdout is not None
    lines = []
    try:
        while len(lines) < strokes and (line := painter.stdout.readline()):
            lines.append(line)
        time.sleep(delay)
    finally:
        painter.send_signal(signal.SIGKILL)
        # What it reported between the last look and its death counts as well; a torn line does not.
        lines += [line for line in painter.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        painter.wait()
    if len(lines) < strokes:
        raise RuntimeError((movie.parent / "painter.log").read_text())
    return [tuple(json.loads(line)) for line in lines]


def paint(movie: Path, first: int, run: Path | None = None) -> None:
    """Paint one stroke after the other, each in a place of its own, and report it; in between, start the search."""
    import napari
    from mouse import stroke
    from qtpy.QtWidgets import QApplication

    report = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever else is printed is no report
    viewer = napari.Viewer()
    viewer.open(movie, plugin="napari-menndl")
    _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Annotate defects")
    if dock.choice.offered is None:
        dock.choice.begin()
        for name in ("second", "third"):
            dock.annotation.add_class(name)
    else:
        dock.choice.open_offered()
    layer = dock.annotation_layer
    layer.brush_size = 4
    QApplication.processEvents()
    across = SIZE // CELL - 2
    for number in range(first, FRAMES * across**2):
        t, cell = number % FRAMES, number // FRAMES
        y, x = (CELL * (1 + n) + CELL // 2 for n in divmod(cell, across))
        viewer.dims.set_current_step(0, t)
        layer.selected_label = 1 + number % CLASSES
        stroke(viewer, layer, (y, x), (y, x + 3), (y + 3, x + 3))
        print(json.dumps([t, y, x, layer.selected_label]), file=report, flush=True)
        if run and number == first + 10:
            dock.annotation.set_status(0, "complete")
            watch_search(viewer, run)


def watch_search(viewer: napari.Viewer, run: Path) -> None:
    """Start a search of tiny networks in the dock "Search networks", or open it there."""
    from qtpy.QtWidgets import QApplication

    sys.path.append(str(Path(__file__).parents[1]))
    from tiny import SPACE

    _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Search networks")
    if run.exists():
        dock.open_run(run)
    else:
        SPACE.save(run.parent / "space.json")
        dock.setup.learn["frames"].value = "0"
        dock.setup.place["run"].value = run
        dock.setup.budget.minutes.setValue(60)
        advanced = {"space": run.parent / "space.json", "population": 4, "pixels": 60_000, "rungs": 1}
        for name, value in advanced.items():
            dock.setup.advanced[name].value = value
        dock.start()
    end = time.monotonic() + 600
    while dock.snapshot is None or not dock.snapshot.evaluations:
        if time.monotonic() > end:
            raise TimeoutError(f"no evaluation of {run} in the dock")
        QApplication.processEvents()
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--paint", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.paint:
        paint(asked.paint, asked.first, asked.run)
        return
    with tempfile.TemporaryDirectory() as folder:
        loss = kill_painters(Path(folder), asked.kills, asked.seed)
    print(f"{asked.kills} kills: {loss.reported} strokes reported, {len(loss.lost)} lost; {loss.undone} can be undone")


if __name__ == "__main__":
    main()
