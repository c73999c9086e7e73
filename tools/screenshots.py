"""The pictures of the documentation, taken from the running plugin: ``make screenshots``.

A simulated movie goes through the whole workflow: annotated frames, a real search, review, live review.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

# Nothing of the person who runs this is read or changed.
os.environ["NAPARI_MENNDL_DATA"] = tempfile.mkdtemp(prefix="menndl-pictures-")
os.environ["NAPARI_CONFIG"] = os.path.join(os.environ["NAPARI_MENNDL_DATA"], "settings.yaml")

import napari
import numpy as np
import tifffile
from qtpy.QtWidgets import QApplication

from napari_menndl import Annotation, open_movie, simulate_movie
from napari_menndl.movie.writing import write_movie
from napari_menndl.widgets.workflow import ANNOTATE, REVIEW, SEARCH

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
    (image,) = viewer.open(folder / "ws2.tif", plugin="napari-menndl")
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

    viewer.layers.clear()
    viewer.window.remove_dock_widget("all")
    _, live = viewer.window.add_plugin_dock_widget("napari-menndl", "Live review")
    series = folder / "live"
    series.mkdir()
    live.form["network"].value = folder / "ws2.menndl"
    live.form["pixel_size"].value = image.metadata["pixel_size"][0]
    live.form["source"].value = series
    live.button.click()
    wait_for(lambda: live.following, 30)
    for t in range(len(simulated.movie)):
        tifffile.imwrite(series / f"{t:03}.tif", np.asarray(simulated.movie.frame(t)))
        wait_for(lambda t=t: t in live.frames.counts, 10)
    camera.shoot("live")
    live.stop()
    viewer.close()


if __name__ == "__main__":
    main()
