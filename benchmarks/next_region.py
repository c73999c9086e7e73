"""Score against the number of labelled defects, when the suggested region is annotated next, and when a random one is.

    python benchmarks/next_region.py [--areas 0 3 5 7 9 12] [--steps 3] [--pixels 6000000] [--edge 128] [--keep]

One movie of simulated WS2 for each area. All ways begin with the same random region of frame 0, whose true labels are
given to a founder; then region after region is given, that of `suggest_regions` or a random one of the same size, in
any frame. Scored is the founder, trained anew each time, on a movie of another area, all of whose defects are known.
``--keep`` writes a cell for each area to ``benchmarks/results/next-region``; those that are there are not run again.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl import Annotation, Movie
    from napari_menndl.predict.ensemble import Ensemble

#: Number that stands for pixels that nobody looked at.
UNKNOWN = 255
WAYS = ("suggested", "random")
#: Added to the number of an area for the one that is scored on.
OTHER = 200
#: F1 of which it is told how many labelled defects reach it.
SCORES = (0.6, 0.7, 0.8)


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


def score(network: Ensemble, movie: Movie, truth: Annotation) -> float:
    """Return the F1 of all defects of another area."""
    from napari_menndl.predict import Prediction
    from napari_menndl.review import Review

    summary = Review.of(Prediction(network, movie), truth).summary()
    return float(summary["scores"]["all"]["all"]["f1"] or 0.0)


def trained_founder(movie: Movie, annotation: Annotation, frames: list[int], seed: int, pixels: int) -> Ensemble:
    """Train a founder, with another seed if its output is the same everywhere, as may happen with few defects."""
    from founder import train_founder

    for another in range(4):
        try:
            return train_founder(movie, annotation, seed + 1000 * another, frames=frames, pixels=pixels)
        except RuntimeError as error:
            print(error, flush=True)
    raise RuntimeError("The founder failed with four seeds")


def courses(area: int, options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Annotate region after region; return the number of labelled defects and the score after each, by way."""
    from napari_menndl import Annotation, simulate_movie, suggest_regions

    size, edge = (options.size, options.size), options.edge
    simulated = simulate_movie(options.frames, size, snr=options.snr, area_seed=area, noise_seed=area)
    fresh = simulate_movie(3, size, snr=options.snr, area_seed=area + OTHER, noise_seed=area + OTHER)
    truth, other = Annotation.from_simulation(simulated), Annotation.from_simulation(fresh)

    def random_region(rng: np.random.Generator) -> tuple[int, int, int]:
        y, x = rng.integers(0, options.size - edge + 1, 2)
        return int(rng.integers(0, options.frames)), int(y), int(x)

    def trained(known: np.ndarray) -> tuple[Ensemble, Annotation, dict[str, Any]]:
        annotation, frames = annotated(truth, known)
        network = trained_founder(simulated.movie, annotation, frames, area, options.pixels)
        return network, annotation, {"labelled": labelled(truth, known), "F1": score(network, fresh.movie, other)}

    first = np.zeros(simulated.movie.shape, bool)
    _, y, x = random_region(np.random.default_rng([area, 7]))
    first[0, y : y + edge, x : x + edge] = True
    begin = trained(first)
    found = {}
    for way in options.ways:
        rng = np.random.default_rng([area, 8])
        known, (network, annotation, reached) = first.copy(), begin
        found[way] = [reached]
        for _ in range(options.steps):
            if way == "random":
                t, y, x = random_region(rng)
            else:
                (best,) = suggest_regions(network, simulated.movie, annotation=annotation, edge=edge, count=1)
                t, (y, x, _, _) = best.frame, best.region
            known[t, y : y + edge, x : x + edge] = True
            network, annotation, reached = trained(known)
            found[way].append({**reached, "region": [t, y, x]})
        print(area, way, [(one["labelled"], round(one["F1"], 3)) for one in found[way]], flush=True)
    return found


def needed(course: Sequence[dict[str, Any]], score: float) -> float | None:
    """Return the number of labelled defects with which a course first reaches a score, interpolated; None if never."""
    if course[0]["F1"] >= score:
        return float(course[0]["labelled"])
    for before, after in pairwise(course):
        if after["F1"] >= score:
            share = (score - before["F1"]) / (after["F1"] - before["F1"])
            return float(before["labelled"] + share * (after["labelled"] - before["labelled"]))
    return None


def mean_course(of: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, float]]:
    """Return the means over courses after each step."""
    return [
        {name: round(float(np.mean([one[name] for one in step])), 3) for name in ("labelled", "F1")}
        for step in zip(*of, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--areas", type=int, nargs="*", default=[0, 3, 5, 7, 9, 12])
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--pixels", type=int, default=6_000_000, help="shown to the network of each fold")
    parser.add_argument("--edge", type=int, default=128, help="of a region [px]")
    parser.add_argument("--size", type=int, default=384, help="edge of the frames [px]")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--snr", type=float, default=5.0)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    from cells import read_cell, write_cell

    by_area: dict[int, dict[str, Any]] = {}
    for area in options.areas:
        cell = read_cell(f"next-region/area-{area}")
        if cell is None:
            about = {name: getattr(options, name) for name in ("frames", "size", "edge", "pixels", "snr")}
            cell = {**about, **courses(area, options)}
            if options.keep:
                write_cell(f"next-region/area-{area}", area, cell)
        by_area[area] = cell
    mean = {way: mean_course([one[way] for one in by_area.values()]) for way in options.ways}
    enough = {score: {way: needed(course, score) for way, course in mean.items()} for score in SCORES}
    print(json.dumps({"mean": mean, "labelled defects to reach F1": enough}, indent=1))


if __name__ == "__main__":
    main()
