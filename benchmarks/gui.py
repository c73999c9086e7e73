"""Does the window answer while a search runs on the same machine? ``python benchmarks/gui.py [--quick] [--again]``.

A real napari window (where there is no screen: ``tools/with-screen python benchmarks/gui.py``) has a movie of
200 frames of 2048² open while a real search trains networks in two slots at lowest priority. A timer of 5 ms on the
main thread tells how long the thread was away, phase by phase: watching the search, scrubbing, painting, reviewing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ["NAPARI_MENNDL_DATA"] = tempfile.mkdtemp(prefix="menndl-gui-")
os.environ["NAPARI_CONFIG"] = os.path.join(os.environ["NAPARI_MENNDL_DATA"], "settings.yaml")
sys.path.append(str(Path(__file__).parents[1] / "tests" / "widgets"))

import napari
import numpy as np
from mouse import stroke
from qtpy.QtCore import QEventLoop, QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication

from cells import read_cell, write_cell
from napari_menndl import Annotation, open_movie, run_search, simulate_movie
from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.widgets.layers import annotation_layer, movie_layer

TICK = 5.0
NAME = "gui"
#: Frames that are predicted before one scrubs through them.
CACHED = range(5)


class Pulse(QObject):
    """Ticks on the main thread, and keeps how long it waited beyond a tick [ms]."""

    def __init__(self) -> None:
        super().__init__()
        self.late: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(int(TICK))

    def _tick(self) -> None:
        now = time.perf_counter()
        self.late.append(max(0.0, 1000 * (now - self._last) - TICK))
        self._last = now

    def begin(self) -> None:
        self.late, self._last = [], time.perf_counter()

    def report(self) -> dict[str, float]:
        late = np.array(self.late)
        return {
            "longest stall [ms]": round(float(late.max()), 1),
            "99th percentile [ms]": round(float(np.percentile(late, 99)), 1),
            "median [ms]": round(float(np.median(late)), 2),
            "ticks": len(late),
        }


def live(seconds: float) -> None:
    """Let the window live, as a person's would."""
    loop = QEventLoop()
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    loop.exec()


def wait_for(true, seconds: float) -> float:
    """Seconds until something is true."""
    began = time.perf_counter()
    while not true():
        if time.perf_counter() - began > seconds:
            raise TimeoutError("waited in vain")
        live(0.002)
    return time.perf_counter() - began


def phase(pulse: Pulse, seconds: float, act=None, every: float = 0.1) -> dict[str, float]:
    """Measure the pulse while something is done again and again."""
    timer = QTimer()
    if act is not None:
        timer.timeout.connect(act)
        timer.start(int(1000 * every))
    live(0.5)
    pulse.begin()
    live(seconds)
    timer.stop()
    return pulse.report()


def big_movie(folder: Path, frames: int, edge: int, seed: int) -> tuple[Path, np.ndarray]:
    """A movie on disk, made of one simulated frame, moved and dimmed from frame to frame, and that frame's labels."""
    simulated = simulate_movie(1, (512, 512), noise_seed=seed)
    tile = simulated.movie.frame(0)
    scaled = np.clip(255 * (tile - tile.min()) / np.ptp(tile), 0, 255).astype(np.uint8)
    big = np.tile(scaled, (edge // 512, edge // 512))
    path = folder / "movie.npy"
    data = np.lib.format.open_memmap(path, "w+", np.uint8, (frames, edge, edge))
    for t in range(frames):
        data[t] = np.roll(big, 3 * t, axis=1)
    data.flush()
    return path, np.tile(np.asarray(simulated.labels)[0], (edge // 512, edge // 512))


def measure(frames: int, edge: int, seconds: float, seed: int) -> dict[str, object]:
    folder = Path(tempfile.mkdtemp(prefix="menndl-gui-movie-"))
    path, labels = big_movie(folder, frames, edge, seed)
    movie = open_movie(path, pixel_size=simulate_movie(1, (64, 64)).movie.pixel_size)
    learned = simulate_movie(1, (256, 256))
    truth = Annotation.from_simulation(learned)
    run = run_search(learned.movie, truth, budget="1h", run=folder / "search.menndl", seed=seed, wait=False)
    found: dict[str, object] = {"frames": frames, "edge [px]": edge, "phases": {}, "dock [s]": {}}
    viewer = napari.Viewer(title="napari-menndl")
    try:
        viewer.window.resize(1280, 800)
        data, about, _ = movie_layer(movie)
        viewer.add_image(data, **about)
        annotation = Annotation.create(
            folder / "movie.annotation.zarr", movie.shape, ["defect"], pixel_size=movie.pixel_size
        )
        annotation.paint(0, (labels > 0).astype(np.uint8))
        annotation.set_status(0, FrameStatus.COMPLETE)
        data, about, _ = annotation_layer(annotation)
        # napari alone: the same labels as a plain array in memory, in the same window.
        plain = np.zeros(movie.shape, np.uint8)
        plain[0] = labels > 0
        memory = viewer.add_labels(plain, **(about | {"metadata": {}, "name": "in memory"}))
        viewer.dims.set_current_step(0, 0)
        live(2)
        pulse = Pulse()
        phases, docks = found["phases"], {}
        steps, rng, took = iter(range(10**9)), np.random.default_rng(seed), []

        def step() -> None:
            viewer.dims.set_current_step(0, next(steps) % 20)

        def paint(layer) -> None:
            y, x = rng.uniform(0.3 * edge, 0.7 * edge, 2)
            began = time.perf_counter()
            stroke(viewer, layer, (y, x), (y + 5, x + 20), (y + 10, x + 40))
            took.append(time.perf_counter() - began)

        def painting(layer) -> dict[str, float]:
            viewer.dims.set_current_step(0, 0)
            live(1)
            took.clear()
            layer.mode, layer.selected_label, layer.brush_size = "paint", 1, 10
            viewer.layers.selection.active = layer
            late = phase(pulse, seconds, lambda: paint(layer), 0.5)
            return late | {"stroke [ms]": round(1000 * float(np.median(took)), 1)}

        # What drawing in software and napari itself take, before any dock is there.
        phases["napari alone, idle"] = phase(pulse, seconds)
        phases["napari alone, scrubbing"] = phase(pulse, seconds, step)
        found["napari alone, scrub [frames/s]"] = scrub(viewer)
        phases["napari alone, painting"] = painting(memory)
        viewer.layers.remove(memory)
        del memory, plain
        layer = viewer.add_labels(data, **about)
        for name in ("Annotate defects", "Search networks", "Review frames"):
            began = time.perf_counter()
            _, docks[name] = viewer.window.add_plugin_dock_widget("napari-menndl", name, tabify=True)
            wait_for(docks[name].isVisible, 20)
            live(0)
            found["dock [s]"][name] = round(time.perf_counter() - began, 3)
        search, review = docks["Search networks"], docks["Review frames"]
        search.open_run(run.path)
        wait_for(lambda: search.snapshot is not None and search.snapshot.best is not None, 300)
        phases["watching the search"] = phase(pulse, seconds)
        saved = run.best.save(folder / "best.safetensors")
        layer.mode = "pan_zoom"
        viewer.dims.set_current_step(0, 0)
        live(1)
        began = time.perf_counter()
        review.open_run(saved)
        wait_for(lambda: review.display.overlay.drawn is not None, 120)
        found["first overlay, a part [s]"] = round(time.perf_counter() - began, 2)
        wait_for(lambda: review.shown is not None, 120)
        found["first overlay [s]"] = round(time.perf_counter() - began, 2)
        for t in CACHED:
            viewer.dims.set_current_step(0, t)
            wait_for(lambda t=t: review.shown is not None and review.shown.frame == t, 120)
        found["scrub [frames/s]"] = scrub(viewer, review)
        phases["scrubbing, overlay on"] = phase(pulse, seconds, step)
        layer.visible = True
        phases["painting, annotated and reviewed"] = painting(layer)
        for slider, took_ms in preview(viewer, docks["Annotate defects"], folder, seed).items():
            phases[f"Fourier preview, {slider}"] = took_ms
        found["search was still running"] = run.state == "running"
    finally:
        run.stop()
        viewer.close()
        run.wait()
    return found


def scrub(viewer: napari.Viewer, review=None) -> float:
    """Frames per second: each drawn, with its overlay, before the next is asked for."""
    canvas, drawn = viewer.window._qt_viewer.canvas.native, []
    connection = canvas.frameSwapped.connect(lambda: drawn.append(time.perf_counter()))
    number, began = 0, time.perf_counter()
    for _ in range(4):
        for t in CACHED:
            before = len(drawn)
            viewer.dims.set_current_step(0, t)
            assert review is None or review.display.overlay.drawn is review.movie.reviews[t]
            while len(drawn) == before:
                QApplication.processEvents()
            number += 1
    canvas.frameSwapped.disconnect(connection)
    return round(number / (time.perf_counter() - began), 1)


def preview(viewer: napari.Viewer, dock, folder: Path, seed: int, moves: int = 20) -> dict[str, dict[str, float]]:
    """How long after a move of each slider of the Fourier helper the outlines are drawn, on a frame of 1024² [ms]."""
    movie = simulate_movie(1, (1024, 1024), noise_seed=seed).movie
    data, about, _ = movie_layer(movie)
    shown, chosen, helper = viewer.add_image(data, **about), dock.choice.form["movie"].value, dock.panel.fourier
    dock.choice.form["movie"].value = shown
    dock.choice.begin(folder / "small.annotation.zarr")
    helper.button.setChecked(True)
    wait_for(lambda: helper.proposed is not None, 60)
    found = {}
    for name, (low, high) in {"inner": (0.005, 0.05), "outer": (0.1, 0.4), "threshold": (2.0, 6.0)}.items():
        took = []
        for value in np.linspace(low, high, moves):
            live(0.1)
            began = time.perf_counter()
            helper.form[name].value = value
            wait_for(lambda: helper.proposed is not None and helper.proposed[1] == helper.settings, 20)
            viewer.window._qt_viewer.canvas.native.repaint()
            took.append(1000 * (time.perf_counter() - began))
        found[name] = {"move to picture, median [ms]": round(float(np.median(took)), 1)}
        found[name]["move to picture, longest [ms]"] = round(max(took), 1)
    helper.button.setChecked(False)
    dock.choice.form["movie"].value = chosen
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 frames of 1024², short phases, nothing kept")
    parser.add_argument("--again", action="store_true", help="measure again what was measured")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(f"Expected time: {'1' if asked.quick else '4'} min")
    found = None if asked.again or asked.quick else read_cell(NAME)
    if found is None:
        found = measure(20, 1024, 4, asked.seed) if asked.quick else measure(200, 2048, 20, asked.seed)
        if not asked.quick:
            write_cell(NAME, asked.seed, found)
    columns = ("longest stall [ms]", "99th percentile [ms]", "median [ms]", "stroke [ms]")
    columns += ("move to picture, median [ms]", "move to picture, longest [ms]")
    print(f"| while | {' | '.join(columns)} |\n|{'---|' * (1 + len(columns))}")
    for name, late in found["phases"].items():
        print(f"| {name} | {' | '.join(str(late.get(k, '–')) for k in columns)} |")
    print({k: v for k, v in found.items() if k != "phases"})


if __name__ == "__main__":
    main()
