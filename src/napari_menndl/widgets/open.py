"""Opening of a movie, its annotation and the dock "Review frames" in napari, from code."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import napari

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.movie.reading import open_movie
from napari_menndl.widgets.layers import annotation_layer, movie_layer

if TYPE_CHECKING:
    import os

    from napari_menndl.movie.movie import Movie
    from napari_menndl.widgets.review.dock import ReviewFrames


def open_review(
    movie: Movie,
    annotation: Annotation | None,
    run: str | os.PathLike[str],
    *,
    frame: int = 0,
    viewer: napari.Viewer | None = None,
    block: bool = True,
) -> ReviewFrames:
    """Show a movie with the prediction of a run over one of its frames.

    Parameters
    ----------
    movie : Movie
    annotation : Annotation, optional
    run : path
        A run folder, a saved network or a stored prediction.
    frame : int
        The frame to begin with.
    viewer : napari.Viewer, optional
        The viewer to use; a new window by default.
    block : bool
        Whether to return only when the window is closed, as a script needs it.

    Returns
    -------
    ReviewFrames
        The dock, reviewing the frame.
    """
    viewer = viewer or napari.Viewer(title="napari-menndl")
    data, about, _ = movie_layer(movie)
    viewer.add_image(data, **about)
    if annotation is not None:
        data, about, _ = annotation_layer(annotation, movie.frame_time)
        viewer.add_labels(data, **about)
    viewer.canvas.overlays.scale_bar.visible = movie.pixel_size is not None
    viewer.dims.set_current_step(0, frame)
    _, dock = viewer.window.add_plugin_dock_widget("napari-menndl", "Review frames")
    dock.open_run(run)
    if block:
        napari.run()
    return dock


def main() -> None:
    """Run ``python -m napari_menndl.widgets.open MOVIE ANNOTATION RUN [--frame N]``."""
    parser = argparse.ArgumentParser(description="Show a movie with the prediction of a run in napari.")
    for name in ("movie", "annotation", "run"):
        parser.add_argument(name)
    parser.add_argument("--frame", type=int, default=0)
    asked = parser.parse_args()
    open_review(open_movie(asked.movie), Annotation.open(asked.annotation), asked.run, frame=asked.frame)


if __name__ == "__main__":
    main()
