"""The sample behind File › Open Sample › MENNDL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.movie.simulation import simulate_movie
from napari_menndl.widgets.layers import annotation_layer, movie_layer

if TYPE_CHECKING:
    from napari_menndl.widgets.layers import LayerData


def simulated_ws2() -> list[LayerData]:
    """A simulated movie of Mo-doped WS2 under the beam, and where its defects truly are."""
    simulated = simulate_movie(frames=20, shape=(256, 256))
    movie = simulated.movie
    truth = Annotation.from_simulation(simulated)
    return [movie_layer(movie), annotation_layer(truth, movie.frame_time)]
