"""Arrays of HDF5 files and HyperSpy's zarr folders: EMD of Velox and NCEM, HyperSpy, NSID, USID, NeXus, Nion."""

from __future__ import annotations

import json
import mmap
import re
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from napari_menndl.errors import InputError
from napari_menndl.movie.ome_zarr import unwritten
from napari_menndl.movie.stored import (
    Axis,
    StoredArray,
    hyperspy_axis,
    hyperspy_facts,
    library,
    nion_axes,
    nion_facts,
    number_of,
    plain_unit,
    text_of,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_menndl.movie.metadata import Facts
    from napari_menndl.movie.stored import Index

#: Operations of older Velox files that hold the detector names, separate from the images.
_VELOX_INPUTS = {"StemInputOperation": "detector", "CameraInputOperation": "cameraName"}

#: Start of a global heap, which holds texts of attributes: signature, version, three zeros (HDF5 File Format
#: Specification, III.E).
_HEAP = b"GCOL\x01\0\0\0"
#: Distance from the beginning and the end of a file within which heaps are searched [bytes]; frames lie between.
WITHIN = 1 << 26


@dataclass(frozen=True)
class Hdf5Array:
    """A dataset of an HDF5 file, which is open only during reads."""

    path: Path
    name: str

    def __call__(self, index: Index) -> NDArray[Any]:
        with library("h5py").File(self.path, "r") as file:
            return np.asarray(file[self.name][index])

    def unwritten(self, axis: int) -> list[int]:
        """Return indices along an axis with a chunk that was never written; HDF5 reads such chunks as 0."""
        with library("h5py").File(self.path, "r") as file:
            array = file[self.name]
            expected = _chunk_counts(array)
            if expected is None or array.id.get_num_chunks() == expected.prod():
                return []
            there = np.zeros(expected[axis], int)

            def count(chunk: Any) -> None:
                there[chunk.chunk_offset[axis] // array.chunks[axis]] += 1

            array.id.chunk_iter(count)
            lacking = there < expected.prod() // expected[axis]
            return [n for n in range(array.shape[axis]) if lacking[n // array.chunks[axis]]]


@dataclass(frozen=True)
class UsidArray:
    """A USID dataset: a row per position, a column per spectroscopic step, each a product of several axes."""

    path: Path
    name: str
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def __call__(self, index: Index) -> NDArray[Any]:
        lead = len(self.rows)
        rows = np.arange(np.prod(self.rows, dtype=int)).reshape(self.rows)[index[:lead]]
        columns = np.arange(np.prod(self.columns, dtype=int)).reshape(self.columns)[index[lead:]]
        top, left = int(rows.min()), int(columns.min())
        part = Hdf5Array(self.path, self.name)((slice(top, int(rows.max()) + 1), slice(left, int(columns.max()) + 1)))
        return part[np.ix_(rows.ravel() - top, columns.ravel() - left)].reshape(rows.shape + columns.shape)


@dataclass(frozen=True)
class ZarrArray:
    """An array in a zarr group, a folder or a zip."""

    path: Path
    name: str

    def __call__(self, index: Index) -> NDArray[Any]:
        with _zarr_group(self.path) as root:
            return np.asarray(root[self.name][index])

    def unwritten(self, axis: int) -> list[int]:
        """Return indices along an axis with a missing chunk, which would read as the fill value."""
        if self.path.is_file():
            return []
        with _zarr_group(self.path) as root:
            return unwritten(root[self.name], axis)


def hdf5_arrays(path: Path) -> Iterator[StoredArray]:
    """Yield the arrays whose axes an HDF5 file describes; if it describes none, all with at least two axes."""
    h5py = library("h5py")
    check_heaps(path)
    with h5py.File(path, "r") as file:
        if "Version" in file and "Data/Image" in file:
            yield from _velox_arrays(path, file, file["Data/Image"])
            return
        arrays: list[Any] = []
        file.visititems(lambda _, item: arrays.append(item) if isinstance(item, h5py.Dataset) else None)
        arrays = [array for array in arrays if array.size and array.dtype.kind in "biufcV"]
        for array in arrays:
            _check_sources(path, array)
        tables = [array for array in arrays if "Position_Indices" in array.attrs]
        if tables:
            yield from (_usid_array(path, file, array) for array in tables)
            return
        known = [(array, axes) for array in arrays if (axes := _axes(array))]
        known = known or [(a, tuple(Axis("", n) for n in a.shape)) for a in arrays if a.ndim > 1]
        titles = [array.name.removesuffix("/data").rpartition("/")[2] or array.name.strip("/") for array, _ in known]
        for (array, axes), title in zip(known, titles, strict=True):
            name = title if titles.count(title) == 1 else array.name.strip("/")
            read = Hdf5Array(path, array.name)
            kind, facts = _hyperspy_kind(array.parent), _hdf5_facts(file, array)
            yield StoredArray(name, axes, array.dtype, read, kind, _missing(array), facts)


def _check_sources(path: Path, array: Any) -> None:
    """Refuse a dataset with external files that are missing (they read as 0) or outside the file's folder."""
    names = [name for name, *_ in array.external or ()]
    if array.is_virtual:
        names += [source.file_name for source in array.virtual_sources() if source.file_name != "."]
    for name in dict.fromkeys(text_of(name) for name in names):
        source = (path.parent / name).resolve()
        if not source.is_relative_to(path.parent.resolve()) or not source.is_file():
            raise InputError(
                f"the data of {array.name} in {path} or beside it",
                f"that they should be in {name}",
                "Copy the whole recording, with all files that belong to it.",
            )


def zspy_arrays(path: Path) -> Iterator[StoredArray]:
    """Yield the arrays of a HyperSpy file in zarr format."""
    with _zarr_group(path) as root:
        for name, group in root["Experiments"].groups():
            array = group["data"]
            if "pickle" in json.dumps(array.metadata.to_dict(), default=str).lower():
                raise InputError("an array packed by a harmless codec", f"pickle in {path}", "Save it without pickle.")
            read = ZarrArray(path, f"Experiments/{name}/data")
            missing = array.nchunks - array.nchunks_initialized
            notes = (f"{missing} of its {array.nchunks} chunks are missing.",) if missing else ()
            axes = _hyperspy_axes(group, array.shape)
            yield StoredArray(
                name, axes, array.dtype, read, _hyperspy_kind(group), notes, _group_facts(group.get("metadata"))
            )


def _missing(array: Any) -> tuple[str, ...]:
    """Return a note on chunks that were never written, as after an aborted recording."""
    counts = _chunk_counts(array)
    expected = 0 if counts is None else int(counts.prod())
    missing = 0 if counts is None else expected - array.id.get_num_chunks()
    return (f"{missing} of its {expected} chunks were never written.",) if missing else ()


def _chunk_counts(array: Any) -> NDArray[np.int64] | None:
    """Return the number of chunks along each axis; None if the dataset is not chunked."""
    if array.chunks is None:
        return None
    return np.array([-(-size // chunk) for size, chunk in zip(array.shape, array.chunks, strict=True)], np.int64)


@contextmanager
def _zarr_group(path: Path) -> Iterator[Any]:
    """Open the root group of a folder or a zip, and close it afterwards."""
    store = zarr.storage.ZipStore(path, mode="r") if path.is_file() else zarr.storage.LocalStore(path, read_only=True)
    try:
        yield zarr.open_group(store, mode="r")
    finally:
        store.close()


def _axes(array: Any) -> tuple[Axis, ...]:
    """Return the axes of a dataset by the convention it follows; empty if it follows none."""
    group, shape, name = array.parent, array.shape, text_of(array.name).rpartition("/")[2]
    if name == "data" and "axis-0" in group:
        return _hyperspy_axes(group, shape)
    if name == "data" and "properties" in array.attrs:
        return nion_axes(json.loads(text_of(array.attrs["properties"])), shape)
    first = 0 if "dim0" in group else 1  # EMD counts from 1 before version 1.0
    if "emd_group_type" in group.attrs and f"dim{first}" in group and shape and not re.fullmatch(r"dim\d+", name):
        return tuple(_vector_axis(group.get(f"dim{first + i}"), size) for i, size in enumerate(shape))
    if text_of(group.attrs.get("NX_class")) == "NXdata" and text_of(group.attrs.get("signal")) == name:
        names = [text_of(axis) for axis in np.ravel(group.attrs.get("axes", []))]
        names = [*names, *["."] * len(shape)][: len(shape)]
        return tuple(_vector_axis(group.get(axis), size, axis) for axis, size in zip(names, shape, strict=True))
    if any(len(one) or one.label for one in array.dims) and not array.is_scale:  # NSID, netCDF, labels only
        return tuple(
            _vector_axis(dimension[0] if len(dimension) else None, size, text_of(dimension.label))
            for dimension, size in zip(array.dims, shape, strict=True)
        )
    return ()


def _hyperspy_axes(group: Any, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    described = [group.get(f"axis-{i}") for i in range(len(shape))]
    return tuple(
        hyperspy_axis({**({} if axis is None else dict(axis.attrs)), "size": size})
        for axis, size in zip(described, shape, strict=True)
    )


def _hyperspy_kind(group: Any) -> str:
    """Return the kind of a signal as HyperSpy names it; empty for images and unknown signals."""
    about = group.get("metadata/Signal")
    kind = "" if about is None else text_of(about.attrs.get("signal_type"))
    return kind.replace("_", " ") if re.search("diffraction|EELS|EDS|CL|XRF", kind) else ""


def _vector_axis(vector: Any, size: int, name: str = "") -> Axis:
    """Return an axis that is given by the positions along it, or by the first two of them."""
    if not hasattr(vector, "dtype"):
        return Axis(name.removeprefix("."), size)
    scale = np.nan
    if vector.ndim == 1 and vector.size > 1 and vector.dtype.kind in "iuf":
        values = vector[:].astype(float)
        scale = float((values[-1] - values[0]) / (len(values) - 1))
    name = text_of(vector.attrs.get("name")) or name or text_of(vector.name).rpartition("/")[2]
    return Axis(name, size, scale, plain_unit(vector.attrs.get("units")))


def _usid_array(path: Path, file: Any, array: Any) -> StoredArray:
    """Return a USID dataset with its rows and columns unfolded, slowest axis first."""
    axes: list[list[Axis]] = []
    for side, count in zip(("Position", "Spectroscopic"), array.shape, strict=True):
        indices, values = (np.atleast_2d(file[array.attrs[f"{side}_{what}"]][()]) for what in ("Indices", "Values"))
        about = file[array.attrs[f"{side}_Indices"]].attrs
        if side == "Position":
            indices, values = indices.T, values.T
        found = []
        for row, places, name, unit in zip(indices, values, about["labels"], about["units"], strict=True):
            steps = np.unique(places)
            scale = float(np.diff(steps).mean()) if len(steps) > 1 else np.nan
            axis = Axis(text_of(name), len(np.unique(row)), scale, plain_unit(unit))
            found.append((int(np.count_nonzero(np.diff(row))), axis))
        axes.append([axis for _, axis in sorted(found, key=lambda one: one[0])])
        if np.prod([axis.size for axis in axes[-1]]) != count:
            raise InputError(f"a full grid of {count} {side.lower()}s", f"another in {path}", "Export it as TIFF.")
    rows, columns = (tuple(axis.size for axis in side) for side in axes)
    title = text_of(array.name).strip("/")
    return StoredArray(title, (*axes[0], *axes[1]), array.dtype, UsidArray(path, array.name, rows, columns))


def _hdf5_facts(file: Any, array: Any) -> Facts:
    microscope = file.get("microscope")
    if microscope is not None:  # EMD, in SI units
        about = {key.lower().replace("_", " "): value for key, value in microscope.attrs.items()}
        return {
            "beam_energy": (about.get("high tension"), "V"),
            "magnification": (about.get("magnification"), "×"),
            "dwell_time": (about.get("dwell time"), "s"),
            "camera_length": (about.get("camera length"), "m"),
            "instrument": text_of(about.get("name")),
        }
    if "properties" in array.attrs:
        return nion_facts(json.loads(text_of(array.attrs["properties"])))
    return _group_facts(array.parent.get("metadata"))


def _group_facts(metadata: Any) -> Facts:
    """Return the acquisition metadata in HyperSpy's groups."""
    if metadata is None:
        return {}
    general = metadata.get("General")
    about = {} if general is None else dict(general.attrs)
    facts: dict[str, Any] = {"acquired": when(about.get("date"), about.get("time"))}
    instrument = metadata.get("Acquisition_instrument")
    for kind in ("TEM", "SEM"):
        group = None if instrument is None else instrument.get(kind)
        if group is not None:
            facts |= hyperspy_facts(dict(group.attrs))
            camera = group.get("Detector/Camera")
            facts |= (
                {}
                if camera is None
                else {
                    "detector": text_of(camera.attrs.get("name")),
                    "exposure_time": (camera.attrs.get("exposure"), "s"),
                }
            )
    return facts


def _velox_arrays(path: Path, file: Any, images: Any) -> Iterator[StoredArray]:
    """Yield Velox's images, (Y, X, T) each, with the JSON metadata beside them."""
    detectors = dict(_velox_detectors(file))
    spectra = [name for name, group in file["Data"].items() if "Spectr" in name and len(group)]
    if spectra and not len(images):
        raise InputError("a movie or an image", f"{', '.join(spectra)} in {path}", "Open a file with images.")
    left_out = [f"It also holds {', '.join(spectra)}, which are left out."] if spectra else []
    for key, group in images.items():
        array = group["Data"]
        about = json.loads(bytes(group["Metadata"][:, 0]).partition(b"\0")[0] or b"{}") if "Metadata" in group else {}
        result, scan = about.get("BinaryResult") or {}, about.get("Scan") or {}
        detector = (about.get("Detectors") or {}).get(f"Detector-{result.get('DetectorIndex')}") or {}
        pixel = result.get("PixelSize") or {}
        units = [plain_unit(result.get(f"PixelUnit{axis}")) for axis in "YX"]
        sizes = [number_of(pixel.get(side)) or np.nan for side in ("height", "width")]
        time = number_of(scan.get("FrameTime"))
        exposure = number_of(detector.get("ExposureTime"))
        notes = [*left_out, *_missing(array)]
        if time is None and exposure is not None and array.shape[-1] > 1:
            time = exposure
            notes.append("Its frame time is the camera's exposure time; pauses between frames are not counted.")
        optics = about.get("Optics") or {}
        name = detectors.get(key) or result.get("Detector") or detector.get("DetectorName")
        yield StoredArray(
            name or f"image {key[:8]}",
            (
                Axis("y", array.shape[0], sizes[0], units[0], True),
                Axis("x", array.shape[1], sizes[1], units[1], True),
                Axis("Time", array.shape[2], np.nan if time is None else time, "" if time is None else "s", False),
            ),
            array.dtype,
            Hdf5Array(path, array.name),
            notes=tuple(notes),
            facts={
                "beam_energy": (optics.get("AccelerationVoltage"), "V"),
                "magnification": (optics.get("NominalMagnification"), "×"),
                "camera_length": (optics.get("CameraLength"), "m"),
                "convergence_angle": (optics.get("BeamConvergence"), "rad"),
                "dwell_time": (scan.get("DwellTime"), "s"),
                # Velox also gives scanned images a camera's exposure time, although no camera was used.
                "exposure_time": (None if scan.get("DwellTime") else exposure, "s"),
                "detector": text_of(name),
                "instrument": text_of((about.get("Instrument") or {}).get("InstrumentModel")),
                "acquired": _velox_date(about),
            },
        )


def _velox_date(about: dict[str, Any]) -> str:
    """Return the start of a recording, stored as seconds since 1970."""
    start = ((about.get("Acquisition") or {}).get("AcquisitionStartDatetime") or {}).get("DateTime")
    seconds = number_of(start)
    if not seconds or not 0 < seconds < 1e10:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _velox_detectors(file: Any) -> Iterator[tuple[str, str]]:
    """Yield image keys and detector names, if the file stores them separately."""
    for operation, what in _VELOX_INPUTS.items():
        for item in (file.get(f"Operations/{operation}") or {}).values():
            about = json.loads(item[0])
            if about.get("dataPath") and about.get(what):
                yield text_of(about["dataPath"]).rpartition("/")[2], text_of(about[what])


def check_heaps(path: Path) -> None:
    """Refuse a file with a heap whose free space has size 0, on which the HDF5 library loops endlessly.

    Raises
    ------
    InputError
        If there is such a heap.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        ends = (0, WITHIN), (max(WITHIN, len(content) - WITHIN), len(content))
        for start, end in ends:
            at = content.find(_HEAP, start, end)
            while at >= 0:
                if _is_endless(content, at):
                    raise InputError(
                        f"a complete file at {path}",
                        f"a damaged heap at byte {at}",
                        "Copy it anew from where it was recorded, or export the movie as TIFF.",
                    )
                at = content.find(_HEAP, at + len(_HEAP), end)


def _is_endless(content: mmap.mmap, at: int) -> bool:
    end = min(at + struct.unpack_from("<Q", content, at + 8)[0], len(content)) if at + 16 <= len(content) else 0
    place = at + 16
    while place + 16 <= end:
        number, size = struct.unpack_from("<H6xQ", content, place)
        if number == size == 0:
            return True
        # An object has a header of 16 bytes and is padded to 8; free space includes its header in its size.
        place += 16 + -(-size // 8) * 8 if number else size
    return False
