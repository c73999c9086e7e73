"""Reading and writing napari-menndl's zarr groups, and reading other programs' label images."""

from __future__ import annotations

import os
import shutil
import time
import uuid
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import tifffile
import zarr
from PIL import Image

from napari_menndl.annotation.planes import MOST_MASKS, PLANE_AXES
from napari_menndl.errors import InputError
from napari_menndl.files import check_links
from napari_menndl.movie.calibration import CalibrationWarning
from napari_menndl.movie.formats import TIFF
from napari_menndl.movie.ome_zarr import check_array, is_zarr
from napari_menndl.movie.tiff_header import header_of

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = (".tif", ".tiff", ".npy", ".png", ".zarr")
#: Beginning of the attribute ``format`` of our zarr groups.
_OURS = "napari-menndl "
#: Axis letters for names whose first letter is a different axis or ambiguous.
_LETTERS = {
    "class": "C",
    "classes": "C",
    "label": "C",
    "band": "C",
    "rgb": "S",
    "rgba": "S",
    "row": "Y",
    "rows": "Y",
    "height": "Y",
    "col": "X",
    "column": "X",
    "columns": "X",
    "width": "X",
    "frame": "T",
}


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Context that creates or replaces the folder `path` atomically: yields a temporary folder to fill.

    Raises
    ------
    InputError
        If the folder cannot be written.
    """
    path = Path(os.path.abspath(path))
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        yield beside
        for file in beside.rglob("*"):
            if file.is_file():
                with file.open("rb+") as handle:
                    os.fsync(handle.fileno())
        if path.exists():
            # A folder cannot be renamed over one that is not empty: the old one is moved away first.
            aside = beside.with_name(f"{beside.name}.old")
            path.rename(aside)
            try:
                beside.rename(path)
            except OSError:
                aside.rename(path)
                raise
            shutil.rmtree(aside, ignore_errors=True)
        else:
            beside.rename(path)
    except OSError as error:
        raise InputError("a place that can be written", f"{path}: {error}", "Choose another folder.") from error
    finally:
        # After a failed write, other threads of zarr may still be writing into the folder.
        for _ in range(20):
            if not beside.exists():
                break
            shutil.rmtree(beside, ignore_errors=True)
            time.sleep(0.05)


def empty_chunks_too() -> Any:
    """Context in which arrays are created or opened that also write empty chunks, for as long as they are used.

    A chunk that is not there is then one that was lost.
    """
    return zarr.config.set({"array.write_empty_chunks": True})


def open_own_group(path: Path, form: str, schema: int, mode: Literal["r", "r+"] = "r") -> Any:
    """Open a zarr group written by napari-menndl.

    Parameters
    ----------
    path : Path
    form : str
        Required value of its attribute ``format``.
    schema : int
        Newest supported schema version.
    mode : "r" or "r+"

    Returns
    -------
    zarr.Group

    Raises
    ------
    InputError
        No zarr group, one of another format, one from a newer version, or one with a link that leads out of it.
    """
    if mode not in ("r", "r+"):  # zarr has others, which empty a group
        raise InputError('the mode "r" or "r+"', repr(mode), "Choose one of them.")
    what, one = form.removeprefix(_OURS), _with_article(form)
    try:
        group = zarr.open_group(path, mode=mode)
    except Exception as error:
        raise InputError(f"{one} as a zarr group", f"{path}: {error}", f"Give the path of a saved {what}.") from error
    attributes = dict(group.attrs)
    if (other := attributes.get("format")) != form:
        if isinstance(other, str) and other.startswith(_OURS):
            there, remedy = f"{_with_article(other)}, not written by napari-menndl as {one}", "the path of another file"
        else:
            there = f"a zarr group with {sorted(group.array_keys())}, not written by napari-menndl"
            remedy = "the path of one array inside it, or of another file"
        raise InputError(f"{one} that napari-menndl saved", f"{path}, {there}", f"Give {remedy}.")
    found = attributes.get("schema")
    if not isinstance(found, int) or found > schema:
        raise InputError(
            f"{one} of schema version {schema} or older", f"version {found!r} in {path}", "Update napari-menndl."
        )
    check_links(path)
    return group


def _with_article(form: str) -> str:
    """Return what a format is of, with its article: "an annotation", "a prediction"."""
    what = form.removeprefix(_OURS)
    return f"an {what}" if what[:1] in "aeiou" else f"a {what}"


def own_array(group: Any, name: str, kinds: str, ndim: int) -> Any:
    """Return an array of a napari-menndl group, after checking its type without decoding any data.

    Raises
    ------
    InputError
        An array that is missing, unreadable, of another kind (objects, text) or with another number of axes.
    """
    try:
        array = group[name]
        check_array(array, str(group.store_path))
        found = f"type {array.dtype}, shape {array.shape}"
        good = array.dtype.kind in kinds and array.ndim == ndim
    except Exception as error:
        found, good = f"{type(error).__name__}: {error}", False
    if not good:
        raise InputError(
            f"numbers in {ndim} axes in array {name!r} of {group.store_path}",
            found,
            "Take a fresh copy; this one is damaged.",
        )
    return array


def is_zarr_group(path: Path) -> bool:
    """Whether `path` is a zarr group, of any format."""
    try:
        return isinstance(zarr.open(path, mode="r"), zarr.Group)
    except Exception:  # zarr raises errors of many types for paths that are no zarr
        return False


def is_label_image(path: Path) -> bool:
    """Whether `path` is to be read as a label image: no zarr group, or an OME-Zarr image."""
    if not is_zarr_group(path):
        return True
    attributes: dict[str, Any] = dict(zarr.open_group(path, mode="r").attrs)
    return "multiscales" in attributes or "multiscales" in dict(attributes.get("ome") or {})


def read_label_image(path: Path) -> tuple[npt.NDArray[Any], str]:
    """Read the label values of a file in any movie format; channels and colours, which movies lack, are read too.

    Parameters
    ----------
    path : Path
        A file that `open_movie` reads, a PNG picture, or a folder or pattern of single frames.

    Returns
    -------
    values : array
    axes : str
        A letter per axis as in `planes.as_frames`; empty if the axes have no names.

    Raises
    ------
    InputError
        A file that is missing, unreadable or of another kind; arrays of objects are never unpickled.
    """
    from napari_menndl.movie.reading import open_movie  # here, so that trainers, which open a task, do not import it

    if not path.exists() and not any(mark in str(path) for mark in "*?["):
        raise InputError("a label image", f"nothing at {path}", "Check the path.")
    try:
        own = _with_own_axes(path)
    except InputError:
        raise
    except Exception:  # each library raises its own errors; the reader of movies below reports the problem
        own = None
    if own is not None:
        return own
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CalibrationWarning)
            frames = open_movie(path).frames
        # In this thread: otherwise an open Dask client would be used, and sent the file.
        return np.asarray(frames.compute(scheduler="synchronous")), "TYX"
    except Exception as error:
        remedy = error.remedy if isinstance(error, InputError) else "Save it again, or give another file."
        found = error.found if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        if path.suffix.lower() == ".csv":
            remedy = "Convert the image; clicked points (CSV) go through Annotation.from_points(path, shape, radius)."
        elif path.suffix.lower() in (".jpg", ".jpeg", ".gif", ".bmp"):
            remedy = "Save the labels as TIFF or PNG, one grey value per class; JPEG changes values at edges."
        raise InputError(
            f"a readable label image (labels as {', '.join(IMAGES)})",
            found if path.name in found else f"{path}: {found}",
            remedy.replace("Export the movie", "Save the labels"),
        ) from error


def _with_own_axes(path: Path) -> tuple[npt.NDArray[Any], str] | None:
    """Read files whose axes the reader of movies does not support; None for plain frames and other kinds of file.

    These are TIFF with channels, colours or many axes, PNG with a palette or colours, and arrays that may hold planes.
    Missing chunks of a zarr array are 0, the fill value, since zarr does not write empty chunks.
    """
    suffix = path.suffix.lower()
    if suffix == ".png":
        return _read_png(path)
    if suffix in TIFF.suffixes:
        return _read_planes(path)
    if suffix != ".npy" and not is_zarr(path):
        return None
    array, axes = (np.load(path, allow_pickle=False), "") if suffix == ".npy" else _zarr_with_axes(path)
    return (np.asarray(array[...]), axes) if array.dtype.kind in "biuf" else None


def _read_planes(path: Path) -> tuple[npt.NDArray[Any], str] | None:
    """Read the first series of a TIFF file with its axes; None if it consists of plain frames."""
    with tifffile.TiffFile(path) as tiff:
        header_of(tiff).check_files(str(path))
        series = tiff.series[0]
        others = len(tiff.series) - 1
        long = [letter for letter, n in zip(series.axes, series.shape, strict=True) if n > 1]
        # Q: tifffile's letter for an axis without a name.
        masks = len(tiff.series) == 1 and series.axes == "QYX" and 1 < len(series) <= MOST_MASKS
        if len(series.shape) <= 3 and not masks and not any(letter in PLANE_AXES for letter in long):
            return None
        if others:
            warnings.warn(
                f"{path.name} holds {others + 1} images; the labels are the first of them, {series.shape}, and the "
                "others are left out.",
                stacklevel=5,
            )
        try:
            return series.asarray(), "" if masks else series.axes
        except Exception as error:  # a missing codec or a damaged file raises errors of many types
            raise InputError(
                f"a readable label image (labels as {', '.join(IMAGES)})",
                f"{path}: {type(error).__name__}: {error}",
                "Save it again uncompressed, or install the package imagecodecs.",
            ) from error


def _read_png(path: Path) -> tuple[npt.NDArray[Any], str]:
    """Read a PNG file; one with a palette as its indices, which are the labels, not as colours."""
    with Image.open(path, formats=["PNG"]) as image:
        if (count := int(getattr(image, "n_frames", 1))) > 1:
            raise InputError(
                f"one label image in {path}", f"{count} of them", "Save the labels as TIFF, or one file for each frame."
            )
        picture = image.convert("RGBA") if image.mode == "LA" else image
        array = np.asarray(picture)
    return array, "YXS" if array.ndim == 3 else "YX"


def _zarr_with_axes(path: Path) -> tuple[Any, str]:
    """Open a zarr array, or the finest level of an OME-Zarr image, lazily, with a letter for each axis."""
    node: Any = zarr.open(path, mode="r")
    names: list[Any] = []
    if isinstance(node, zarr.Group):
        attributes: dict[str, Any] = dict(node.attrs)
        image = attributes.get("ome", attributes)["multiscales"][0]
        node = node[image["datasets"][0]["path"]]
        names = [axis["name"] if isinstance(axis, dict) else axis for axis in image.get("axes", ())]
    description = node.metadata.to_dict()
    attributes = dict(node.attrs)
    names = names or list(description.get("dimension_names") or attributes.get("_ARRAY_DIMENSIONS") or ())
    description.pop("attributes", None)
    if "pickle" in str(description).lower():
        raise ValueError("a codec that can run code")  # the reader of movies refuses it too, with a remedy
    letters = "".join(_LETTERS.get(str(name).lower(), str(name)[:1].upper()) for name in names)
    return node, letters if len(set(letters)) == node.ndim else ""
