"""Time in which the answer of a search predicts frames of a large movie on the processor, beside an older commit.

    python benchmarks/prediction.py RUN [--size 2048] [--repeats 3] [--threads 2] [--before SRC] [--keep]

RUN is the folder of a search (`open_run`), or a file that its answer was exported to, which older commits read where
they do not know a setting of the search. The frames are consecutive ones of simulated WS2; the time of each includes
its neighbours, which are read and registered. With ``--before``, the ``src`` folder of another commit
(``git worktree add``), both predict it by turns, each in a process of its own, so that whatever else the machine does
befalls both; reported are the medians of wall time and of processor time, and in how many pixels of the last frame
their labels differ. ``--keep`` writes ``benchmarks/results/prediction.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

#: The first frame that is predicted has as many neighbours on each side as a network may see.
FIRST = 2


def serve(run: str, frames: str, threads: int) -> None:
    """Predict the next frame whenever a line comes, and answer with the seconds it took; the labels lie beside it."""
    import torch

    from napari_menndl import open_movie, open_run
    from napari_menndl.predict.ensemble import open_predictor
    from napari_menndl.predict.prediction import Prediction

    warnings.simplefilter("ignore")
    torch.set_num_threads(threads)
    network = open_run(run).best if Path(run).is_dir() else open_predictor(run)
    prediction = Prediction(network, open_movie(np.load(frames), pixel_size=network.pixel_size))
    corner = open_movie(np.load(frames)[..., :256, :256], pixel_size=network.pixel_size)
    Prediction(network, corner).frame_labels(FIRST)
    for t, line in enumerate(sys.stdin, FIRST):
        begin, cpu = time.perf_counter(), time.process_time()
        labels = prediction.frame_labels(t)
        took = time.perf_counter() - begin, time.process_time() - cpu
        np.savez(line.strip(), labels=labels, probabilities=prediction.frame_probabilities(t))
        print(json.dumps(took), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--before", help="src of the commit to compare with")
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.run, options.serve, options.threads)
        return
    from cells import write_cell
    from napari_menndl import simulate_movie

    sources = {"now": str(Path(__file__).parents[1] / "src")} | ({"before": options.before} if options.before else {})
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        movie = simulate_movie(2 * FIRST + options.repeats, (options.size, options.size), area_seed=options.seed).movie
        np.save(place / "frames.npy", np.stack([movie.frame(t) for t in range(len(movie))]))
        command = [sys.executable, __file__, options.run, "--threads", str(options.threads), "--serve"]
        servers = {
            name: subprocess.Popen(
                [*command, str(place / "frames.npy")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": str(options.threads)},
            )
            for name, source in sources.items()
        }
        took: dict[str, list[list[float]]] = {name: [] for name in servers}
        try:
            for _ in range(options.repeats):
                for name, server in servers.items():
                    assert server.stdin is not None
                    assert server.stdout is not None
                    server.stdin.write(f"{place / name}.npz\n")
                    server.stdin.flush()
                    took[name].append(json.loads(server.stdout.readline()))
                    print(name, *(f"{one:.2f} s" for one in took[name][-1]), flush=True)
        finally:
            for server in servers.values():
                server.terminate()
                server.wait()
        medians = {name: np.median(each, axis=0) for name, each in took.items()}
        found = {
            "frame [px]": [options.size, options.size],
            "threads": options.threads,
            "repeats": options.repeats,
            **{
                name: {"wall [s]": round(wall, 2), "processor [s]": round(cpu, 2)}
                for name, (wall, cpu) in medians.items()
            },
        }
        if options.before:
            ratio = medians["before"] / medians["now"]
            now, before = np.load(place / "now.npz"), np.load(place / "before.npz")
            found |= {
                "times faster": {"wall": round(float(ratio[0]), 2), "processor": round(float(ratio[1]), 2)},
                "pixels labelled": int(np.count_nonzero(before["labels"])),
                "pixels labelled otherwise": int(np.count_nonzero(now["labels"] != before["labels"])),
                "largest difference of a probability": float(
                    np.abs(now["probabilities"] - before["probabilities"]).max()
                ),
            }
    print(json.dumps(found, indent=1))
    if options.keep:
        write_cell("prediction", options.seed, found)


if __name__ == "__main__":
    main()
