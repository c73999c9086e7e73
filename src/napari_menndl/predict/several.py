"""Prediction of several movies: a stored prediction of each, and a table of the defects of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write
from napari_menndl.movie.preparation import prepared_alike
from napari_menndl.predict.prediction import Prediction
from napari_menndl.tables import table_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_menndl.movie.movie import Movie
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.predict.trained import TrainedNetwork

#: File name of the defect table in the folder of several predictions.
TABLE = "defects.csv"


class DefectTable:
    """Table of the defects of movies, CSV or Parquet by its suffix, rewritten after each movie.

    Parameters
    ----------
    path : Path
    several : bool
        Whether a column names the movie of each defect.
    """

    def __init__(self, path: Path, several: bool) -> None:
        self.path, self._several = path, several
        self._found: list[pd.DataFrame] = []

    def __len__(self) -> int:
        return sum(map(len, self._found))

    def add(self, movie: str, defects: pd.DataFrame) -> None:
        """Add the defects of a movie, under the name given by the user.

        Raises
        ------
        OSError
            If the table cannot be written.
        """
        if self._several:
            defects = defects.copy()
            defects.insert(0, "movie", movie)
        self._found.append(defects)
        atomic_write(self.path, table_bytes(pd.concat(self._found, ignore_index=True), self.path))


def predict_movie(
    prediction: Prediction,
    place: Path,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
    pool: str | None = None,
    *,
    anew: bool = False,
    agreement: bool = False,
) -> tuple[pd.DataFrame, int, InputError | None]:
    """Predict and store a movie, and return its defects even if some frames fail.

    Parameters
    ----------
    prediction : Prediction
    place, progress, cancel, pool, anew
        As for `Prediction.write`.
    agreement : bool
        As for `Prediction.find_defects`.

    Returns
    -------
    defects : DataFrame
        Defects of the predicted frames.
    frames : int
        Number of predicted frames.
    problem : InputError or None
        Error of the frames that could not be predicted.

    Raises
    ------
    InputError
        If no frame could be predicted.
    """
    problem = None
    try:
        prediction.write(place, progress, cancel, pool=pool, anew=anew)
    except InputError as error:
        if not prediction.written:
            raise
        problem = error
    frames = [t for t in range(len(prediction)) if prediction.is_written(t)]
    return prediction.find_defects(frames, agreement=agreement), len(frames), problem


def prediction_of(
    network: TrainedNetwork | Ensemble,
    movie: Movie,
    progress: Callable[[int, int], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Prediction:
    """Return the prediction of a movie, prepared like the one the network was trained on.

    Parameters
    ----------
    network : TrainedNetwork or Ensemble
    movie : Movie
    progress, cancel : callable, optional
        For the measurement of the drift, as for `Movie.prepared`.
    """
    return Prediction(network, prepared_alike(movie, network.steps, progress, cancel))


def places_for(movies: Sequence[Path], to: Path) -> list[Path]:
    """Return paths for the predictions of movies; of several, zarr groups in a folder, named after the movies.

    Raises
    ------
    InputError
        If a movie is given twice, or if one zarr is given for several movies.
    """
    if len(movies) == 1:
        return [to]
    return places_in(movies, to)


def places_in(movies: Sequence[Path], to: Path) -> list[Path]:
    """Return paths in a folder, named as by `places_for`, and create the folder."""
    whole = [movie.absolute() for movie in movies]
    if len(set(whole)) < len(whole):
        twice = next(str(movie) for movie in movies if whole.count(movie.absolute()) > 1)
        raise InputError("each movie once", f"{twice} twice", "Leave one of them out.")
    if to.suffix.lower() == ".zarr":
        raise InputError(
            "a folder for the predictions of several movies",
            str(to),
            f"Give a folder without .zarr, such as {to.with_suffix('')}: each movie has its own zarr in it.",
        )
    # Names include as many parent folders as needed: day1/movie.tif and day2/movie.tif are two movies.
    depths = [1] * len(whole)
    while True:
        names = [_name(one, depth) for one, depth in zip(whole, depths, strict=True)]
        alike = [i for i, one in enumerate(whole) if names.count(names[i]) > 1 and depths[i] < len(one.parts)]
        if not alike:
            break
        for i in alike:
            depths[i] += 1
    to.mkdir(parents=True, exist_ok=True)
    return [to / f"{name}.zarr" for name in names]


def _name(movie: Path, depth: int) -> str:
    """Return a name from the last `depth` parts of a path; from all of them, with the suffix to tell files apart."""
    if depth < len(movie.parts):
        return "-".join([*movie.parts[-depth:-1], movie.stem])
    return "-".join([*movie.parts[1:-1], movie.name])
