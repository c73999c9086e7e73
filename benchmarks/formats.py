"""Microscopes' files beside what a second reader says of them; time and memory of a frame of a large movie.

    python benchmarks/formats.py [FOLDER] [--megabytes 4000] [--files 5000]

A movie of that size, of 2048 x 2048 pixels, is written as .mrc, BigTIFF and zarr, opened in a fresh process, and two
frames of it are read, from the disk's cache. A folder of so many small TIFF files is read through by a process that may
have 256 files open. The cells are ``benchmarks/results/formats.json`` and ``benchmarks/results/formats-folder.json``;
with 0 a part is left out, and without a folder the first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from cells import write_cell
from napari_menndl.errors import InputError
from napari_menndl.movie.movie import Movie
from napari_menndl.movie.reading import open_movie

SIDE = 2048
#: Of the small images of a folder, how many may be open at once, and of how many the median is the cost of one.
SMALL, OPEN_FILES, SOME = 64, 256, 500
#: The peak of resident memory is reset first (Linux), so that what importing took is not counted.
CHILD = """
import json, re, sys, time
from pathlib import Path
import numpy as np
from napari_menndl.movie.reading import open_movie
open_movie(np.zeros((2, 8, 8))).frame(0)
def memory(which): return int(re.search(which + r":\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
Path("/proc/self/clear_refs").write_text("5")
before, times = memory("VmRSS"), [time.perf_counter()]
movie = open_movie(sys.argv[1])
times.append(time.perf_counter())
for t in (len(movie) // 2, len(movie) // 3):
    frame = None
    frame = movie.frame(t)
    times.append(time.perf_counter())
opening, first, another = np.diff(times).tolist()
used = memory("VmHWM") - before
print(json.dumps({"open [s]": opening, "first frame [s]": first, "another [s]": another, "memory [MB]": used,
                  "memory [frames]": used * 2**20 / frame.nbytes, "frames": len(movie), "mean": float(frame.mean())}))
"""
FOLDER_CHILD = """
import json, resource, sys, time
import numpy as np
from napari_menndl.movie.reading import open_movie
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]),) * 2)
open_movie(np.zeros((2, 8, 8))).frame(0)
times = [time.process_time()]
movie = open_movie(sys.argv[1])
total = 0.0
times.append(time.process_time())
for t in range(len(movie)):
    total += float(movie.frame(t).mean())
    times.append(time.process_time())
opening, *each = np.diff(times).tolist()
some = int(sys.argv[3])
def milliseconds(times): return 1e3 * float(np.median(times))
print(json.dumps({"files": len(movie), "open [CPU s]": opening,
                  "first frames [CPU ms each]": milliseconds(each[:some]),
                  "last frames [CPU ms each]": milliseconds(each[-some:]),
                  "slowest frame [CPU ms]": 1e3 * max(each), "mean": total / len(movie)}))
"""


def ours(path):
    """The movie, or why it is none, and the first line of each warning."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            movie = open_movie(path)
        except InputError as error:
            movie = error
    return movie, [str(one.message) for one in said]


def second(path):
    """Shape, pixel size as it stands, and frames by ncempy; by RosettaSciIO what ncempy cannot read."""
    try:
        if path.suffix in (".hspy", ".emi"):
            raise ValueError("not among ncempy's formats")
        import ncempy

        found = ncempy.read(path)
        units = found["pixelUnit"] if not isinstance(found["pixelUnit"], str) else [found["pixelUnit"]] * 3
        pixel = [f"{size:.6g} {unit}" for size, unit in zip(found["pixelSize"], units, strict=False)]
        return "ncempy", found["data"], " × ".join(pixel)
    except Exception as error:
        import rsciio

        plugins = {".hspy": "hspy", ".emd": "emd", ".emi": "tia", ".ser": "tia", ".mrc": "mrc"}
        if path.suffix not in plugins:
            return "ncempy", None, f"{type(error).__name__}: {error}"
        reader = __import__(f"{rsciio.__name__}.{plugins[path.suffix]}", fromlist=["file_reader"]).file_reader
        found = reader(str(path))[0]
        return "RosettaSciIO", found["data"], " × ".join(f"{a['scale']:.6g} {a['units']}" for a in found["axes"])


def same(movie, data):
    """Whether the last frames agree, or how one has to be turned for that."""
    if data is None:
        return "–"
    data = np.asarray(data)
    other, frame = (data[-1] if data.ndim > 2 else data), movie.frame(-1)
    turns = {"same": other, "same, time last": data[..., -1], "upside down": other[::-1], "transposed": other.T}
    return next((name for name, one in turns.items() if np.array_equal(one.astype("f4"), frame)), "other values")


def compare(folder):
    """A line per file."""
    print("| file | movie | pixel size (y, x) [nm] | frame time [s] | second reader | last frame |")
    print("|---|---|---|---|---|---|")
    for path in sorted(path for path in folder.iterdir() if not path.name.startswith(".")):
        movie, said = ours(path)
        who, data, pixel = second(path)
        other = f"{who}: {'–' if data is None else np.shape(data)}, {pixel}"
        if isinstance(movie, Movie):
            size = "uncalibrated" if movie.pixel_size is None else "{:.6g}, {:.6g}".format(*movie.pixel_size)
            what = f"{movie.shape} {movie.frames.dtype}"
            print(f"| {path.name} | {what} | {size} | {movie.frame_time or '–'} | {other} | {same(movie, data)} |")
        else:
            print(f"| {path.name} | refused: {movie.found} | – | – | {other} | – |")
        for text in said:
            print(f"| | ↳ {text} | | | | |")


def write_files(folder, count):
    """The same movie in three formats, a frame at a time."""
    import mrcfile
    import tifffile
    import zarr

    frame = np.random.default_rng(0).integers(0, 4000, (SIDE, SIDE)).astype(np.uint16)
    paths = [folder / name for name in ("movie.mrc", "movie.tif", "movie.zarr")]
    mrc = mrcfile.new_mmap(paths[0], (count, SIDE, SIDE), mrc_mode=6)
    store = zarr.create_array(
        str(paths[2]), shape=(count, SIDE, SIDE), chunks=(1, SIDE, SIDE), dtype="u2", compressors=None
    )
    with tifffile.TiffWriter(paths[1], bigtiff=True) as tiff:
        for t in range(count):
            mrc.data[t] = frame + t % 100
            store[t] = frame + t % 100
            tiff.write(frame + np.uint16(t % 100), contiguous=True)
    mrc.set_image_stack()
    mrc.voxel_size = (0.2, 0.2, 0)
    mrc.close()
    return paths


def measure(megabytes):
    """Seconds and megabytes for opening a movie and reading one frame of it, in a fresh process per format."""
    count = max(round(megabytes * 1e6 / (2 * SIDE * SIDE)), 1)
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in write_files(Path(folder), count):
            done = subprocess.run([sys.executable, "-c", CHILD, str(path)], check=True, capture_output=True, text=True)
            result[path.suffix] = json.loads(done.stdout)
    for name, numbers in result.items():
        print(name, {key: round(value, 4) for key, value in numbers.items()})
    return result


def measure_folder(files):
    """CPU time for opening a folder of small TIFF files, and for its first and its last frames."""
    import tifffile

    frames = np.random.default_rng(0).integers(0, 4000, (SOME, SMALL, SMALL)).astype(np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        for t in range(files):
            tifffile.imwrite(Path(folder) / f"frame {t:05}.tif", frames[t % SOME], photometric="minisblack")
        arguments = [sys.executable, "-c", FOLDER_CHILD, folder, str(OPEN_FILES), str(SOME)]
        result = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
    print("folder", {key: round(value, 4) for key, value in result.items()})
    return result


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("folder", type=Path, nargs="?", help="files of microscopes")
    ask.add_argument("--megabytes", type=float, default=4000, help="of the movie that is measured; 0: none")
    ask.add_argument("--files", type=int, default=5000, help="of the folder that is measured; 0: none")
    options = ask.parse_args()
    if options.folder:
        compare(options.folder)
    if options.megabytes:
        write_cell("formats", 0, {"megabytes": options.megabytes, "formats": measure(options.megabytes)})
    if options.files:
        write_cell("formats-folder", 0, {"open files": OPEN_FILES, **measure_folder(options.files)})


if __name__ == "__main__":
    main()
