"""Reading and writing zarr groups of our own, and label images of others."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import tifffile
import zarr

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGES = (".tif", ".tiff", ".npy", ".zarr")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A folder that appears at `path` whole or not at all: fill the one that is handed out, beside it.

    Raises
    ------
    InputError
        The place cannot be written.
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
            # A folder cannot be renamed over a filled one: for a moment the old one stands aside.
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
        # Where one write fails, others of zarr's threads may still be on their way into the folder.
        for _ in range(20):
            if not beside.exists():
                break
            shutil.rmtree(beside, ignore_errors=True)
            time.sleep(0.05)


def open_own_group(path: Path, form: str, schema: int, mode: Literal["r", "r+"] = "r") -> Any:
    """A zarr group that carries our mark.

    Parameters
    ----------
    path : Path
    form : str
        What its attribute ``format`` must say.
    schema : int
        Newest schema version that is understood.
    mode : "r" or "r+"

    Returns
    -------
    zarr.Group

    Raises
    ------
    InputError
        No zarr group, a foreign one, or one from a newer version.
    """
    what = form.removeprefix("napari-menndl ")
    one = f"an {what}" if what[0] in "aeiou" else f"a {what}"
    try:
        group = zarr.open_group(path, mode=mode)
    except Exception as error:
        raise InputError(f"{one} as a zarr group", f"{path}: {error}", f"Give the path of a saved {what}.") from error
    attributes = dict(group.attrs)
    if attributes.get("format") != form:
        raise InputError(
            f"{one} that napari-menndl saved",
            f"{path}, a zarr group with {sorted(group.array_keys())} and without our mark",
            "Give the path of one array inside it, or of another file.",
        )
    found = attributes.get("schema")
    if not isinstance(found, int) or found > schema:
        raise InputError(
            f"{one} of schema version {schema} or older", f"version {found!r} in {path}", "Update napari-menndl."
        )
    return group


def own_array(group: Any, name: str, kinds: str, ndim: int) -> Any:
    """An array of a group of ours, its type looked at before a byte of it is decoded.

    Raises
    ------
    InputError
        Absent, unreadable, of another kind (objects, text) or number of axes.
    """
    try:
        array = group[name]
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
    """Whether a zarr group, ours or not, stands at `path`."""
    try:
        return isinstance(zarr.open(path, mode="r"), zarr.Group)
    except Exception:  # zarr raises errors of many kinds for what is no zarr; none of them matters here
        return False


def read_label_image(path: Path) -> npt.NDArray[Any]:
    """Label values from a TIFF, .npy or plain zarr array.

    Raises
    ------
    InputError
        Missing, unreadable, or of another kind; arrays of objects are never unpickled.
    """
    if not path.exists():
        raise InputError("a label image", f"nothing at {path}", "Check the path.")
    suffix = path.suffix.lower()
    array: Any
    try:
        if suffix in (".tif", ".tiff"):
            array = tifffile.imread(path)
        elif suffix == ".npy":
            array = np.load(path, allow_pickle=False)
        elif path.is_dir():
            stored = zarr.open_array(path, mode="r")
            array = stored[:] if stored.dtype.kind in "biuf" else np.zeros((0, 0), stored.dtype)
        else:
            raise InputError(
                f"labels as {', '.join(IMAGES)}",
                str(path),
                "Convert the image; clicked points (CSV) go through Annotation.from_points(path, shape, radius).",
            )
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            "a readable label image", f"{path}: {type(error).__name__}: {error}", "Save it again, or give another file."
        ) from error
    return np.asarray(array)
