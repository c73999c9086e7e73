"""Specification of a prediction, which identifies it and lets it be read without network and movie."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from napari_menndl.errors import InputError
from napari_menndl.movie.preparation import AS_RECORDED, describe, looks, steps_from_json
from napari_menndl.movie.tracing import recorded_frames
from napari_menndl.predict.resample import PixelSize, resampled_shape, scale_between

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from napari_menndl.metrics.detection import MatchRule
    from napari_menndl.movie.movie import Movie, Step


_DIFFERENCES = {
    "network": "another network",
    "pixel_size": "another pixel size",
    "class_names": "other classes",
    "thresholds": "other thresholds",
    "min_areas": "other smallest areas",
    "steps": "another preparation",
}


class Predictor(Protocol):
    """Interface of `TrainedNetwork` and `Ensemble`."""

    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def thresholds(self) -> tuple[float, ...]: ...
    @property
    def match_rules(self) -> tuple[MatchRule, ...]: ...
    @property
    def pixel_size(self) -> PixelSize | None: ...
    @property
    def digest(self) -> str: ...
    @property
    def reach(self) -> int: ...

    def predict_frame(self, frame: ArrayLike, pixel_size: PixelSize | None = None) -> NDArray[np.float32]:
        """Predict (C, Y, X) of a frame (Y, X), or of (5, Y, X) with neighbours if `reach` is not 0."""
        ...

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the network to a single file."""
        ...


@dataclass(frozen=True)
class PredictionSpec:
    """Classes, thresholds and scale of a prediction.

    Attributes
    ----------
    network : str
        Digest of the network or ensemble.
    movie : str
        Display name of the movie.
    shape : (T, Y, X)
        Shape of the movie.
    pixel_size : (y, x) float [nm] or None
        Pixel size of the movie.
    class_names : C str
    thresholds : C float
    min_areas : C int [px]
        Smallest area of a defect of each class, in pixels of the movie.
    steps : tuple of Step
        Preparation steps of the movie, see `Movie.prepared`.
    recorded : (T, Y, X) or None
        Shape of the recorded movie; None if it was not prepared.
    frame_time : float [s] or None
    dose : float [e⁻/nm²] or None
        Electrons on an area in one frame.
    """

    network: str
    movie: str
    shape: tuple[int, int, int]
    pixel_size: PixelSize | None
    class_names: tuple[str, ...]
    thresholds: tuple[float, ...]
    min_areas: tuple[int, ...]
    steps: tuple[Step, ...] = ()
    recorded: tuple[int, int, int] | None = None
    frame_time: float | None = None
    dose: float | None = None

    @classmethod
    def of(cls, network: Predictor, movie: Movie) -> PredictionSpec:
        """Return the specification of a network's prediction of a movie.

        Raises
        ------
        InputError
            If only one of movie and network has a pixel size; if frames become too large at the network's pixel size;
            if the network was trained on averaged or binned frames and the movie is not prepared likewise.
        """
        _check_steps(getattr(network, "steps", ()), movie)
        factors = scale_between(movie.pixel_size, network.pixel_size) or (1.0, 1.0)
        resampled_shape(movie.shape[1:], factors)  # raises now, before storage is allocated
        scale = factors[0] * factors[1]
        return cls(
            network.digest,
            movie.name,
            movie.shape,
            movie.pixel_size,
            tuple(network.class_names),
            tuple(network.thresholds),
            tuple(max(1, round(match_rule.min_area / scale)) for match_rule in network.match_rules),
            movie.steps,
            movie.raw.shape if movie.steps else None,
            movie.frame_time,
            dose_of(movie),
        )

    def differs(self, other: PredictionSpec) -> str:
        """Describe why frames predicted under this one are not valid for another; empty if they are.

        The other movie may have another name, and more frames: frames are identified by their digests.
        """
        for name, words in _DIFFERENCES.items():
            if getattr(self, name) != getattr(other, name):
                return words
        if self.shape[1:] != other.shape[1:]:
            return f"frames of {_times(self.shape[1:])} px, not {_times(other.shape[1:])}"
        if self.shape[0] > other.shape[0]:
            return f"{self.shape[0]} frames, while the movie has {other.shape[0]}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON, with null for infinite thresholds, which JSON lacks."""
        plain = asdict(self)
        plain["thresholds"] = [t if t < float("inf") else None for t in self.thresholds]
        del plain["steps"], plain["recorded"]
        for name in ("frame_time", "dose"):
            if plain[name] is None:
                del plain[name]
        if not self.steps:
            return plain
        return plain | {"steps": [step.to_json() for step in self.steps], "recorded": self.recorded}

    @classmethod
    def from_json(cls, data: Any) -> PredictionSpec:
        """Read the output of `to_json`.

        Raises
        ------
        InputError
            If something is missing or of the wrong type.
        """
        try:
            count, height, width = map(int, data["shape"])
            size, recorded = data["pixel_size"], data.get("recorded")
            return cls(
                str(data["network"]),
                str(data["movie"]),
                (count, height, width),
                None if size is None else (float(size[0]), float(size[1])),
                tuple(map(str, data["class_names"])),
                tuple(float("inf") if t is None else float(t) for t in data["thresholds"]),
                tuple(map(int, data["min_areas"])),
                steps_from_json(data.get("steps"), (recorded or [0])[0]),
                None if recorded is None else (int(recorded[0]), int(recorded[1]), int(recorded[2])),
                *(None if (known := data.get(name)) is None else float(known) for name in ("frame_time", "dose")),
            )
        except (KeyError, TypeError, ValueError, IndexError) as problem:
            raise InputError("the description of a prediction", repr(problem), "Predict the movie anew.") from problem


def dose_of(movie: Movie) -> float | None:
    """Return the dose of a frame [e⁻/nm²], of all frames that it is the average of; None if unknown."""
    dose = movie.metadata.dose
    return None if dose is None else dose * len(recorded_frames(movie.steps, 0))


def _check_steps(trained: tuple[Step, ...], movie: Movie) -> None:
    """Check that frames look like those trained on; drift correction and cropping do not change that."""
    wanted, given = looks(trained), looks(movie.steps)
    if wanted == given:
        return
    found = f"{describe(given) or AS_RECORDED}, {movie.name!r}"
    if wanted:
        raise InputError(
            f"{describe(wanted)}, as the network was trained on",
            found,
            "Prepare the movie alike: in the dock 'Annotate defects', or with Movie.prepared; Run.predict and the "
            "command predict do it by themselves.",
        )
    warnings.warn(
        f"The network was trained on {AS_RECORDED}; it predicts {found}. Check that it still finds what it should.",
        stacklevel=4,
    )


def _times(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
