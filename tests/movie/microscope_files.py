"""Files as microscopes and their programs write them, each of one stack of frames.

The real libraries write them where one writes the format; else byte by byte, as its description has it.
"""

import io
import json
import struct
import zipfile

import h5py
import mrcfile
import numpy as np
import zarr
from rsciio.emd import file_writer as write_emd
from rsciio.hspy import file_writer as write_hspy
from rsciio.nexus import file_writer as write_nexus

PIXEL = (0.03, 0.025)  # (y, x) [nm]
FRAME_TIME = 0.5  # [s]


def _axes(shape, pixel=PIXEL, units="nm", time=FRAME_TIME, names=("time", "y", "x")):
    more = len(shape) - 2
    scales, all_units = ((time,) * more + tuple(pixel))[-len(shape) :], (("s",) * more + (units,) * 2)[-len(shape) :]
    return [
        {
            "_type": "UniformDataAxis",
            "name": name,
            "size": size,
            "scale": float(scale),
            "offset": 0.0,
            "units": unit,
            "navigate": i < len(shape) - 2,
            "is_binned": False,
            "index_in_array": i,
        }
        for i, (name, size, scale, unit) in enumerate(zip(names[-len(shape) :], shape, scales, all_units, strict=True))
    ]


def signal(frames, title="HAADF", kind="", **axes):
    """A signal as RosettaSciIO's writers take it."""
    return {
        "data": frames,
        "axes": _axes(frames.shape, **axes),
        "metadata": {"General": {"title": title}, "Signal": {"signal_type": kind}},
        "original_metadata": {},
        "attributes": {"_lazy": False},
        "tmp_parameters": {},
        "package_info": {"package": "", "package_version": ""},
        "learning_results": {},
        "models": {},
    }


def hspy(path, frames, **axes):
    file = path / "movie.hspy"
    write_hspy(str(file), signal(frames, **axes), show_progressbar=False)
    return file


def emd_of_hyperspy(path, frames, **axes):
    file = path / "movie.emd"
    write_emd(str(file), signal(frames, **axes))
    return file


def nexus(path, frames, **axes):
    file = path / "movie.nxs"
    write_nexus(str(file), [signal(frames, **axes)])
    return file


def emd_of_ncem(path, frames, names=("T", "Y", "X"), units=("[s]", "[n_m]", "[n_m]"), pixel=PIXEL, order=(0, 1, 2)):
    """EMD 0.2, stored in `order` of (T, Y, X)."""
    file = path / "movie.emd"
    with h5py.File(file, "w") as emd:
        emd.attrs.update(version_major=0, version_minor=2)
        emd.create_group("microscope").attrs.update({"high tension": 80e3, "dwell time": 2e-6})
        group = emd.create_group("data/series")
        group.attrs["emd_group_type"] = 1
        group["data"] = frames.transpose(order)
        for place, axis in enumerate(order, 1):
            vector = np.arange(frames.shape[axis]) * (FRAME_TIME, *pixel)[axis]
            group[f"dim{place}"] = vector.astype("f4")
            group[f"dim{place}"].attrs.update(name=np.bytes_(names[axis]), units=np.bytes_(units[axis]))
    return file


def velox(path, frames, detectors=("HAADF",), unit="m", spectra=False, frame_time=FRAME_TIME, **changes):
    """Images of Velox, (Y, X, T) each with JSON beside it."""
    file = path / "movie.emd"
    with h5py.File(file, "w") as emd:
        emd["Version"] = np.array([json.dumps({"format": "Velox", "version": "7"}).encode()], object)
        for number, detector in enumerate(detectors):
            about = {
                "BinaryResult": {
                    "Detector": detector,
                    "DetectorIndex": "0",
                    "PixelSize": {"height": str(PIXEL[0] * 1e-9), "width": str(PIXEL[1] * 1e-9)},
                    "PixelUnitX": unit,
                    "PixelUnitY": unit,
                },
                "Scan": {"FrameTime": str(frame_time), "DwellTime": "2e-06"} if frame_time else {},
                "Optics": {"AccelerationVoltage": "80000"},
                "Detectors": {"Detector-0": {"DetectorName": detector, "ExposureTime": "0.25"}},
            }
            group = emd.create_group(f"Data/Image/{number:032x}")
            text = np.frombuffer(json.dumps(about).encode().ljust(4000, b"\0"), np.uint8)
            group["Metadata"] = np.repeat(text[:, None], len(frames), axis=1)
            group["Data"] = (frames + number).astype(frames.dtype).transpose(1, 2, 0)
        if spectra:
            emd.create_group("Data/SpectrumStream/0")
    return file


def nsid(path, frames, order=(0, 2, 1)):
    """NSID, by sidpy's convention: an image is stored as (x, y)."""
    file = path / "movie.h5"
    with h5py.File(file, "w") as h5:
        group = h5.create_group("Measurement_000/Channel_000/HAADF")
        data = group.create_dataset("HAADF", data=frames.transpose(order))
        for place, axis in enumerate(order):
            name, unit = ("time", "y", "x")[axis], ("s", "nm", "nm")[axis]
            vector = group.create_dataset(name, data=np.arange(frames.shape[axis]) * (FRAME_TIME, *PIXEL)[axis])
            vector.attrs.update(units=unit, name=name, quantity="length")
            vector.make_scale(name)
            data.dims[place].attach_scale(vector)
            data.dims[place].label = name
    return file


def usid(path, frames):
    """USID: a row per pixel, x the fastest, a column per frame."""
    file = path / "movie.h5"
    count, height, width = frames.shape
    y, x = np.divmod(np.arange(height * width), width)
    with h5py.File(file, "w") as h5:
        group = h5.create_group("Measurement_000/Channel_000")
        data = group.create_dataset("Raw_Data", data=frames.reshape(count, -1).T)
        for side, indices, scales, labels, units in (
            ("Position", np.stack([x, y], 1), PIXEL[::-1], ["X", "Y"], ["nm", "nm"]),
            ("Spectroscopic", np.arange(count)[None], FRAME_TIME, ["Time"], ["s"]),
        ):
            for what, values in (("Indices", indices), ("Values", indices * np.array(scales))):
                table = group.create_dataset(f"{side}_{what}", data=values)
                table.attrs.update(labels=labels, units=units)
                data.attrs[f"{side}_{what}"] = table.ref
    return file


def zspy(path, frames):
    """HyperSpy's groups in zarr 2."""
    folder = path / "movie.zspy"
    root = zarr.open_group(str(folder), mode="w", zarr_format=2)
    root.attrs.update(file_format="HyperSpy", file_format_version="3.3")
    group = root.create_group("Experiments/HAADF")
    group.create_array("data", data=frames, chunks=(1, *frames.shape[1:]))
    for i, axis in enumerate(_axes(frames.shape)):
        group.create_group(f"axis-{i}").attrs.update(axis)
    return folder


def zipped_zspy(path, frames):
    folder = zspy(path / "folder", frames)
    with zipfile.ZipFile(path / "movie.zspy", "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
    return path / "movie.zspy"


def ndata(path, frames, name="movie.ndata1", **metadata):
    """A sequence of images of Nion Swift."""
    scales = zip((FRAME_TIME, *PIXEL), ("s", "nm", "nm"), strict=True)
    about = {
        "dimensional_calibrations": [{"offset": 0.0, "scale": scale, "units": unit} for scale, unit in scales],
        "is_sequence": True,
        "collection_dimension_count": 0,
        "datum_dimension_count": 2,
        "metadata": metadata,
    }
    content = io.BytesIO()
    np.save(content, frames)
    with zipfile.ZipFile(path / name, "w") as archive:
        archive.writestr("data.npy", content.getvalue())
        archive.writestr("metadata.json", json.dumps(about))
    return path / name


def nion_h5(path, frames):
    with zipfile.ZipFile(ndata(path, frames)) as archive:
        about = archive.read("metadata.json").decode()
    with h5py.File(path / "movie.h5", "w") as h5:
        h5["data"] = frames
        h5["data"].attrs["properties"] = json.dumps({"data_sources": [json.loads(about)]})
    return path / "movie.h5"


def mrc(path, frames, pixel=PIXEL, name="movie.mrc", volume=False):
    file = path / name
    with mrcfile.new(file) as opened:
        opened.set_data(frames)
        if frames.ndim > 2:
            opened.set_volume() if volume else opened.set_image_stack()
        if pixel is not None:
            opened.voxel_size = (pixel[1] * 10, pixel[0] * 10, 1)
    return file


def big_endian_mrc(path, frames):
    file = mrc(path, frames)
    content = file.read_bytes()
    header = bytearray(np.frombuffer(content[:1024], "<u4").byteswap().tobytes())
    header[208:216] = b"MAP \x11\x11\0\0"
    file.write_bytes(bytes(header) + np.frombuffer(content[1024:], frames.dtype).byteswap().tobytes())
    return file


_DM_DTYPES = {"i2": (1, 2), "f4": (2, 6), "u1": (6, 10), "i4": (7, 3), "u2": (10, 4), "u4": (11, 5), "c8": (3, None)}


def dm3(path, frames, units=("s", "nm", "nm"), scales=(FRAME_TIME, *PIXEL), name="", form="Image", extra=(), version=3):
    """A DigitalMicrograph file: nested tags, numbers in them little-endian, the structure big-endian.

    In version 4 lengths have 8 bytes instead of 4, and each tag says its own.
    """
    long = "I" if version == 3 else "Q"

    def tag(label, content):
        kind = 20 if content[0] == "group" else 21
        length = b"" if version == 3 else struct.pack(">Q", len(content[1]))
        return struct.pack(">BH", kind, len(label)) + label.encode() + length + content[1]

    def group(*tags):
        head = struct.pack(f">BB{long}", 1, 0, len(tags))
        return "group", head + b"".join(tag(label, content) for label, content in tags)

    def value(code, form, number):
        return "data", b"%%%%" + struct.pack(f">{long}{long}", 1, code) + struct.pack("<" + form, number)

    def array(code, content, length):
        return "data", b"%%%%" + struct.pack(f">4{long}", 3, 20, code, length) + content

    def text(string):
        return array(4, string.encode("utf-16-le"), len(string))

    def image(frames, title):
        kind, code = _DM_DTYPES[frames.dtype.str[1:]]
        calibrations = [
            ("", group(("Origin", value(6, "f", 0)), ("Scale", value(6, "f", scale)), ("Units", text(unit))))
            for scale, unit in list(zip(scales, units, strict=True))[-frames.ndim :][::-1]
        ]
        brightness = group(("Origin", value(6, "f", 0)), ("Scale", value(6, "f", 1)), ("Units", text("")))
        data = group(
            ("Calibrations", group(("Brightness", brightness), ("Dimension", group(*calibrations)))),
            ("Data", array(code, frames.tobytes(), frames.size)),
            ("DataType", value(5, "I", kind)),
            ("Dimensions", group(*[("", value(5, "I", n)) for n in frames.shape[::-1]])),
            ("PixelDepth", value(5, "I", frames.dtype.itemsize)),
        )
        tags = group(("Meta Data", group(("Format", text(form)), ("Signal", text("")))))
        return group(("ImageData", data), ("ImageTags", tags), ("Name", text(title)))

    images = [("", image(frames, "HAADF")), *(("", image(array, title)) for title, array in extra)]
    root = group(("ImageList", group(*images)))[1]
    file = path / (name or f"movie.dm{version}")
    file.write_bytes(struct.pack(f">I{long}I", version, len(root) + 8, 1) + root + bytes(8))
    return file


def dm4(path, frames, **options):
    return dm3(path, frames, version=4, **options)


def ser(path, frames, pixel=PIXEL, valid=None):
    """A series of images of TIA, bottom line first, each followed by the time it was taken."""
    codes = {"u1": 1, "u2": 2, "u4": 3, "i1": 4, "i2": 5, "i4": 6, "f4": 7, "f8": 8}
    count, height, width = frames.shape
    valid = count if valid is None else valid
    dimension = struct.pack("<IddII", count, 0, 1, 0, 6) + b"Number" + struct.pack("<I", 0)
    start = 30 + len(dimension)
    head = struct.pack("<HHHIIIIII", 0x4949, 0x0197, 0x0210, 0x4122, 0x4152, count, valid, start, 1) + dimension
    y, x = (size * 1e-9 for size in pixel)
    elements = [
        struct.pack("<ddIddIHII", 0, x, 0, 0, y, 0, codes[frames.dtype.str[1:]], width, height)
        + frame[::-1].tobytes()
        + struct.pack("<HHI", 0x4152, 0, 1456165114)
        for frame in frames[:valid]
    ]
    first, size = start + 8 * count, len(elements[0])
    offsets = [first + i * size if i < valid else 0 for i in range(count)]
    tags = [offset + size - 8 if offset else 0 for offset in offsets]
    file = path / "movie_1.ser"
    file.write_bytes(head + struct.pack(f"<{2 * count}I", *offsets, *tags) + b"".join(elements))
    return file
