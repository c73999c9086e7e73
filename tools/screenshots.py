"""The pictures of the documentation, taken from the running plugin: ``make screenshots``.

A simulated movie goes through the whole workflow: annotated frames, a real search, review, live review.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

# Nothing of the person who runs this is read or changed.
os.environ["NAPARI_MENNDL_DATA"] = tempfile.mkdtemp(prefix="menndl-pictures-")
os.environ["NAPARI_CONFIG"] = os.path.join(os.environ["NAPARI_MENNDL_DATA"], "settings.yaml")

import napari
import numpy as np
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_menndl import Annotation, open_movie, simulate_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.widgets.workflow import ANNOTATE, REVIEW, SEARCH

if TYPE_CHECKING:
    from napari_menndl import Movie
    from napari_menndl.widgets.review.dock import ReviewFrames
    from napari_menndl.widgets.workflow import Workflow

SMALL, LARGE = (1280, 800), (1920, 1080)


class Photographer:
    """Takes pictures of a window, in both themes and sizes.

    Parameters
    ----------
    viewer : napari.Viewer
    out : Path
    """

    def __init__(self, viewer: napari.Viewer, out: Path) -> None:
        self.viewer = viewer
        self.out = out

    def shoot(self, name: str, theme: str = "dark", size: tuple[int, int] = SMALL, whole: bool = True) -> None:
        self.viewer.theme = theme
        self.viewer.window.resize(*size)
        wait_for(lambda: False, 0.4)
        if whole:
            self.viewer.reset_view()
        for one in QApplication.allWidgets():
            if type(one).__name__ == "NapariQtNotification":
                one.close()  # it would lie over the scale bar
        wait_for(lambda: False, 0.4)
        path = self.out / f"{name}.png"
        self.viewer.screenshot(str(path), canvas_only=False, flash=False)
        print(f"{path}", flush=True)


def wait_for(true, seconds: float) -> bool:
    """Let the window live until something is true, or for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        if true():
            return True
        time.sleep(0.005)
    return False


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs" / "images")
    parser.add_argument("--minutes", type=float, default=3, help="of the search")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="menndl-movie-"))
    simulated = simulate_movie(12, (256, 256))
    write_movie(simulated.movie, folder / "ws2.tif")
    truth = Annotation.from_simulation(simulated, frames=[0, 6])
    truth.note(open_movie(folder / "ws2.tif"))
    truth.save(folder / "ws2.annotation.zarr")

    viewer = napari.Viewer(title="napari-menndl")
    camera = Photographer(viewer, asked.out)
    viewer.open(folder / "ws2.tif", plugin="napari-menndl")
    viewer.dims.set_current_step(0, 0)
    _, workflow = viewer.window.add_plugin_dock_widget("napari-menndl", "MENNDL workflow")
    workflow.go_to(ANNOTATE)
    annotate = workflow.dock(ANNOTATE)
    wait_for(lambda: annotate.choice.offer.isVisible(), 5)
    annotate.choice.offer.click()
    camera.shoot("annotate")
    camera.shoot("annotate-light", "light")

    workflow.go_to(SEARCH)
    search = workflow.dock(SEARCH)
    search.setup.learn["frames"].value = "0"
    search.setup.place["run"].value = folder / "ws2.menndl"
    search.setup.budget.minutes.setValue(max(1, round(asked.minutes)))
    camera.shoot("search-setup")
    search.start_button.click()
    wait_for(lambda: search.snapshot is not None and search.snapshot.best is not None, 120)
    search.best_box.setChecked(True)
    wait_for(lambda: search.snapshot.state != "running", 0.6 * 60 * asked.minutes)
    camera.shoot("search")
    camera.shoot("search-light", "light", LARGE)
    camera.shoot("search-large", "dark", LARGE)
    wait_for(lambda: search.snapshot.state == "finished", 120 * asked.minutes)
    search.best_box.setChecked(False)

    viewer.dims.set_current_step(0, 6)
    workflow.go_to(REVIEW)
    review = workflow.dock(REVIEW)
    wait_for(lambda: review.shown is not None, 60)
    wait_for(lambda: not review.movie.going and not review.movie.busy, 120)
    viewer.dims.set_current_step(0, 6)
    wait_for(lambda: review.shown is not None and review.shown.frame == 6, 20)
    camera.shoot("review")
    camera.shoot("review-light", "light", LARGE)
    review.controls.errors.next.click()
    camera.shoot("review-error", whole=False)
    show_tracks(camera, review)
    show_next_region(camera, workflow, folder / "ws2.menndl")

    viewer.layers.clear()
    viewer.window.remove_dock_widget("all")
    show_live(camera, folder / "ws2.menndl", simulated.movie)
    viewer.close()


def show_tracks(camera: Photographer, review: ReviewFrames) -> None:
    """Follow the defects of the reviewed frames."""
    last = len(review.inputs.movie) - 1
    review.walk.let_go()
    review.go_to(last)
    wait_for(lambda: review.shown is not None and review.shown.frame == last, 20)
    wait_for(lambda: not review.movie.going and not review.movie.busy, 120)
    review.controls.through_time.expand(animate=False)
    review.controls.tracks.follow.click()
    wait_for(lambda: review.tracks.found is not None, 60)
    wait_for(lambda: False, 1)  # until all is laid out
    bar = review.controls.verticalScrollBar()
    bar.setValue(bar.maximum())
    camera.shoot("tracks")
    review.tracks.forget()


def show_next_region(camera: Photographer, workflow: Workflow, run: Path) -> None:
    """Ask where to look next."""
    workflow.go_to(ANNOTATE)
    annotate = workflow.dock(ANNOTATE)
    suggest = annotate.panel.next_region
    suggest.form["network"].value = run
    annotate.panel.show_section("Where to look next")
    suggest.button.click()
    wait_for(lambda: suggest.shown is not None, 120)
    camera.viewer.layers["review"].visible = False
    wait_for(lambda: False, 0.5)  # until all is laid out
    annotate.panel.show_next_region()
    camera.shoot("next-region", whole=False)
    suggest.hide_rectangle()


def show_live(camera: Photographer, run: Path, movie: Movie) -> None:
    """Follow a folder that gets new frames; then the defects as points, with their table."""
    _, live = camera.viewer.window.add_plugin_dock_widget("napari-menndl", "Live review")
    series = run.parent / "live"
    series.mkdir()
    live.form["network"].value = run
    live.form["pixel_size"].value = movie.pixel_size[0]
    live.form["source"].value = series
    live.form["tables"].value = run.parent / "tables"
    live.button.click()
    wait_for(lambda: live.following, 30)
    for t in range(len(movie)):
        tifffile.imwrite(series / f"{t:03}.tif", np.asarray(movie.frame(t)))
        wait_for(lambda t=t: t in live.frames.counts, 10)
    camera.shoot("live")
    live.stop()
    live.points.click()
    dock, _ = camera.viewer.window.add_plugin_dock_widget("napari", "Features table widget")
    dock.parentWidget().addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, dock)
    live.view.overlay.layer.visible = False
    camera.shoot("points")


if __name__ == "__main__":
    main()
