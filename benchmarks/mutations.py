"""Damaged files of every kind: each opens, or gives a clear error, in a few seconds.

    python benchmarks/mutations.py [--count 2000] [--seed 0]

Valid files of each kind are written, then copied with bytes flipped, a piece cut off, zeroed, doubled or overwritten by
noise, a number in a header changed, or one file of several removed; half of what has checksums gets them made anew, so
that what lies behind them is tried as well. A copy is opened as a person would, its first and last frame read, clicks
and labels turned into annotations, a run folder looked at, a network used. A fault is any error but an InputError,
more than 5 s of work, or more than 2 GB. Ends with exit status 1 where there is one. The cell is
``benchmarks/results/mutations.json``.
"""

from __future__ import annotations

import argparse
import faulthandler
import logging
import re
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import openpyxl
import roifile
import tifffile
import zarr
from PIL import Image

HERE = Path(__file__).parent
sys.path[:0] = map(str, (HERE, HERE.parent / "tests", HERE.parent / "tests" / "movie"))

import microscope_files as microscopes
import ome_files

import tiny
from cells import write_cell
from napari_menndl import Annotation, open_movie, open_run
from napari_menndl.errors import InputError
from napari_menndl.network.checksum import BLANK, seal
from napari_menndl.predict.ensemble import open_predictor

FRAMES = np.random.default_rng(0).integers(1, 4000, (4, 48, 56)).astype(np.uint16)
LABELS = np.zeros((48, 56), np.uint8)
LABELS[10:14, 10:14], LABELS[30:34, 40:44] = 1, 2
PLACES = [(10.5, 12.0), (30.0, 40.5), (12.0, 3.0)]
#: Limits of a single file [s], and of the address space beyond what importing took [byte]; from when on a file hangs,
#: which ends the script [s].
SECONDS, MEMORY, HANGS = 5.0, 2 << 30, 60


def file(name, write):
    """A kind of one file; `write` is given its path."""

    def written(folder):
        write(folder / name)
        return folder / name

    return written


def by_microscope(write, **options):
    return lambda folder: write(folder, FRAMES, **options)


def write_zipped(folder):
    with tempfile.TemporaryDirectory() as beside:
        return Path(shutil.copy(microscopes.zipped_zspy(Path(beside), FRAMES), folder))


def write_zarr(path):
    zarr.create_array(str(path), data=FRAMES, chunks=(1, 48, 56), dimension_names=("t", "y", "x"))


def write_ome_zarr(path):
    root = zarr.open_group(str(path), mode="w", zarr_format=2)
    axes = [{"name": name, "type": kind} for name, kind in (("t", "time"), ("y", "space"), ("x", "space"))]
    scale = [{"type": "scale", "scale": [0.5, 0.02, 0.02]}]
    root.attrs["multiscales"] = [
        {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    ]
    root.create_array("0", data=FRAMES, chunks=(1, 48, 56))


def write_pictures(folder):
    for t, frame in enumerate(FRAMES):
        Image.fromarray((frame >> 4).astype(np.uint8)).save(folder / f"frame {t}.png")
    return folder


def write_ome_set(folder):
    return ome_files.write_set(folder, FRAMES, 2) / "part0.ome.tif"


def write_rois(path):
    roi = roifile.ImagejRoi.frompoints(np.array(PLACES, np.float32)[:, ::-1])
    roi.roitype, roi.options = roifile.ROI_TYPE.POINT, roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    roi.tofile(path, name="one", mode="w")
    roifile.ImagejRoi(roitype=roifile.ROI_TYPE.OVAL, top=4, left=4, bottom=9, right=9).tofile(
        path, name="two", mode="a"
    )


def write_workbook(path):
    book = openpyxl.Workbook()
    for row in (("y", "x", "class"), *((y, x, "a") for y, x in PLACES)):
        book.active.append(row)
    book.save(path)


def text(header, row, below=""):
    """A table with a row per point."""
    lines = (row.format(y=y, x=x, n=n) for n, (y, x) in enumerate(PLACES, start=1))
    return lambda path: path.write_text("\n".join([header, *lines, below]))


SPOT = '<Spot ID="{n}" VISIBILITY="1" POSITION_X="{x}" POSITION_Y="{y}" POSITION_Z="0.0" FRAME="0"/>'
MARKER = "<Marker><MarkerX>{x}</MarkerX><MarkerY>{y}</MarkerY><MarkerZ>1</MarkerZ></Marker>"
FEATURE = (
    '{{"type": "Feature", "geometry": {{"type": "Point", "coordinates": [{x}, {y}], "plane": {{"t": 0}}}}, '
    '"properties": {{"classification": {{"name": "a"}}}}}},'
)
MOVIES = {
    "TIFF": file("a.tif", lambda path: tifffile.imwrite(path, FRAMES, photometric="minisblack")),
    "ImageJ's TIFF": file(
        "a.tif",
        lambda path: tifffile.imwrite(
            path, FRAMES, imagej=True, resolution=(50, 50), metadata={"axes": "TYX", "unit": "nm", "finterval": 0.5}
        ),
    ),
    "OME-TIFF, deflated": file(
        "a.ome.tif",
        lambda path: tifffile.imwrite(
            path, FRAMES, ome=True, compression="zlib", photometric="minisblack", metadata={"axes": "TYX"}
        ),
    ),
    "OME-TIFF of two files": write_ome_set,
    "NumPy": file("a.npy", lambda path: np.save(path, FRAMES)),
    "zarr": file("a.zarr", write_zarr),
    "OME-Zarr": file("a.ome.zarr", write_ome_zarr),
    "PNG series": write_pictures,
    "MRC": by_microscope(microscopes.mrc),
    "DM3": by_microscope(microscopes.dm3),
    "DM4": by_microscope(microscopes.dm4),
    "TIA": by_microscope(microscopes.ser),
    "Velox": by_microscope(microscopes.velox),
    "EMD of NCEM": by_microscope(microscopes.emd_of_ncem),
    "HyperSpy": by_microscope(microscopes.hspy),
    "HyperSpy in zarr": by_microscope(microscopes.zspy),
    "HyperSpy in a zip of zarr": write_zipped,
    "NeXus": by_microscope(microscopes.nexus),
    "NSID": by_microscope(microscopes.nsid),
    "USID": by_microscope(microscopes.usid),
    "Nion Swift": by_microscope(microscopes.ndata),
}
POINTS = {
    "CSV": file("a.csv", text("y,x,class,frame", "{y},{x},a,0")),
    "ImageJ's results": file("Results.csv", text(" ,Area,X,Y,Slice", "{n},0,{x},{y},1")),
    "napari's points": file("a.csv", text("index,axis-0,axis-1,axis-2,class", "{n}.0,0.0,{y},{x},2.0")),
    "ROIs in a zip": file("a.zip", write_rois),
    "Cell Counter": file(
        "a.xml",
        text(
            "<CellCounter_Marker_File><Marker_Data><Marker_Type><Type>1</Type>",
            MARKER,
            "</Marker_Type></Marker_Data></CellCounter_Marker_File>",
        ),
    ),
    "TrackMate": file(
        "a.xml",
        text(
            '<TrackMate><Model spatialunits="pixel"><AllSpots><SpotsInFrame frame="0">',
            SPOT,
            "</SpotsInFrame></AllSpots></Model></TrackMate>",
        ),
    ),
    "GeoJSON": file("a.geojson", text('{"features": [', FEATURE, FEATURE.format(x=20, y=20)[:-1] + "]}")),
    "workbook": file("a.xlsx", write_workbook),
}
MASKS = {
    "TIFF of labels": file("a.tif", lambda path: tifffile.imwrite(path, LABELS)),
    "PNG of labels": file("a.png", lambda path: Image.fromarray(LABELS * 100).save(path)),
    "NumPy of labels": file("a.npy", lambda path: np.save(path, LABELS)),
    "annotation": file("a.zarr", lambda path: Annotation.from_labels(LABELS, ["a", "b"]).save(path)),
}


def open_a_movie(path):
    movie = open_movie(path)
    for t in {0, len(movie) - 1}:
        movie.frame(t)


def open_points(path):
    Annotation.from_points(path, FRAMES.shape, 3, unit="px")


def open_labels(path):
    annotation = Annotation.open(path)
    annotation.describe()
    annotation.frame(0)


def open_a_run(path):
    run = open_run(path)
    run.status()
    run.history  # noqa: B018 - read now
    run.best.predict_frame(run.task.frames[0], run.task.pixel_size)


def open_a_network(path):
    open_predictor(path).predict_frame(FRAMES[0], tiny.PIXEL_SIZE)


def kinds(searched):
    """Writers of each kind into a folder, and how a person opens it; `searched` is a run folder."""
    network = open_run(searched).best
    return {
        **{name: (write, open_a_movie) for name, write in MOVIES.items()},
        **{name: (write, open_points) for name, write in POINTS.items()},
        **{name: (write, open_labels) for name, write in MASKS.items()},
        "run folder": (file("a.menndl", partial(shutil.copytree, searched)), open_a_run),
        "network": (file("a.safetensors", network.save), open_a_network),
    }


def damage(data, rng):
    """Bytes with one kind of damage."""
    data, n = bytearray(data), len(data)
    at, width = int(rng.integers(n)), int(rng.integers(1, max(2, n // 8)))
    ways = ["flip", "header", "cut", "zero", "noise", "double", "digits"]
    if data.isascii():
        ways = ["flip", "cut", *["digits", "words"] * 3]
    match rng.choice(ways):
        case "flip":
            for place in rng.integers(n, size=int(rng.integers(1, 20))):
                data[place] ^= 1 << int(rng.integers(8))
        case "header":
            for place in rng.integers(min(n, 512), size=int(rng.integers(1, 6))):
                data[place] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF]))
        case "cut":
            del data[at:]
        case "zero":
            data[at : at + width] = bytes(len(data[at : at + width]))
        case "noise":
            data[at : at + width] = rng.bytes(len(data[at : at + width]))
        case "double":
            data[at:at] = data[at : at + width]
        case "words":
            words = re.split(rb"(\W+)", bytes(data))
            for place in rng.integers(len(words), size=int(rng.integers(1, 4))):
                words[place] = words[int(rng.integers(len(words)))] if rng.random() < 0.7 else b""
            data = b"".join(words)
        case "digits":
            digits = [i for i, byte in enumerate(data[:4096]) if 48 <= byte <= 57]
            for place in rng.permutation(digits)[:3]:
                data[place] = int(rng.choice(list(b"9-.,e")))
    return bytes(data)


def sealed(path):
    """Make the checksums of a damaged file anew, so that the damage behind them is met."""
    data = path.read_bytes()
    if path.suffix == ".safetensors" and (at := data.find(b'"sha256":"')) > 0:
        at += len('"sha256":"')
        path.write_bytes(seal(data[:at] + BLANK.encode() + data[at + len(BLANK) :]))
    if path.name == "journal.jsonl":
        bodies = [line.rpartition(b',"crc32":')[0] for line in data.splitlines()]
        path.write_bytes(b"".join(body + b',"crc32":"%08x"}\n' % zlib.crc32(body) for body in bodies))


def damage_one(folder, rng):
    """Damage one of the files in a folder, or remove it where there are several."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    target = files[int(rng.integers(len(files)))]
    if len(files) > 1 and rng.random() < 0.15:
        target.unlink()
        return
    target.write_bytes(damage(target.read_bytes(), rng))
    if rng.random() < 0.5:
        try:
            sealed(target)
        except ValueError:  # nothing is left that has a checksum
            return


def attempt(sources, path, open_it, rng):
    """Damage a copy and open it: how it ended, and what work it was [s]."""
    folder = sources.with_name("damaged")
    shutil.copytree(sources, folder)
    damage_one(folder, rng)
    began = time.process_time()
    faulthandler.dump_traceback_later(HANGS, exit=True)  # libraries in C are stopped by nothing less
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            open_it(folder / path.relative_to(sources))
        ended = "opened"
    except InputError:
        ended = "refused"
    except Exception:  # what this script is for
        ended = traceback.format_exc(limit=-3)
    faulthandler.cancel_dump_traceback_later()
    took = time.process_time() - began
    shutil.rmtree(folder)
    return ended if took <= SECONDS or ended not in ("opened", "refused") else f"{ended} after {took:.1f} s", took


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--count", type=int, default=2000)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--quick", action="store_true", help="a hundred files, nothing kept")
    given = ask.parse_args()
    logging.disable(logging.CRITICAL)  # tifffile's, of every damaged tag
    faulthandler.enable()
    count = 100 if given.quick else given.count
    faults, slowest = [], 0.0
    with tempfile.TemporaryDirectory() as place:
        written = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            searched = tiny.finish(tiny.prepare(Path(place) / "searched.menndl")).path
            for number, (name, (write, open_it)) in enumerate(kinds(searched).items()):
                sources = Path(place) / str(number) / "sources"
                sources.mkdir(parents=True)
                written[name] = sources, write(sources), open_it
                open_it(written[name][1])
        ended = {name: {"opened": 0, "refused": 0} for name in written}
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for number in range(count):
            name = list(written)[number % len(written)]
            print(f"{name}, number {number}", end="\r", file=sys.stderr, flush=True)
            how, took = attempt(*written[name], np.random.default_rng([given.seed, number]))
            slowest = max(slowest, took)
            if how in ended[name]:
                ended[name][how] += 1
            else:
                how = how.replace(place, "")
                faults.append({"file": name, "number": number, "how": how})
                print(f"{name}, number {number}: {how}", flush=True)
    for name, counts in ended.items():
        print(f"{name:26} {counts['opened']:5} opened {counts['refused']:5} refused")
    print(f"{len(faults)} faults in {count}; the slowest took {slowest:.2f} s")
    if not given.quick:
        write_cell("mutations", given.seed, {"count": count, "ended": ended, "faults": faults, "slowest [s]": slowest})
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
