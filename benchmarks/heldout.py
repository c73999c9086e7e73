"""One labelled image, the rest held out: every method on real HAADF-STEM images of single Pt atoms.

    python benchmarks/heldout.py ../shared/data/pt_on_nc [--only search] [--rows 0,4,9] [--budget 10min] [--busy 2]

Each cell (method, training image, seed) trains on one image and is tested on the other ten; it is written to
``benchmarks/results/heldout/`` and skipped when it is there. The table is made from the cells. Protocol, scores and
intervals: `protocol.py`. Every method chooses its input normalisation and its threshold on the training image alone.
With ``--busy``, so many other processes calculate beside the search, as on a slow or a shared computer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from cells import read_cell, write_cell
from napari_menndl import Annotation, DefectClass, run_search
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.metrics.detection import MatchRule
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.task.task import TrainingTask
from napari_menndl.training.evaluate import evaluate
from protocol import RADIUS, TOLERANCE, TRAINING_ROWS, bootstrap_interval, judge, load_images
from rivals import INPUTS, RIVALS, Predictor

#: Pixels the hand-designed network sees: 600 steps of 8 tiles of 64 x 64 px.
FCN_PIXELS = 600 * 8 * 64**2
#: A quarter of that is enough to tell which input normalisation suits the image.
CHOICE_PIXELS = FCN_PIXELS // 4
BY_HAND, SEARCH = "dilated FCN", "search"
METHODS = (*RIVALS, BY_HAND, SEARCH)


def annotate(image):
    """The clicked points as discs, for the methods that take an annotation."""
    atom = DefectClass("Pt atom", tolerance=TOLERANCE)
    return Annotation.from_points(image.points, image.frame.shape, RADIUS, classes=[atom])


def fit_by_hand(image, seed):
    """Train the dilated FCN with each input normalisation; keep the one that does best out of fold."""
    task = TrainingTask.from_movie(open_image(image), annotate(image))
    plain = FOUNDERS["dilated_fcn"]()
    genomes = [replace(plain, training=replace(plain.training, normalisation=n, radius=r)) for n, r in INPUTS]
    tried = [evaluate(genome, task, Rung("choice", CHOICE_PIXELS), seed)[0].fitness or 0.0 for genome in genomes]
    genome = genomes[int(np.argmax(tried))]
    network = Ensemble.from_evaluation(genome, task, *evaluate(genome, task, Rung("final", FCN_PIXELS), seed))
    chosen = {"normalisation": genome.training.normalisation, "radius": genome.training.radius}
    return as_predictor(BY_HAND, network, chosen)


def fit_search(image, seed, budget):
    """Search for `budget`, all of it included."""
    with tempfile.TemporaryDirectory() as place:
        run = run_search(open_image(image), annotate(image), budget=budget, seed=seed, run=Path(place) / "run.menndl")
        status = run.status()
        chosen = {name: status[name] for name in ("births", "evaluations", "failures", "slots_busy", "best_fitness")}
        born = {fact.id: fact.origin for fact in run.folder.facts(genomes=False) if fact.kind == "born"}
        chosen |= {"members": [f"{one['key']} {born[one['id']]}" for one in status["answer"]["members"]]}
        chosen |= {"fitness": status["answer"]["fitness"]}
        return as_predictor(SEARCH, run.best, chosen)


def open_image(image):
    """One image as a movie of one frame; its pixel size plays no part, all images have the same."""
    from napari_menndl import open_movie

    return open_movie(image.frame)


def as_predictor(name, network, chosen):
    return Predictor(name, partial(respond, network), float(network.thresholds[0]), chosen)


def respond(network, frame):
    return network.predict_frame(frame)[0]


@contextmanager
def beside(busy):
    """Keep this number of other processes busy, one core each."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def run_cell(method, images, row, seed, budget, busy):
    """Fit on one image, test on the others."""
    image = images[row]
    began = time.perf_counter()
    if method == SEARCH:
        with beside(busy):
            predictor = fit_search(image, seed, budget)
    elif method == BY_HAND:
        predictor = fit_by_hand(image, seed)
    else:
        everywhere = np.ones(image.frame.shape, bool)
        predictor = RIVALS[method](image.frame, image.truth, everywhere, MatchRule(TOLERANCE), seed)
    fitted = time.perf_counter() - began
    held_out = judge(predictor, images, row)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        predictor(image.frame)
        times.append(1e3 * (time.perf_counter() - began))
    return {
        "defects": held_out.defects.tolist(),
        "pixels": held_out.pixels.tolist(),
        "f1": held_out.f1,
        "pixel_f1": held_out.pixel_f1,
        "average_precision": held_out.average_precision,
        "seconds_to_train": fitted,
        "ms_per_image": float(np.median(times)),
        "chosen": predictor.chosen,
    }


def cell_name(method, row, seed, budget, busy):
    """Name of a cell; a search's budget and its busy neighbours belong to it."""
    name = f"heldout/{method.replace(' ', '-')}-k{row}-s{seed}"
    return f"{name}-{budget}{f'-busy{busy}' if busy else ''}" if method == SEARCH else name


def table(cells, rows, seed):
    """The table in Markdown, made from finished cells."""
    k = ", ".join(map(str, rows))
    titles = ("method", f"defect F1, k = {k}", "mean [95 %]", "AP", "pixel F1", "search − method [95 %]")
    lines = [as_line([*titles, "s to train", "ms per image"]), "|---" * 8 + "|"]
    whole = [m for m in METHODS if all((m, row) in cells for row in rows)]
    counts = {m: np.array([cells[m, row]["defects"] for row in rows]) for m in whole}
    means = {m: np.mean([cells[m, row]["f1"] for row in rows]) for m in whole}
    for method in whole:
        mine = [cells[method, row] for row in rows]
        by_row = " / ".join(f"{cell['f1']:.3f}" for cell in mine)
        low, high = bootstrap_interval(counts[method], rng=np.random.default_rng(seed))
        gain = "–"
        if SEARCH in whole and method != SEARCH:
            a, b = bootstrap_interval(counts[SEARCH], counts[method], rng=np.random.default_rng(seed))
            gain = f"{means[SEARCH] - means[method]:+.3f} [{a:+.3f}, {b:+.3f}]"
        others = [f"{np.mean([cell[key] for cell in mine]):.3f}" for key in ("average_precision", "pixel_f1")]
        times = [f"{np.median([cell[key] for cell in mine]):.0f}" for key in ("seconds_to_train", "ms_per_image")]
        lines.append(as_line([method, by_row, f"{means[method]:.3f} [{low:.3f}, {high:.3f}]", *others, gain, *times]))
    return "\n".join(lines)


def as_line(fields):
    return f"| {' | '.join(fields)} |"


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("folder", type=Path, help="pt_on_nc: pairs.csv, images, coordinates")
    ask.add_argument("--only", action="append", choices=METHODS, help="this method; may be repeated")
    ask.add_argument("--rows", default=",".join(map(str, TRAINING_ROWS)), help="training images, rows of pairs.csv")
    ask.add_argument("--budget", default="10min", help="of the search")
    ask.add_argument("--busy", type=int, default=0, help="processes that calculate beside the search")
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--quick", action="store_true", help="one training image, a search of one minute, nothing kept")
    given = ask.parse_args()
    rows = [0] if given.quick else [int(row) for row in given.rows.split(",")]
    budget = "1min" if given.quick else given.budget
    print(
        f"Expected time: about {len(rows)} x (search: {budget}; FCN: 4 min; the rest: 1.5 min) on 2 cores.", flush=True
    )
    images = load_images(given.folder)
    cells = {}
    for row in rows:
        for method in METHODS:
            name = cell_name(method, row, given.seed, budget, given.busy)
            result = None if given.quick else read_cell(name)
            if result is None and method in (given.only or METHODS):
                result = run_cell(method, images, row, given.seed, budget, given.busy)
                if not given.quick:
                    write_cell(name, given.seed, result)
            if result is not None:
                cells[method, row] = result
                seconds = result["seconds_to_train"]
                print(f"k = {row}, {method}: defect F1 {result['f1']:.3f}, {seconds:.0f} s", flush=True)
    print(table(cells, rows, given.seed))


if __name__ == "__main__":
    main()
