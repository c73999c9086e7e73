"""Source of predictions that are made by a pool instead of this computer."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from napari_menndl.predict.background import BackgroundWriter
from napari_menndl.widgets.review.sources import PredictedSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.prediction import Prediction
    from napari_menndl.predict.prediction_spec import Predictor
    from napari_menndl.training.inference import Part


class PooledSource(PredictedSource):
    """`PredictedSource` on a pool: the whole movie is predicted in the background, frames in view first.

    The pool does not compute the agreement of an ensemble's networks.

    Parameters
    ----------
    prediction : Prediction
    network : TrainedNetwork or Ensemble
    movie : Movie
    pool : str
        As `open_pool` takes it.
    """

    members = 0

    def __init__(self, prediction: Prediction, network: Predictor, movie: Movie, pool: str) -> None:
        super().__init__(prediction, network, movie)
        self._pool = pool
        self._writer: BackgroundWriter | None = None

    def remembers(self, t: int) -> bool:
        return self._prediction.is_written(t)

    def look(self, t: int) -> None:
        if self._writer is not None:
            self._writer.look(t)

    def predict_parts(
        self, t: int, thresholds: Sequence[float] | None, centre: tuple[float, float]
    ) -> Iterator[tuple[Part, np.ndarray, int]]:
        """Return no parts, because the pool predicts whole frames."""
        return iter(())

    def keep(self, place: Path | None) -> None:
        """Write what the pool predicts to a place; None for a folder that is removed at the end.

        Raises
        ------
        InputError
            If something else is there, or it cannot be written.
        """
        if place is None:
            if self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="menndl-", ignore_cleanup_errors=True)
            place = Path(self._temporary.name) / "prediction.zarr"
        if place != self._place or self._writer is None:
            self.close()
            self._prediction.write(place, frames=())
            self._place, self._writer = place, BackgroundWriter(self._prediction, place, self._pool)

    def rest(self) -> None:
        if self._writer is not None:
            self._writer.rest()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _predict(self, t: int) -> np.ndarray:
        writer = self._writer
        if writer is not None:
            writer.wait_for(t)
        return self._prediction.frame_probabilities(t)
