"""What a prediction is of: enough to read it without network and movie, and to know it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.predict.scale import PixelSize, resampled_shape, scale_between

if TYPE_CHECKING:
    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.prediction import Predictor


@dataclass(frozen=True)
class Outline:
    """Classes, thresholds and scale of a prediction.

    Attributes
    ----------
    network : str
        Digest of what predicted.
    movie : str
        Name of the movie.
    shape : (T, Y, X)
        Of the movie.
    pixel_size : (y, x) float [nm] or None
        Of the movie.
    class_names : C str
    thresholds : C float
    min_areas : C int [px]
        Smaller defects are dropped; in pixels of the movie.
    """

    network: str
    movie: str
    shape: tuple[int, int, int]
    pixel_size: PixelSize | None
    class_names: tuple[str, ...]
    thresholds: tuple[float, ...]
    min_areas: tuple[int, ...]

    @classmethod
    def of(cls, network: Predictor, movie: Movie) -> Outline:
        """Outline of the prediction of a movie by a network.

        Raises
        ------
        InputError
            If only one of movie and network knows its pixel size, or its frames become too large at the network's.
        """
        factors = scale_between(movie.pixel_size, network.pixel_size) or (1.0, 1.0)
        resampled_shape(movie.shape[1:], factors)  # refused before anything is made room for
        scale = factors[0] * factors[1]
        return cls(
            network.digest,
            movie.name,
            movie.shape,
            movie.pixel_size,
            tuple(network.class_names),
            tuple(network.thresholds),
            tuple(max(1, round(detector.min_area / scale)) for detector in network.detectors),
        )

    def to_json(self) -> dict[str, Any]:
        """Dicts and lists; an infinite threshold as null, since JSON knows no infinity."""
        plain = asdict(self)
        plain["thresholds"] = [t if t < float("inf") else None for t in self.thresholds]
        return plain

    @classmethod
    def from_json(cls, data: Any) -> Outline:
        """Undo `to_json`.

        Raises
        ------
        InputError
            If something is missing or of the wrong type.
        """
        try:
            count, height, width = map(int, data["shape"])
            size = data["pixel_size"]
            return cls(
                str(data["network"]),
                str(data["movie"]),
                (count, height, width),
                None if size is None else (float(size[0]), float(size[1])),
                tuple(map(str, data["class_names"])),
                tuple(float("inf") if t is None else float(t) for t in data["thresholds"]),
                tuple(map(int, data["min_areas"])),
            )
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise InputError("the outline of a prediction", repr(problem), "Predict the movie anew.") from problem
