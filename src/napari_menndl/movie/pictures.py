"""Grey PNG and JPEG images as frames."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
from PIL import Image

from napari_menndl.errors import InputError
from napari_menndl.movie.axes import check_dtype
from napari_menndl.movie.metadata import UNKNOWN
from napari_menndl.movie.movie import Movie, lazy_frames
from napari_menndl.movie.sidecar import with_sidecar
from napari_menndl.movie.signals import Wanted, only_one

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

#: Chosen explicitly: from the file name, imageio may pick a video decoder, which reads 16 bits as 8.
_READER = "pillow"


class PictureFrames:
    """Reads the single frame of an image file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, t: int) -> NDArray[Any]:
        return grey(np.asarray(iio.imread(self.path, index=0, plugin=_READER)), self.path)


def read_picture(path: Path, signal: Wanted = None) -> Movie:
    """Open a grey image as a movie of one frame.

    Parameters
    ----------
    path : Path
    signal : str, int, callable or None
        None or 0: the file holds one image.

    Raises
    ------
    InputError
        If it is damaged, has colour, is partly transparent, or holds several images.
    """
    only_one(signal, str(path))
    try:
        about, count = iio.improps(path, index=0, plugin=_READER), _count(path)
        shape, dtype = tuple(about.shape), np.dtype(about.dtype)
        if len(shape) != 2:  # an RGB image with equal channels is grey as well
            frame = PictureFrames(path)(0)
            shape, dtype = frame.shape, frame.dtype
    except InputError:
        raise
    except Exception as error:  # file libraries raise many types of error for damaged files
        raise InputError(
            f"a complete picture at {path}", f"{type(error).__name__}: {error}", "Export the recorded frames as TIFF."
        ) from error
    check_dtype(dtype, str(path))
    if count > 1:
        raise InputError(
            f"one image in {path}", f"{count} of them", "Export the recorded frames as TIFF, or one file for each."
        )
    if path.suffix.lower() in (".jpg", ".jpeg"):
        warnings.warn(
            f"{path.name} is a JPEG, which has lost grey values. Open the recorded frames where you have them.",
            stacklevel=3,
        )
    frames = lazy_frames(PictureFrames(path), (1, int(shape[0]), int(shape[1])), dtype)
    pixel_size, metadata = with_sidecar(path, int(shape[1]), None, UNKNOWN)
    return Movie(frames, pixel_size, name=path.stem, source=str(path), metadata=metadata)


def _count(path: Path) -> int:
    """Return the number of images in a file: more than one in an animated PNG, or a JPEG of several views."""
    with Image.open(path) as image:
        return int(getattr(image, "n_frames", 1))


def grey(picture: NDArray[Any], path: Path) -> NDArray[Any]:
    """Return the grey values (Y, X) of an image (Y, X) or (Y, X, channels).

    Raises
    ------
    InputError
        If its channels differ, or if it is partly transparent.
    """
    if picture.ndim == 2:
        return picture
    channels = picture.shape[-1]
    colours = picture[..., : channels - 1 if channels in (2, 4) else channels]
    if picture.ndim != 3 or (colours != colours[..., :1]).any():
        raise InputError(
            "one grey value per pixel",
            f"{path.name} of shape {picture.shape}: colour",
            "Export the recorded intensities as TIFF, not a picture of them.",
        )
    if channels in (2, 4) and (picture[..., -1] != picture[..., -1].flat[0]).any():
        raise InputError(
            "one grey value per pixel",
            f"{path.name}, which is partly transparent",
            "Export the recorded intensities as TIFF, not a picture of them.",
        )
    return np.ascontiguousarray(colours[..., 0])
