"""Damaged files of every kind: each opens, or gives a clear error, in a few seconds.

    python benchmarks/mutations.py [--count 2000] [--seed 0]

A small valid file of each kind is written, then copied with bytes flipped, a piece cut off, zeroed, doubled or
overwritten by noise, and a number in its header changed. A copy is opened as a person would, its first and last frame
read, clicks and labels turned into annotations. A fault is any error but an InputError, more than 5 s, more than 2 GB.
Ends with exit status 1 where there is one. The cell is ``benchmarks/results/mutations.json``.
"""

from __future__ import annotations

import argparse
import logging
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

import h5py
import mrcfile
import numpy as np
import tifffile
import zarr
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from cells import write_cell
from napari_menndl import Annotation, open_movie
from napari_menndl.errors import InputError

FRAMES = np.random.default_rng(0).integers(1, 4000, (4, 48, 56)).astype(np.uint16)
LABELS = np.zeros((48, 56), np.uint8)
LABELS[10:14, 10:14], LABELS[30:34, 40:44] = 1, 2
#: Limits of a single file [s], and of the address space beyond what importing took [byte].
SECONDS, MEMORY = 5.0, 2 << 30


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        file.attrs["file_format"] = "HyperSpy"
        group = file.create_group("Experiments/movie")
        group.create_dataset("data", data=FRAMES, chunks=(1, 48, 56), compression="gzip")
        for number, (name, unit, scale) in enumerate((("t", "s", 0.5), ("y", "nm", 0.02), ("x", "nm", 0.02))):
            axis = group.create_group(f"axis-{number}")
            axis.attrs.update(name=name, units=unit, scale=scale, offset=0.0, size=FRAMES.shape[number])
            axis.attrs["navigate"] = number == 0


def write_mrc(path):
    with mrcfile.new(path) as file:
        file.set_data(FRAMES.astype(np.int16))
        file.set_image_stack()
        file.voxel_size = 0.2


def write_zarr(path):
    zarr.create_array(str(path), data=FRAMES, chunks=(1, 48, 56), dimension_names=("t", "y", "x"))


def grey(path):
    Image.fromarray(LABELS * 100).save(path)


MOVIES = {
    "plain.tif": lambda path: tifffile.imwrite(path, FRAMES, photometric="minisblack"),
    "imagej.tif": lambda path: tifffile.imwrite(
        path, FRAMES, imagej=True, resolution=(50, 50), metadata={"axes": "TYX", "unit": "nm", "finterval": 0.5}
    ),
    "deflate.ome.tif": lambda path: tifffile.imwrite(
        path, FRAMES, ome=True, compression="zlib", photometric="minisblack", metadata={"axes": "TYX"}
    ),
    "frames.npy": lambda path: np.save(path, FRAMES),
    "frames.zarr": write_zarr,
    "frames.mrc": write_mrc,
    "frames.hspy": write_hdf5,
}
POINTS = {
    "clicks.csv": lambda path: path.write_text("y,x,class,frame\n" + "10.5,12,a,0\n30,40.5,b,0\n12,3,a,0\n" * 4),
    "Results.csv": lambda path: path.write_text(" ,Area,X,Y,Slice\n" + "1,0,12.5,10.5,1\n2,0,40,30,1\n" * 4),
}
MASKS = {
    "mask.tif": lambda path: tifffile.imwrite(path, LABELS),
    "mask.png": grey,
    "mask.npy": lambda path: np.save(path, LABELS),
}
KINDS = MOVIES | POINTS | MASKS


def damage(data, rng):
    """Bytes with one kind of damage."""
    data, n = bytearray(data), len(data)
    at, width = int(rng.integers(n)), int(rng.integers(1, max(2, n // 8)))
    match rng.choice(["flip", "header", "cut", "zero", "noise", "double", "text"]):
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
        case "text":
            digits = [i for i, byte in enumerate(data[:4096]) if 48 <= byte <= 57]
            for place in rng.permutation(digits)[:3]:
                data[place] = int(rng.choice(list(b"9-.,e")))
    return bytes(data)


def open_as_a_person(path):
    if path.name in POINTS:
        Annotation.from_points(path, FRAMES.shape[1:], 3, unit="px")
    elif path.name in MASKS:
        Annotation.open(path)
    else:
        movie = open_movie(path)
        for t in {0, len(movie) - 1}:
            movie.frame(t)


def attempt(name, source, folder, rng):
    """Damage a copy and open it: how it ended, and what it took [s]."""
    path = folder / name
    if source.is_dir():
        shutil.copytree(source, path)
        files = sorted(p for p in path.rglob("*") if p.is_file())
        target = files[int(rng.integers(len(files)))]
    else:
        target = Path(shutil.copy(source, path))
    target.write_bytes(damage(target.read_bytes(), rng))
    began = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            open_as_a_person(path)
        ended = "opened"
    except InputError:
        ended = "refused"
    except Exception:  # what this script is for
        ended = traceback.format_exc(limit=-3)
    took = time.perf_counter() - began
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return ended if took <= SECONDS or ended not in ("opened", "refused") else f"{ended} after {took:.1f} s", took


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--count", type=int, default=2000)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--quick", action="store_true", help="a hundred files, nothing kept")
    given = ask.parse_args()
    logging.disable(logging.CRITICAL)  # tifffile's, of every damaged tag
    count = 100 if given.quick else given.count
    ended = {name: {"opened": 0, "refused": 0} for name in KINDS}
    faults, slowest = [], 0.0
    with tempfile.TemporaryDirectory() as place:
        sources = Path(place) / "sources"
        sources.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for name, write in KINDS.items():
                write(sources / name)
                open_as_a_person(sources / name)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        for number in range(count):
            name = list(KINDS)[number % len(KINDS)]
            how, took = attempt(name, sources / name, Path(place), np.random.default_rng([given.seed, number]))
            slowest = max(slowest, took)
            if how in ended[name]:
                ended[name][how] += 1
            else:
                faults.append({"file": name, "number": number, "how": how})
                print(f"{name}, number {number}: {how}", flush=True)
    for name, counts in ended.items():
        print(f"{name:16} {counts['opened']:5} opened {counts['refused']:5} refused")
    print(f"{len(faults)} faults in {count}; the slowest took {slowest:.2f} s")
    if not given.quick:
        write_cell("mutations", given.seed, {"count": count, "ended": ended, "faults": faults, "slowest [s]": slowest})
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
