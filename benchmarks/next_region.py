"""Score against the number of labelled defects, when the suggested region is annotated next, and when a random one is.

    python benchmarks/next_region.py [--seeds 0 1 2] [--steps 4] [--budget 5min] [--edge 128] [--size 384] [--keep]

One movie of simulated WS2 for each seed. Both begin with the same random region of frame 0, whose true labels are
given; after every search the next region is given, that of `suggest_regions` or a random one of the same size, in the
same frames. Scored is the answer on a movie of another area, all of whose defects are known. ``--keep`` writes
``benchmarks/results/next_region.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

if TYPE_CHECKING:
    from napari_menndl import Annotation, Movie

#: Number that stands for pixels that nobody looked at.
UNKNOWN = 255


def annotated(truth: Annotation, known: np.ndarray) -> tuple[Annotation, list[int]]:
    """Return what is true within the known pixels (T, Y, X) bool, and the frames that have some."""
    from napari_menndl import Annotation

    frames = [int(t) for t in np.flatnonzero(known.any((1, 2)))]
    labels = np.stack([np.where(known[t], truth.frame(t), UNKNOWN) for t in frames])
    marked = Annotation.from_labels(labels, truth.classes, frames, truth.pixel_size, ignore=UNKNOWN, background=0)
    return marked, frames


def labelled(truth: Annotation, known: np.ndarray) -> int:
    """Return the number of true defects within the known pixels."""
    from napari_menndl.metrics import label_components

    count = 0
    for t in np.flatnonzero(known.any((1, 2))):
        for c in range(1, len(truth.classes) + 1):
            count += int(label_components(truth.frame(int(t)) == c, 1).lie_inside(known[t]).sum())
    return count


def score(network: Any, movie: Movie, truth: Annotation) -> float:
    """Return the F1 of all defects of another area."""
    from napari_menndl.predict import Prediction
    from napari_menndl.review import Review

    summary = Review.of(Prediction(network, movie), truth).summary()
    return float(summary["scores"]["all"]["all"]["f1"] or 0.0)


def course(suggested: bool, seed: int, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Annotate region after region; return the number of labelled defects and the score after each."""
    from napari_menndl import Annotation, run_search, simulate_movie, suggest_regions

    size, edge = (options.size, options.size), options.edge
    simulated = simulate_movie(options.frames, size, snr=options.snr, area_seed=seed, noise_seed=seed)
    fresh = simulate_movie(3, size, snr=options.snr, area_seed=seed + 100, noise_seed=seed + 100)
    truth, other = Annotation.from_simulation(simulated), Annotation.from_simulation(fresh)
    known = np.zeros(simulated.movie.shape, bool)
    rng = np.random.default_rng([seed, 7])
    frame, (y, x) = 0, rng.integers(0, options.size - edge + 1, 2)
    known[frame, y : y + edge, x : x + edge] = True
    found = []
    for step in range(options.steps + 1):
        annotation, frames = annotated(truth, known)
        run = run_search(
            simulated.movie,
            annotation,
            frames=frames,
            budget=options.budget,
            run=folder / f"{'suggested' if suggested else 'random'}-{seed}-{step}.menndl",
            seed=seed,
        )
        network = run.best
        found.append({"labelled": labelled(truth, known), "F1": round(score(network, fresh.movie, other), 3)})
        print("suggested" if suggested else "random", seed, found[-1], flush=True)
        if suggested:
            best = suggest_regions(network, simulated.movie, annotation=annotation, edge=edge, count=1)
            if not best:
                break
            frame, (y, x, _, _) = best[0].frame, best[0].region
        else:
            frame = int(rng.integers(0, options.frames))
            y, x = rng.integers(0, options.size - edge + 1, 2)
        known[frame, y : y + edge, x : x + edge] = True
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--budget", default="5min")
    parser.add_argument("--edge", type=int, default=128)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--snr", type=float, default=5.0)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    from cells import write_cell

    found: dict[str, Any] = {
        "frames": options.frames,
        "size [px]": options.size,
        "region [px]": options.edge,
        "budget of each search": options.budget,
        "signal-to-noise ratio": options.snr,
    }
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            for suggested in (True, False):
                name = f"{'suggested' if suggested else 'random'}, seed {seed}"
                found[name] = course(suggested, seed, options, Path(folder))
    print(json.dumps(found, indent=1))
    if options.keep:
        write_cell("next_region", options.seeds[0], found)


if __name__ == "__main__":
    main()
