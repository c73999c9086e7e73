"""Arrays of microscope file formats, listed with their axes and read on access."""

from __future__ import annotations

import importlib
import json
import re
import warnings
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_menndl.movie.metadata import Facts

Index: TypeAlias = "tuple[int | slice, ...]"

#: IMOD's stamp in MRC headers, "IMOD" as a number; a flag after it says whether bytes are signed.
_IMOD = 1146047817
EXTRA = 'pip install "napari-menndl[stem-formats]"'


@dataclass(frozen=True)
class Axis:
    """An axis of an array: `scale` [`units`] is the distance between elements, NaN if unknown.

    `image` says whether the file marks it as an axis of a single image or spectrum; None if it does not say.
    """

    name: str
    size: int
    scale: float = np.nan
    units: str = ""
    image: bool | None = None


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, with its axes in array order.

    Attributes
    ----------
    read : callable
        ``read(index)`` reads one part, with an integer or a slice per axis. It can be pickled and keeps no file open.
    kind : str
        Kind in the file, if it is not an image: ``"spectrum image"``.
    notes : tuple of str
        Sentences for warnings: what was guessed or left out.
    facts : mapping
        Acquisition metadata of the file, see `metadata.read_metadata`.
    """

    name: str
    axes: tuple[Axis, ...]
    dtype: np.dtype[Any]
    read: Callable[[Index], NDArray[Any]]
    kind: str = ""
    notes: tuple[str, ...] = ()
    facts: Facts = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(axis.size for axis in self.axes)


@dataclass(frozen=True)
class Block:
    """An uncompressed, contiguous array in a file."""

    path: Path
    dtype: np.dtype[Any]
    offset: int
    shape: tuple[int, ...]

    @property
    def end(self) -> int:
        return self.offset + self.dtype.itemsize * int(np.prod(self.shape, dtype=object))

    def __call__(self, index: Index) -> NDArray[Any]:
        return np.array(np.memmap(self.path, self.dtype, "r", self.offset, self.shape)[index])


@dataclass(frozen=True, eq=False)
class SerImages:
    """Images of a .ser file, stored bottom row first, each after its own header."""

    path: Path
    dtype: np.dtype[Any]
    offsets: NDArray[np.int64]
    shape: tuple[int, ...]

    def __call__(self, index: Index) -> NDArray[Any]:
        lead = [int(i) for i in index[:-2] if not isinstance(i, slice)]
        number = int(np.ravel_multi_index(lead, self.shape[:-2])) if lead else 0
        return Block(self.path, self.dtype, int(self.offsets[number]), self.shape[-2:])(index[-2:])[::-1]


def library(name: str) -> Any:
    """Import a package of the extra stem-formats; InputError with the install command if it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"the package {name.partition('.')[0]}, which reads such files",
            "that it is not installed",
            f"Install the extra stem-formats: {EXTRA}; or export the movie as TIFF.",
        ) from error


def plain_unit(unit: Any) -> str:
    """Convert a unit to the form of other formats: ``[n_m]`` of EMD to nm, ``1 / nm`` and ``nm^-1`` to 1/nm."""
    text = text_of(unit).strip("[] ").replace("_", "").replace(" ", "")
    text = re.sub(r"(met(?:er|re))s$", r"\1", text)
    power = re.fullmatch(r"(.+?)(?:\^|\*\*)?\(?(?:-|⁻)(?:1|¹)\)?", text)
    return f"1/{power[1]}" if power else text


def text_of(value: Any) -> str:
    """Convert a text from a file, possibly bytes, to str; empty for None."""
    if isinstance(value, bytes | np.bytes_):
        value = value.decode("utf-8", "replace")
    return "" if value is None else str(value).strip()


def number_of(value: Any) -> float | None:
    """Convert a number from a file, possibly text, to float; None if it is not one."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def gatan_arrays(path: Path) -> Iterator[StoredArray]:
    """Yield the images and spectra of a DigitalMicrograph file, .dm3 or .dm4, without its thumbnail."""
    reader = library("rsciio.digitalmicrograph")
    with path.open("rb") as file:
        version, *length = np.frombuffer(file.read(12), ">u4").tolist()
    # Checked before the tags are read one by one: the length has 4 bytes in version 3, 8 in version 4.
    _check_end(path, length[0] + 12 if version == 3 else (length[0] << 32) + length[1] + 16)
    for found in reader.file_reader(str(path), lazy=True):
        image = found["original_metadata"]["ImageList"]["TagGroup0"]
        stored, tags = image["ImageData"]["Data"], image.get("ImageTags") or {}
        shape = tuple(int(n) for n in found["data"].shape)
        dtype = np.dtype(found["data"].dtype).newbyteorder(">" if stored["endian"] == "big" else "<")
        block = Block(path, dtype, int(stored["offset"]), shape)
        _check_end(path, block.end)
        form = text_of((tags.get("Meta Data") or {}).get("Format"))
        # DigitalMicrograph's axes have no names; x, y, z only number them.
        yield StoredArray(
            found["metadata"]["General"].get("title") or "image",
            tuple(hyperspy_axis(axis) for axis in found["axes"]),
            dtype,
            block,
            form.lower() if "spectr" in form.lower() and len(shape) > 1 else "",
            facts={
                **_mapped(found),
                "instrument": text_of(_nested(tags, "Session Info", "Microscope"))
                or text_of(_nested(tags, "Microscope Info", "Name")),
            },
        )


def tia_arrays(path: Path) -> Iterator[StoredArray]:
    """Yield the images of a single .ser file, or of an .emi file, which lie in .ser files beside it."""
    series = library("rsciio.tia").file_reader(str(path), lazy=True)
    if not series:
        raise InputError(
            f"the .ser files of {path} beside it", "none", "Copy them into its folder: they hold the images."
        )
    for found in series:
        header = found["original_metadata"]["ser_header_parameters"]
        file = path.parent / found["metadata"]["General"]["original_filename"]
        axes = tuple(hyperspy_axis(axis) for axis in found["axes"])
        dtype = found["data"].dtype
        total, valid = int(header["TotalNumberElements"]), int(header["ValidNumberElements"])
        notes = [] if valid == total else [f"It was meant to hold {total} images and holds {valid}."]
        if axes[-1].units == "nm" and axes[-1].scale > 1e9:
            notes.append(
                "Its pixels would be over a metre wide: it may hold diffraction patterns, in 1/m. Its .emi says."
            )
        if int(header["DataTypeID"]) != 0x4122:  # one-dimensional elements
            read: Any = _unread
        else:
            wide = int(header["SeriesVersion"]) > 0x210
            with file.open("rb") as opened:
                opened.seek(int(header["OffsetArrayOffset"]))
                offsets = np.fromfile(opened, "<u8" if wide else "<u4", valid).astype(np.int64)
            read = SerImages(file, dtype, offsets + 50, tuple(axis.size for axis in axes))
            _check_end(file, int(offsets.max()) + 50 + dtype.itemsize * axes[-1].size * axes[-2].size)
            if np.prod([axis.size for axis in axes[:-2]]) > valid:
                raise InputError(f"{np.prod(read.shape[:-2])} images in {file}", f"{valid}", "Export it as TIFF.")
        facts = {**_mapped(found)}
        if "STEM" in text_of(_nested(found["original_metadata"], "ObjectInfo", "ExperimentalDescription", "Mode")):
            facts["dwell_time"] = facts.pop("exposure_time", None)  # TIA stores both as DwellTimePath
        yield StoredArray(file.stem, axes, dtype, read, notes=tuple(notes), facts=facts)


def _unread(index: Index) -> NDArray[Any]:
    raise InputError("images", "spectra", "Open the images of the file.")


def hyperspy_axis(axis: dict[str, Any]) -> Axis:
    """Convert an axis from the description of HyperSpy and RosettaSciIO."""
    name = text_of(axis.get("name"))
    scale = number_of(axis.get("scale"))
    return Axis(
        "" if name.startswith(("<", "_None")) else name,
        int(axis["size"]),
        np.nan if scale is None else scale,
        plain_unit(axis.get("units")).removeprefix("<undefined>").removeprefix("None"),
        None if axis.get("navigate") is None else not axis["navigate"],
    )


#: Fields and units of the metadata that RosettaSciIO finds in a file's tags, by the last part of HyperSpy's name.
_HYPERSPY = {
    "beam_energy": ("beam_energy", "kV"),
    "beam_current": ("beam_current", "nA"),
    "camera_length": ("camera_length", "mm"),
    "convergence_angle": ("convergence_angle", "mrad"),
    "dwell_time": ("dwell_time", "s"),
    "exposure": ("exposure_time", "s"),
    "magnification": ("magnification", "×"),
    "microscope": ("instrument", None),
}


def hyperspy_facts(about: Mapping[str, Any]) -> Facts:
    """Return acquisition metadata from a mapping by HyperSpy's names."""
    known = ((target, about[name], unit) for name, (target, unit) in _HYPERSPY.items() if name in about)
    return {target: value if unit is None else (value, unit) for target, value, unit in known}


def _nested(about: Any, *names: str) -> Any:
    """Return a value in nested groups; None if there is none."""
    for name in names:
        about = about.get(name) if hasattr(about, "get") else None
    return about


def when(*parts: Any) -> str:
    """Return date and time as one text."""
    return " ".join(filter(None, map(text_of, parts)))


def _mapped(found: dict[str, Any]) -> Facts:
    """Return the acquisition metadata that RosettaSciIO finds in a file's tags."""
    known: dict[str, Any] = {}
    for source, (target, convert) in (found.get("mapping") or {}).items():
        value: Any = found["original_metadata"]
        for key in source.split("."):
            # RosettaSciIO's mappings may have an underscore where the tag has a blank.
            alike = (name for name in value if re.sub(r"\W", "_", str(name)) == re.sub(r"\W", "_", key))
            value = value.get(next(alike, None)) if hasattr(value, "get") else None
            if value is None:
                break
        if value is None:
            continue
        try:
            known[target.rpartition("Acquisition_instrument.")[2]] = convert(value) if convert else value
        except (TypeError, ValueError, AttributeError, KeyError):
            continue  # skip a tag of unexpected form
    general = found["metadata"].get("General") or {}
    detector = next((value for name, value in known.items() if re.search(r"Detector\.Camera\.Name", name)), None)
    return {
        **hyperspy_facts({name.rpartition(".")[2]: value for name, value in known.items()}),
        "detector": text_of(detector),
        "acquired": when(
            known.get("General.date") or general.get("date"), known.get("General.time") or general.get("time")
        ),
    }


def _check_end(path: Path, end: int) -> None:
    size = path.stat().st_size
    if end > size:
        raise InputError(
            f"a complete file of {end} bytes",
            f"{path} is cut short, after {size} bytes",
            "Copy it anew from where it was recorded.",
        )


def mrc_arrays(path: Path, *, grows: bool = False) -> Iterator[StoredArray]:
    """Yield the single array of an MRC file, with its axes in the order given by the header.

    Of a stack that `grows` the images in the file count, since programs enter their number in the header at the end.
    """
    mrcfile = library("mrcfile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what permissive mode tolerates is checked below
        with mrcfile.open(path, permissive=True, header_only=True) as opened:
            header, extended = opened.header.copy(), opened.extended_header
            typed = opened.indexed_extended_header if bytes(header.exttyp) in (b"FEI1", b"FEI2") else None
    with path.open("rb") as file:
        stamp = np.frombuffer(file.read(160)[152:], header.mode.dtype)
    shape, dtype = mrcfile.utils.data_shape_from_header(header), mrcfile.utils.data_dtype_from_header(header)
    start = 1024 + int(header.nsymbt)
    if grows and len(shape) < 4 and min(shape[-2:]) > 0:
        held = (path.stat().st_size - start) // (dtype.itemsize * int(np.prod(shape[-2:], dtype=object)))
        shape = (max(held, 0), *shape[-2:])
    if min(shape if not grows else shape[-2:]) < 1:
        raise InputError("a size of each axis", f"{shape} in {path}", "Copy the file anew.")
    notes = []
    if int(header.mode) == 0:
        if int(stamp[0]) == _IMOD and not int(stamp[1]) & 1:
            dtype = np.dtype("u1")
        elif int(stamp[0]) != _IMOD:
            notes.append(
                "Its bytes are taken as signed, as the format has it since 2014; older programs mean 0 to 255."
            )
    block = Block(path, dtype, start, shape)
    _check_end(path, block.end)
    more = 0 if grows else path.stat().st_size - block.end
    if more and bytes(header.map)[:3] != b"MAP":
        raise InputError("an MRC file", f"{path}, whose header is that of none", "Export the movie as TIFF.")
    if more:
        notes.append(
            f"Its header counts {shape[0] if len(shape) > 2 else 1} images; {more} bytes that follow them are left out."
        )
    order = [int(header[name]) for name in ("maps", "mapr", "mapc")]
    names = ["xyz"[n - 1] for n in order] if sorted(order) == [1, 2, 3] else ["z", "y", "x"]
    scales = _mrc_scales(header, typed, extended)
    if scales["x"] == scales["y"] == 1.0:
        notes.append("Its pixels are 1 Å exactly, which programs also write when they do not know: check pixel_size.")
    axes = [_mrc_axis(name, size, scales) for name, size in zip(names[-len(shape) :], shape[-3:], strict=False)]
    lead = [Axis("volume", int(n)) for n in shape[:-3]]
    facts = {}
    if typed is not None and len(typed):
        about = dict(zip(typed.dtype.names, typed[0].tolist(), strict=True))
        # The camera's entries do not describe a scanned image.
        camera = {} if about.get("Dwell time") else about
        facts = {
            "beam_energy": (about.get("HT"), "V"),
            "magnification": (about.get("Magnification"), "×"),
            "dwell_time": (about.get("Dwell time"), "s"),
            "exposure_time": (camera.get("Integration time"), "s"),
            "dose": (about.get("Dose"), "e/m²"),
            "camera_length": (about.get("Camera length"), "m"),
            "detector": text_of(about.get("STEM Detector name") or camera.get("Camera name")),
            "instrument": text_of(about.get("Microscope type")),
        }
    yield StoredArray(path.stem, (*lead, *axes), dtype, block, notes=tuple(notes), facts=facts)


def _mrc_axis(name: str, size: int, scales: dict[str, float]) -> Axis:
    # The spacing of sections is not a frame time; a pixel size of 0 means unknown.
    scale = scales.get(name, np.nan)
    return Axis(name, int(size), scale, "" if np.isnan(scale) else "Å")


def _mrc_scales(header: Any, typed: Any, extended: Any) -> dict[str, float]:
    """Return the pixel size [Å] by axis name, NaN if unknown."""
    scales = {}
    for name in "xy":
        length, count = float(header.cella[name]), int(header["m" + name])
        if not (length and count > 0) and typed is not None and len(typed):
            length, count = float(typed[0][f"Pixel size {name.upper()}"]) * 1e10, 1
        elif not (length and count > 0) and int(header.nsymbt) == 128 * 1024 and extended is not None:
            # FEI's header before 2014: 1024 records of 32 numbers; the twelfth is the pixel size [m].
            old = np.frombuffer(extended.tobytes()[:128], f"{header.mode.dtype.byteorder}f4")
            length, count = float(old[11]) * 1e10, 1
        scales[name] = length / count if length and count > 0 else np.nan
    return scales


def nion_arrays(path: Path) -> Iterator[StoredArray]:
    """Yield the single array of a .ndata or .ndata1 file of Nion Swift, a zip of the array and JSON metadata."""
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read("metadata.json"))
        info = archive.getinfo("data.npy")
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, by_columns, dtype = read(member)
            start = member.tell()
    if info.compress_type != zipfile.ZIP_STORED or by_columns or dtype.hasobject:
        raise InputError("an array as it is", f"a packed one in {path}", "Export the movie as TIFF.")
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)  # the local header, whose extra field differs from the central directory's
        name, extra = np.frombuffer(file.read(4), "<u2").tolist()
    block = Block(path, dtype, info.header_offset + 30 + name + extra + start, shape)
    _check_end(path, block.end)
    yield StoredArray(about.get("title") or path.stem, nion_axes(about, shape), dtype, block, facts=nion_facts(about))


def nion_source(about: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of the array itself, which newer files store among the item's data sources."""
    while not any(key.endswith("l_calibrations") for key in about) and about.get("data_sources"):
        about = about["data_sources"][0]
    return about


def nion_axes(about: dict[str, Any], shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """Return axes from Nion Swift's properties; the last ones are those of a single image or spectrum."""
    about = nion_source(about)
    scales = about.get("dimensional_calibrations") or about.get("spatial_calibrations") or []
    scales = [*scales, *[{}] * len(shape)][: len(shape)]
    known = "datum_dimension_count" in about
    first = len(shape) - int(about.get("datum_dimension_count", 0))
    return tuple(
        Axis("", n, float(scale.get("scale", np.nan)), plain_unit(scale.get("units")), i >= first if known else None)
        for i, (n, scale) in enumerate(zip(shape, scales, strict=True))
    )


def nion_facts(about: dict[str, Any]) -> Facts:
    """Return the acquisition metadata in Nion Swift's properties of an array."""
    metadata = nion_source(about).get("metadata") or {}
    instrument, source = (metadata.get(name) or {} for name in ("instrument", "hardware_source"))
    return {
        "beam_energy": (instrument.get("high_tension"), "V"),
        "detector": text_of(source.get("channel_name")),
        "dwell_time": (source.get("pixel_time_us"), "µs"),
        # For a scan the exposure is the sum over its pixels.
        "exposure_time": (None if "pixel_time_us" in source else source.get("exposure"), "s"),
        "instrument": text_of(instrument.get("name") or instrument.get("hardware_source_name")),
        "acquired": text_of(about.get("created")),
    }
