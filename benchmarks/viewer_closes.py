"""Closes of napari at a random moment of its work: whether it ends cleanly each time.

    python benchmarks/viewer_closes.py [--closes 20] [--seed 0] [--quick] [--again]

A real napari (where there is no screen: ``tools/with-screen python benchmarks/viewer_closes.py``) opens a movie of
2048² frames with a small trained network and begins to work: it reviews frames, proposes and tunes with a helper,
searches and shows the best, follows a movie live, stops following one that grows, predicts several movies, closes its
docks. Its window is closed at a random moment. Counted are processes that end otherwise than with 0, that have not
ended after a minute, and what they leave running.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import count, cycle, islice
from pathlib import Path

import numpy as np
import psutil
import tifffile

from cells import Numbers, read_cell, write_cell
from napari_menndl import Annotation, open_movie, open_run, run_search, simulate_movie
from napari_menndl.movie.writing import write_movie

NAME = "viewer_closes"
EDGE, FRAMES = 2048, 4
#: Until a process counts as hanging, after its window was closed [s].
PATIENCE = 60.0
#: How long after the work began the window is closed at most [s].
LATEST = 8.0


def prepare(folder: Path, seed: int) -> None:
    """A movie with one annotated frame, and a network that was trained for a moment on a part of it."""
    simulated = simulate_movie(1, (512, 512), noise_seed=seed)
    frame = np.tile(simulated.movie.frame(0), (EDGE // 512, EDGE // 512)).astype(np.float32)
    frames = np.stack([np.roll(frame, 7 * t, axis=1) for t in range(FRAMES)])
    size = simulated.movie.pixel_size
    write_movie(open_movie(frames, pixel_size=size), folder / "movie.tif")
    labels = np.zeros(frames.shape, np.uint8)
    labels[0] = np.tile(np.asarray(simulated.labels)[0] > 0, (EDGE // 512, EDGE // 512))
    Annotation.from_labels(labels, ["defect"], frames=[0], pixel_size=size).save(folder / "movie.annotation.zarr")
    small = simulate_movie(1, (128, 128), noise_seed=seed)
    settings = {"budget": "2networks", "pool": "serial", "pixels": 300_000, "founders": ("deep_fcn",), "rungs": 1}
    truth = Annotation.from_simulation(small)
    run_search(small.movie, truth, run=folder / "small.menndl", seed=seed, wait=True, **settings)
    open_run(folder / "small.menndl").best.save(folder / "network.safetensors")


def close_one(folder: Path, work: str, after: float) -> tuple[int | None, int]:
    """Exit code of a napari whose window is closed so long after `work` began, None where it hangs; what it left."""
    log = folder / f"{work}.log"
    with log.open("a") as told:
        child = subprocess.Popen(
            [sys.executable, __file__, "--work", work, "--after", str(after), "--folder", str(folder)],
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        )
        assert child.stdout is not None
        for line in child.stdout:
            if line == "closing\n":
                break
        mine = psutil.Process(child.pid)
        others = mine.children(recursive=True) if mine.is_running() else []
        try:
            code: int | None = child.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            code = None
            child.kill()
            child.wait()
    searches = [folder / "search.menndl"] if work == "search" else []
    for path in searches:
        if path.exists():
            if (path / "search.json").exists():  # else closed while the folder was being made: no search began
                open_run(path).stop()
                open_run(path).wait()
            path.rename(folder / f"search-{time.time_ns()}.menndl")
    _, left = psutil.wait_procs(others, 30)
    return code, len(left)


def measure(number: int, seed: int) -> Numbers:
    rng, codes, left, waited = np.random.default_rng(seed), [], 0, []
    with tempfile.TemporaryDirectory(prefix="menndl-closes-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ["NAPARI_MENNDL_DATA"], os.environ["NAPARI_CONFIG"] = str(folder), str(folder / "settings.yaml")
        prepare(folder, seed)
        for work in islice(cycle(WORK), number):
            after, began = float(rng.uniform(0.0, LATEST)), time.monotonic()
            code, more = close_one(folder, work, after)
            codes.append(code)
            left += more
            waited.append(time.monotonic() - began)
            print(f"{work}, closed after {after:.1f} s: {'hangs' if code is None else f'exit code {code}'}", flush=True)
            if code != 0:
                print((folder / f"{work}.log").read_text()[-3000:], flush=True)
    return {
        "closes": number,
        "crashes": sum(code not in (0, None) for code in codes),
        "hanging": codes.count(None),
        "processes left": left,
    }


# In the process that is closed ----------------------------------------------------------------------------------------


#: What is called at once before the window closes.
STOPPED = []


def review(viewer, folder: Path) -> None:
    dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Review frames")[1]
    dock.open_run(folder / "network.safetensors")


def helper(viewer, folder: Path) -> None:
    dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Annotate defects")[1]
    dock.choice.open_offered()
    for one in dock.panel.helpers:
        one.button.setChecked(True)
        one.tune_button.click()


def search(viewer, folder: Path) -> None:
    annotate = viewer.window.add_plugin_dock_widget("napari-menndl", "Annotate defects")[1]
    annotate.choice.open_offered()
    dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Search networks", tabify=True)[1]
    dock.setup.place["run"].value = folder / "search.menndl"
    dock.setup.learn["frames"].value = "0"
    dock.best_box.setChecked(True)
    dock.start()


def best(viewer, folder: Path) -> None:
    dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Search networks")[1]
    dock.best_box.setChecked(True)
    dock.open_run(folder / "small.menndl")


def live(viewer, folder: Path) -> None:
    dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Live review")[1]
    dock.form["network"].value = folder / "network.safetensors"
    dock.form["source"].value = folder / "movie.tif"
    dock.form["existing"].value = True
    dock.follow()


def stopped(viewer, folder: Path) -> None:
    """Frames arrive one by one; following is stopped as the window closes."""
    from qtpy.QtCore import QTimer

    dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Live review")[1]
    series = Path(tempfile.mkdtemp(dir=folder))
    dock.form["network"].value = folder / "network.safetensors"
    dock.form["source"].value = series
    movie = open_movie(folder / "movie.tif")
    dock.form["pixel_size"].value = movie.pixel_size[0]
    dock.follow()
    number, clock = count(), QTimer(dock)

    def arrive() -> None:
        t = next(number)
        tifffile.imwrite(series / f"{t:03}.tif", np.roll(movie.frame(0)[:512, :512], t, axis=1))

    clock.timeout.connect(arrive)
    clock.start(200)
    STOPPED.append(dock.stop)


def several(viewer, folder: Path) -> None:
    """Movies are predicted in turn, from a list."""
    dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Review frames")[1]
    dock.controls.what["source"].value = folder / "network.safetensors"
    dock.controls.movies.predict(Path(tempfile.mkdtemp(dir=folder)))


def closed(viewer, folder: Path) -> None:
    """Every dock is opened and closed again."""
    dock = viewer.window.add_plugin_dock_widget("napari-menndl", "MENNDL workflow")[1]
    for step in range(3):
        dock.go_to(step)
    live(viewer, folder)
    viewer.window.remove_dock_widget("all")


WORK = {
    "review": review,
    "helper": helper,
    "best": best,
    "search": search,
    "live": live,
    "stopped": stopped,
    "several": several,
    "closed": closed,
}


def work_and_close(work: str, after: float, folder: Path) -> None:
    """Open napari, begin the work, and close the window as a person does."""
    import faulthandler

    import napari
    from qtpy.QtCore import QTimer
    from qtpy.QtWidgets import QApplication, QMessageBox

    faulthandler.enable()
    viewer = napari.Viewer()
    viewer.open(folder / "movie.tif", plugin="napari-menndl")
    WORK[work](viewer, folder)
    window = viewer.window._qt_window

    def answer() -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            box.defaultButton().click()  # the search goes on

    def close() -> None:
        print("closing", flush=True)
        faulthandler.dump_traceback_later(PATIENCE - 10)
        QTimer.singleShot(500, answer)
        for stop in STOPPED:
            stop()
        window.close()

    QTimer.singleShot(int(1000 * after), close)
    napari.run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--closes", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="5 closes, nothing kept")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="measure again what was measured")
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    parser.add_argument("--after", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        work_and_close(asked.work, asked.after, asked.folder)
        return
    closes = 5 if asked.quick else asked.closes
    print(f"Expected time: {1 + closes / 3:.0f} min on 2 cores")
    found = None if asked.again or asked.quick else read_cell(NAME)
    if found is None:
        found = measure(closes, asked.seed)
        if not asked.quick:
            write_cell(NAME, asked.seed, found)
    print("\n".join(f"{key}: {value}" for key, value in found.items()))


if __name__ == "__main__":
    main()
