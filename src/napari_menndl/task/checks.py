"""Checks of frames, labels and pixel sizes before training."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_menndl.errors import InputError


def check_frame(frame: npt.ArrayLike, t: int) -> npt.NDArray[np.float32]:
    """Return frame `t` as (Y, X) float32.

    Raises
    ------
    InputError
        If all values are equal; values that are not finite are refused by the movie.
    """
    values = np.asarray(frame, np.float32)
    if values.min() == values.max():
        raise InputError(
            f"an image in frame {t}", f"the value {values.flat[0]:g} everywhere", "Choose a frame that was recorded."
        )
    return values


def check_labels(labels: npt.NDArray[np.uint8], known: npt.NDArray[np.bool_], class_names: tuple[str, ...]) -> None:
    """Check that the labels contain both defects and background.

    Parameters
    ----------
    labels : (N, Y, X) uint8
    known : (N, Y, X) bool
    class_names : tuple of str

    Raises
    ------
    InputError
        A label without a class, no defect, or no background.
    """
    if labels.max() > len(class_names):
        raise InputError(
            f"labels 0 to {len(class_names)} for the classes {', '.join(class_names)}",
            f"the label {labels.max()}",
            "Name a class for it, or correct the labels.",
        )
    marked = labels[known] > 0
    if not marked.any():
        raise InputError(
            "at least one annotated defect in the frames to train on",
            "none",
            "Mark some defects, or choose frames in which some are marked.",
        )
    if marked.all():
        raise InputError(
            "some annotated pixels without a defect",
            "defects in every known pixel",
            "Mark the frame complete, or draw a region that is, so that the rest of it counts as free of defects.",
        )


def check_pixel_sizes(
    movie: tuple[float, float] | None, annotation: tuple[float, float] | None
) -> tuple[float, float] | None:
    """Return the pixel size [nm] of the movie, or of its annotation if the movie has none.

    Raises
    ------
    InputError
        If the two differ by more than 1 %.
    """
    if movie is not None and annotation is not None and not np.allclose(movie, annotation, rtol=0.01, atol=0):
        raise InputError(
            f"the movie's pixel size {movie} nm in its annotation",
            f"{annotation} nm",
            "Correct the one that is wrong, or leave it out of the annotation.",
        )
    return movie or annotation
