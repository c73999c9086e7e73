"""Latency of live prediction, and its memory over a day of frames.

    python benchmarks/follow.py RUN [--sizes 512 2048] [--frames 100] [--every 1 4] [--fast] [--day 86400] [--keep]

RUN is the folder of a search or a saved network. A process writes simulated WS2, one TIFF file per frame, into a
folder that ``napari-menndl follow --json`` and then the dock "Live review" (which needs a screen, or ``xvfb-run``)
follow; each alone, and with a search beside on all processors. Latency is from the moment in which the file is whole
until the line of JSON is read, or until the dock shows the defects. ``--day`` follows so many small frames as fast as
they are predicted, and samples the memory of that process. ``--keep`` writes ``benchmarks/results/follow.json``, of a
day alone (``--sizes`` without a number) ``follow-day.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import psutil
import tifffile

if TYPE_CHECKING:
    from collections.abc import Iterator


#: Edge of the small frames of a day [px], and their number between two samples of the memory.
SMALL, SAMPLE = 64, 1000


@dataclass(frozen=True)
class Images:
    """Frames (Y, X) float32, made before anything is measured, and the size of their pixels (y, x) [nm]."""

    frames: list[np.ndarray]
    pixel_size: tuple[float, float]

    @classmethod
    def simulate(cls, size: int, seed: int) -> Images:
        """Simulate five frames of WS2 without holes, which in a large area would merge into one."""
        from napari_menndl import simulate_movie
        from napari_menndl.simulation.sample import Sample

        movie = simulate_movie(5, (size, size), sample=Sample(hole_density=0.0), area_seed=seed).movie
        assert movie.pixel_size is not None
        return cls([movie.frame(t) for t in range(len(movie))], movie.pixel_size)


def write_frames(images: Images, folder: Path, count: int, every: float, written: dict[str, float]) -> None:
    """Write frames at a steady pace; note when each was whole."""
    size = images.pixel_size
    begin = time.monotonic()
    for t in range(count):
        time.sleep(max(0.0, begin + t * every - time.monotonic()))
        name = f"frame_{t:06d}.tif"
        resolution = None if size is None else (1 / size[1], 1 / size[0])
        image = images.frames[t % len(images.frames)]
        tifffile.imwrite(folder / name, image, imagej=True, resolution=resolution, metadata={"unit": "nm"})
        written[name] = time.time()


@contextmanager
def beside(busy: bool, folder: Path) -> Iterator[None]:
    """Context in which a search is at work on all processors, if it should be busy."""
    if not busy:
        yield
        return
    from napari_menndl import Annotation, run_search, simulate_movie

    simulated = simulate_movie(2, (256, 256), snr=5, area_seed=1)
    run = run_search(
        simulated.movie,
        Annotation.from_simulation(simulated),
        budget="10h",
        pool="local",
        run=folder / "busy.menndl",
        wait=False,
    )
    run.wait_for_start()
    time.sleep(30)  # until trainers are at work
    try:
        yield
    finally:
        run.stop()
        run.wait()


def command(network: str, source: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    """Start the command follow."""
    words = ["follow", str(source), "--network", network, "--out", str(out), "--json", "--existing", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "napari_menndl.cli", *words],
        stdout=subprocess.PIPE,
        text=True,
    )


def headless(network: str, images: Images, folder: Path, frames: int, every: float, more: list[str]) -> dict[str, Any]:
    """Follow by the command."""
    source = folder / "series"
    source.mkdir()
    written: dict[str, float] = {}
    process = command(network, source, folder / "out", *more)
    assert process.stdout is not None
    # One frame until it is ready, as the first prediction takes longer; it is written again with the others.
    write_frames(images, source, 1, 0, written)
    process.stdout.readline()
    writer = threading.Thread(target=write_frames, args=(images, source, frames + 1, every, written))
    writer.start()
    late, skipped, seconds = [], 0, []
    for line in process.stdout:
        now, report = time.time(), json.loads(line)
        if report["state"] == "predicted":
            late.append(now - written[report["name"]])
            seconds.append(report["seconds"])
        else:
            skipped += 1
        if report["name"] == f"frame_{frames:06d}.tif":
            break
    writer.join()
    process.terminate()
    process.wait()
    return latency(late, seconds, skipped)


def dock(network: str, images: Images, folder: Path, frames: int, every: float, more: list[str]) -> dict[str, Any]:
    """Follow in the dock."""
    import napari
    from qtpy.QtWidgets import QApplication

    source = folder / "series"
    source.mkdir()
    viewer = napari.Viewer(show=True)
    try:
        _, widget = viewer.window.add_plugin_dock_widget("napari-menndl", "Live review")
        widget.form["network"].value = network
        widget.form["source"].value = source
        widget.form["fast"].value = "--fast" in more
        widget.follow()

        def wait(done: Any, seconds: float = 600.0) -> None:
            end = time.monotonic() + seconds
            while not done() and time.monotonic() < end:
                QApplication.processEvents()
                time.sleep(0.002)

        wait(lambda: widget.following)
        written: dict[str, float] = {}
        write_frames(images, source, 1, 0, written)
        wait(lambda: widget.frames.latencies)
        widget.frames.latencies.clear()
        writer = threading.Thread(target=write_frames, args=(images, source, frames + 1, every, written))
        writer.start()
        wait(lambda: not writer.is_alive() and frames + 1 in widget.frames.counts, 600 + frames * every)
        late = list(widget.frames.latencies)
        widget.stop()
        return latency(late, [widget.frames.seconds], frames + 2 - len(widget.frames.counts))
    finally:
        viewer.close()


def latency(late: list[float], seconds: list[float], skipped: int) -> dict[str, Any]:
    """Sum up."""
    return {
        "frames": len(late),
        "skipped": skipped,
        "median [s]": round(float(np.median(late)), 3),
        "99th percentile [s]": round(float(np.quantile(late, 0.99)), 3),
        "longest [s]": round(max(late), 3),
        "of that predicting, median [s]": round(float(np.median(seconds)), 3),
    }


def day(network: str, images: Images, folder: Path, frames: int) -> dict[str, Any]:
    """Follow very many small frames of a TIFF file that grows; memory [MB] by the number of frames."""
    source = folder / "grows.tif"
    process = command(network, source, folder / "out", "--every-frame")
    assert process.stdout is not None
    about = psutil.Process(process.pid)
    size = images.pixel_size
    memory: dict[int, float] = {}
    heard = 0
    begin = time.monotonic()
    with tifffile.TiffWriter(source, bigtiff=True) as file:
        for t in range(frames):
            resolution = (1e7 / size[1], 1e7 / size[0])
            file.write(
                images.frames[t % len(images.frames)],
                contiguous=False,
                resolution=resolution,
                resolutionunit="CENTIMETER",
            )
            while heard < t - 10:  # it is not to be behind
                heard = json.loads(process.stdout.readline())["frame"]
            if t % SAMPLE == 0:
                with suppress(psutil.Error):
                    memory[t] = round(about.memory_info().rss / 1e6, 1)
                print(t, memory.get(t), f"{time.monotonic() - begin:.0f} s", flush=True)
    process.terminate()
    process.wait()
    return {"frames": frames, "seconds": round(time.monotonic() - begin), "memory [MB]": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--sizes", type=int, nargs="*", default=[512, 2048])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--every", type=float, nargs="+", default=[1.0, 4.0], help="between two frames, by size [s]")
    parser.add_argument("--day", type=int, default=0, help="number of small frames, such as 86400")
    parser.add_argument("--fast", action="store_true")
    parser.add_argument("--no-dock", action="store_true")
    parser.add_argument("--no-busy", action="store_true")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    from cells import write_cell

    network = str(Path(options.run).absolute())
    more = ["--fast"] * options.fast
    found: dict[str, Any] = {
        "fast": options.fast,
        "processors": os.cpu_count(),
        "machine": "shared: others may have been at work",
    }
    for size, every in zip(options.sizes, options.every, strict=False):
        images = Images.simulate(size, options.seed)
        for busy in (False, True)[: 1 if options.no_busy else 2]:
            for way in (headless, dock)[: 1 if options.no_dock else 2]:
                with tempfile.TemporaryDirectory() as folder, beside(busy, Path(folder)):
                    name = f"{way.__name__}, {size}², {'a search beside' if busy else 'alone'}"
                    (place := Path(folder) / "frames").mkdir()
                    found[name] = way(network, images, place, options.frames, every, more)
                    found[name]["every [s]"] = every
                    print(name, json.dumps(found[name]), flush=True)
    if options.day:
        with tempfile.TemporaryDirectory() as folder:
            found["a day of frames"] = day(network, Images.simulate(SMALL, options.seed), Path(folder), options.day)
    print(json.dumps(found, indent=1))
    if options.keep:
        write_cell("follow" if options.sizes else "follow-day", options.seed, found)


if __name__ == "__main__":
    main()
