"""TIFF files with the private tags of microscopes' programs, written by tifffile byte for byte as those write them.

The pixels of all are 0.03 × 0.025 nm (y, x), or 0.025 nm where the tags know one side alone; the beam has 200 kV.
"""

import struct

import numpy as np
import tifffile


def _write(path, frames, tag=None, **more):
    tags = [] if tag is None else [tag]
    tifffile.imwrite(path, frames, photometric="minisblack", metadata=None, extratags=tags, **more)
    return path


def fei(path, frames, scan="Scan", image=None, time="10:12:00", **changes):
    about = {"PixelWidth": 0.025e-9, "PixelHeight": 0.03e-9, "Dwelltime": 2e-6} | changes
    sections = {
        "User": {"Date": "11/26/2020", "Time": time},
        "System": {"Type": "SEM", "SystemType": "Helios"},
        "Beam": {"HV": 200000, "Beam": "EBeam"},
        "EBeam": {"HV": 200000, "HFW": 0.8e-9, "VFW": 0.72e-9, "BeamCurrent": 5e-11},
        "Image": image or {},
        "Detectors": {"Number": 1, "Name": "HAADF", "Mode": "BSE"},
        **({scan: about} if scan else {}),
    }
    text = "".join(
        f"[{name}]\r\n" + "".join(f"{key}={value}\r\n" for key, value in section.items()) + "\r\n"
        for name, section in sections.items()
    )
    return _write(path, frames, (34682, "s", 0, text, True))


def zeiss(path, frames, named=True, unit="nm"):
    side = 0.025 * (1e-9 if unit == "nm" and not named else 1)
    unnamed = "0\r\n0\r\n0\r\n" + (f"{0.025e-9 * frames.shape[-1] / 1024:.12e}\r\n")
    entries = {
        "AP_MAG": "Mag = 5.00 K X",
        "AP_ACTUALKV": "EHT = 200.0 kV",
        "AP_IPROBE": "I Probe = 80 pA",
        "DP_DWELL_TIME": "Dwell Time = 100 ns",
        "DP_DETECTOR_CHANNEL": "Signal A = InLens",
        "AP_DATE": "Date :20 Mar 2018",
        "AP_TIME": "Time :14:05:11",
        **({"AP_IMAGE_PIXEL_SIZE": f"Image Pixel Size = {side} {unit}"} if named else {}),
    }
    text = unnamed + "".join(f"{key}\r\n{line}\r\n" for key, line in entries.items())
    return _write(path, frames, (34118, "s", 0, text, True))


def tvips(path, frames, **changes):
    about = {
        "PixelSizeX": 0.025,
        "PixelSizeY": 0.03,
        "TemHighTension": 200000.0,
        "TemMode": 0,
        "TemMagnification": 250000.0,
        "ExposureTime": 500.0,
        "Date": 132122901,  # as in a file of 21 September 2016
        "Time": 43205,
        "CameraType": "TemCam-F416",
        "Magic": 0xAAAAAAAA,
    } | changes
    first = np.zeros((), np.dtype(tifffile.TIFF.TVIPS_HEADER_V1))
    first["Version"] = 2
    second = np.zeros((), np.dtype(tifffile.TIFF.TVIPS_HEADER_V2))
    for name, value in about.items():
        if isinstance(value, str):
            value = np.frombuffer(value.encode("utf-16-le").ljust(second.dtype[name].itemsize, b"\0"), "V160")[0]
        second[name] = value
    content = first.tobytes() + second.tobytes()
    return _write(path, frames, (37706, "B", len(content), content, True))


def olympus(path, frames, power=-9):
    head = struct.pack("<4s6xhhhhh6x32sH", b"SIS0", 45, 13, 17, 4, 112, b"image", 1)
    general = struct.pack("<10xhdd8xd2x34s32s", power, 0.025, 0.03, 80000.0, b"Veleta", b"")
    content = head + struct.pack("<hhI", 1, 1, 0) + general
    _write(path, frames, (33560, "B", len(content), content, True))
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages.first.tags[33560].valueoffset
    with path.open("r+b") as file:  # the offset of an entry counts from the start of the file
        file.seek(start + len(head) + 4)
        file.write(struct.pack("<I", start + len(head) + 8))
    return path


def jeol(path, frames, mode="eosTEM", magnification="400000"):
    report = (
        "<TemReporter><Instruments>JEM-F200</Instruments>"
        "<ElectronGun><AccelerationVoltage>200000</AccelerationVoltage></ElectronGun>"
        f"<Eos><EosMode>{mode}</EosMode></Eos>"
        f"<ImageFormingSystem><ModeString>MAG</ModeString><SelectorValue>{magnification}</SelectorValue>"
        "<SelectorUnitString>x</SelectorUnitString></ImageFormingSystem></TemReporter>"
    )
    per_cm = 1000  # on a camera with pixels of 10 µm
    return _write(
        path,
        frames,
        (271, "s", 0, "JEOL Ltd.", True),
        description=report,
        resolution=(per_cm, per_cm),
        resolutionunit="CENTIMETER",
    )


MAKERS = {"FEI": fei, "Zeiss": zeiss, "TVIPS": tvips, "Olympus": olympus, "JEOL": jeol}
