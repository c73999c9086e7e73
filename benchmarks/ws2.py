"""Simulated WS2, one labelled frame: every method on five classes of defects, some of them rare, some hardly visible.

    python benchmarks/ws2.py [--only search] [--snr 5,3] [--areas 101,102,103] [--budget 5min] [--seed 0] [--quick]

Frame 0 of a movie is labelled, and all else a method needs is chosen on it. It is tested on later frames of the movie,
on the defects born after the labelled frame, and on frames of a fresh area (`judging.py`). A cell (method, difficulty,
area, seed, budget) is written to ``benchmarks/results/ws2/`` and skipped when it is there; the tables are made from the
cells. F1 is that of defects at the method's own thresholds, counts pooled over frames, averaged over the classes that
occur. A network predicts nothing of a class whose finds on the labelled frame are surely too often false
(`ClassScore.cutoff`); of the rivals only the Fourier method has that rule. The dilated FCN, designed by hand, is
trained by the same trainer for as long as the search takes, AtomAI's U-Net, where it is installed (`atomai_unet.py`),
by its own. "Search, random networks" is the same search without evolution: after the founders every birth is random.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from atomai_unet import fit_atomai
from atomai_unet import is_there as atomai_is_there
from cells import read_cell, write_cell
from judging import LATER, bootstrap_interval, judge, mean_score, simulated_problem
from napari_menndl import run_search
from napari_menndl.genome.evaluation import Rung
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.metrics.components import label_components
from napari_menndl.movie.neighbours import with_neighbours
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.search.goals import parse_budget
from napari_menndl.training.evaluate import evaluate
from rivals import CLASS_RIVALS, INPUTS, ClassPredictor

SEARCH, RANDOM = "search", "search, random networks"
BY_HAND, ATOMAI = "dilated FCN, same time", "AtomAI U-Net, same time"
METHODS = (SEARCH, RANDOM, BY_HAND, ATOMAI, *CLASS_RIVALS)
#: Trained for as long as the search takes.
TIMED = (SEARCH, RANDOM, BY_HAND, ATOMAI)
#: None of these areas is one that anything was chosen on.
AREAS, SNRS = (101, 102, 103), (5.0, 3.0)
SCOPES = {"later": "later frames", "born": "born later", "fresh": "fresh area"}
#: Share of the answer's time that the fast one takes.
FAST = 0.25
#: Share of its time in which the FCN's input normalisation is chosen.
CHOOSING = 0.25
#: Two trainings whose times tell the rate and what is spent beside training [px per fold].
TRIAL = (100_000, 400_000)


def fit_search(problem, seed, budget, **settings):
    """Search for `budget`, all of it included."""
    settings |= {"budget": budget, "seed": seed}
    with tempfile.TemporaryDirectory() as place:
        run = run_search(problem.movie, problem.annotation, run=Path(place) / "run.menndl", **settings)
        status, best = run.status(), run.best
        names = ("births", "evaluations", "failures", "slots_busy", "best_fitness")
        chosen = {name: status[name] for name in names if name in status}
        # A frame that is neither labelled nor tested on, if there is one: the first of a live movie.
        planes = with_neighbours(problem.movie, min(1, len(problem.movie) - 1))
        fast = best.reduced(planes, FAST, best.pixel_size) if isinstance(best, Ensemble) else best
        chosen["networks"] = [len(getattr(one, "members", [one])) for one in (best, fast)]
        return as_predictor(best, chosen), as_predictor(fast, {})


def fit_by_hand(problem, seed, seconds):
    """Train the dilated FCN for `seconds`, the choice of its input normalisation included."""
    began = time.perf_counter()
    threads = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        task, plain = problem.task, FOUNDERS["dilated_fcn"]()
        genomes = [replace(plain, training=replace(plain.training, normalisation=n, radius=r)) for n, r in INPUTS]
        evaluate(plain, task, Rung("warm", 1), seed)
        short, long = (evaluate(plain, task, Rung("trial", pixels), seed)[0].seconds for pixels in TRIAL)
        # A disturbed trial can make the difference as small as one likes; half of the whole is a safe lower limit.
        per_pixel = max((long - short) / (TRIAL[1] - TRIAL[0]), long / TRIAL[1] / 2)
        beside = max(short - per_pixel * TRIAL[0], 0.0)

        def pixels_in(time_left):
            return max(int((time_left - beside) / per_pixel), TRIAL[0])

        each = pixels_in(CHOOSING * seconds / len(genomes))
        tried = [evaluate(genome, task, Rung("choice", each), seed)[0] for genome in genomes]
        genome = genomes[int(np.argmax([one.fitness or 0.0 for one in tried]))]
        per_pixel = float(np.median([max(one.seconds - beside, 0.0) for one in tried])) / each
        pixels = pixels_in(began + seconds - time.perf_counter())
        evaluation, weights = evaluate(genome, task, Rung("all", pixels), seed)
    finally:
        torch.set_num_threads(threads)
    if evaluation.failure:
        raise RuntimeError(f"The dilated FCN failed: {evaluation.failure}")
    chosen = {"normalisation": genome.training.normalisation, "radius": genome.training.radius}
    chosen |= {"pixels_per_fold": pixels, "mpx_per_second": task.folds / per_pixel / 1e6, "fitness": evaluation.fitness}
    return as_predictor(Ensemble.from_evaluation(genome, task, evaluation, weights), chosen)


def as_predictor(network, chosen):
    respond = partial(network.predict_frame, pixel_size=network.pixel_size)
    return ClassPredictor(respond, tuple(map(float, network.thresholds)), chosen, network.reach)


def run_cell(method, problem, seed, budget):
    """Fit on frame 0, test on the others."""
    task = problem.task
    began = time.perf_counter()
    fast = None
    if method == SEARCH:
        predictor, fast = fit_search(problem, seed, budget)
    elif method == RANDOM:
        predictor, _ = fit_search(problem, seed, budget, random=1.0)
    elif method == BY_HAND:
        predictor = fit_by_hand(problem, seed, parse_budget(budget).seconds)
    elif method == ATOMAI:
        predictor = fit_atomai(task, parse_budget(budget).seconds, seed)
    else:
        predictor = CLASS_RIVALS[method](task.frames[0], task.labels[0], task.known[0], task.match_rules, seed)
    fitted = time.perf_counter() - began
    return {
        **measure(predictor, problem),
        # JSON has no infinity: a class that is not predicted has no threshold.
        "thresholds": [t if np.isfinite(t) else None for t in predictor.thresholds],
        "labelled": {n: len(label_components(task.labels[0] == c + 1, 1)) for c, n in enumerate(task.class_names)},
        "seconds_to_train": fitted,
        "chosen": predictor.chosen,
        **({"fast": measure(fast, problem)} if fast else {}),
    }


def measure(predictor, problem):
    """Scores of a method on the frames to be tested, and its time per frame."""
    task, times = problem.task, []
    for _ in range(3):
        began = time.perf_counter()
        predictor.respond((task.planes if predictor.reach else task.frames)[0])
        times.append(1e3 * (time.perf_counter() - began))
    names, match_rules = task.class_names, task.match_rules
    judged = judge(predictor.respond, predictor.thresholds, problem.tests, names, match_rules, predictor.reach)
    return {
        "scopes": judged,
        "f1": {scope: mean_score(one) for scope, one in judged.items()},
        "average_precision": {scope: mean_score(one, "average_precision") for scope, one in judged.items()},
        "ms_per_frame": float(np.median(times)),
    }


def cell_name(method, snr, area, seed, budget):
    """Name of a cell; the budget belongs to methods that use all of it."""
    name = f"ws2/{method.replace(',', '').replace(' ', '-')}-snr{snr:g}-a{area}-s{seed}"
    return f"{name}-{budget.replace(' ', '')}" if method in TIMED else name


def table(cells, snr, areas, seed):
    """Two tables in Markdown for one difficulty, made from finished cells: means, and classes."""
    whole = [m for m in METHODS if all((m, snr, area) in cells for area in areas)]
    if not whole:
        return f"SNR {snr:g}: no method has all cells yet."
    titles = ["method"]
    for words in SCOPES.values():
        titles += [f"F1, {words} [95 %]", "AP", "search − method [95 %]"]
    lines = [f"SNR {snr:g}, {len(areas)} areas\n", as_line([*titles, "s to train", "ms per frame"])]
    lines.append("|---" * (len(titles) + 2) + "|")
    counts = {(m, s): [np.array(cells[m, snr, a]["scopes"][s]["frames"]) for a in areas] for m in whole for s in SCOPES}
    means = {(m, s): np.mean([cells[m, snr, a]["f1"][s] for a in areas]) for m in whole for s in SCOPES}
    for method in whole:
        mine = [cells[method, snr, area] for area in areas]
        fields = [method]
        for scope in SCOPES:
            low, high = bootstrap_interval(counts[method, scope], rng=np.random.default_rng(seed))
            precision = np.mean([cell["average_precision"][scope] for cell in mine])
            gain = "–"
            if SEARCH in whole and method != SEARCH:
                pair = counts[SEARCH, scope], counts[method, scope]
                a, b = bootstrap_interval(*pair, rng=np.random.default_rng(seed))
                gain = f"{means[SEARCH, scope] - means[method, scope]:+.3f} [{a:+.3f}, {b:+.3f}]"
            fields += [f"{means[method, scope]:.3f} [{low:.3f}, {high:.3f}]", f"{precision:.3f}", gain]
        times = [f"{np.median([cell[key] for cell in mine]):.0f}" for key in ("seconds_to_train", "ms_per_frame")]
        lines.append(as_line([*fields, *times]))
    told = [a for a in areas if "fast" in cells.get((SEARCH, snr, a), {})]
    if told:
        both = [[cells[SEARCH, snr, a], cells[SEARCH, snr, a]["fast"]] for a in told]
        lines += ["\nThe search's answer, whole and fast (`Ensemble.reduced`): F1 / AP\n"]
        lines += [as_line(["area", "networks", "ms per frame", *SCOPES.values()]), "|---" * (len(SCOPES) + 3) + "|"]
        for area, pair in zip(told, both, strict=True):
            for number, one in zip(pair[0]["chosen"]["networks"], pair, strict=True):
                scores = [f"{one['f1'][s]:.3f} / {one['average_precision'][s]:.3f}" for s in SCOPES]
                lines.append(as_line([str(area), str(number), f"{one['ms_per_frame']:.0f}", *scores]))
    names = list(cells[whole[0], snr, areas[0]]["labelled"])
    lines += ["\nF1 by class, counts pooled over areas: later frames / fresh area\n", as_line(["method", *names])]
    lines.append("|---" * (len(names) + 1) + "|")
    for method in whole:
        both = [sum(one.sum(axis=0) for one in counts[method, scope]) for scope in ("later", "fresh")]
        f1 = [2 * c[:, 0] / np.maximum(2 * c[:, 0] + c[:, 1] + c[:, 2], 1) for c in both]
        lines.append(as_line([method, *(f"{a:.3f} / {b:.3f}" for a, b in zip(*f1, strict=True))]))
    return "\n".join(lines)


def as_line(fields):
    return f"| {' | '.join(fields)} |"


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--only", action="append", choices=METHODS, help="this method; may be repeated")
    ask.add_argument("--snr", default=",".join(f"{snr:g}" for snr in SNRS), help="of one single S vacancy")
    ask.add_argument("--areas", default=",".join(map(str, AREAS)), help="area seeds")
    ask.add_argument("--budget", default="5min", help="of the search; a time")
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--quick", action="store_true", help="one area, one difficulty, a minute each, nothing kept")
    given = ask.parse_args()
    snrs = [float(snr) for snr in given.snr.split(",")][: 1 if given.quick else None]
    areas = [int(area) for area in given.areas.split(",")][: 1 if given.quick else None]
    budget = "1min" if given.quick else given.budget
    if not np.isfinite(parse_budget(budget).seconds):
        ask.error("the budget must be a time, such as 5min")
    print(f"Expected time: about {len(snrs) * len(areas)} x (2 x {budget} + 3 min) on 2 cores.", flush=True)
    cells = {}
    for snr in snrs:
        for area in areas:
            problem = None
            for method in METHODS:
                name = cell_name(method, snr, area, given.seed, budget)
                result = None if given.quick else read_cell(name)
                if result is None and method in (given.only or METHODS) and (method != ATOMAI or atomai_is_there()):
                    problem = problem or simulated_problem(snr, area, LATER)
                    result = run_cell(method, problem, given.seed, budget)
                    if not given.quick:
                        write_cell(name, given.seed, result)
                if result is not None:
                    cells[method, snr, area] = result
                    f1 = ", ".join(f"{SCOPES[scope]} {value:.3f}" for scope, value in result["f1"].items())
                    took = result["seconds_to_train"]
                    print(f"SNR {snr:g}, area {area}, {method}: F1 {f1}; {took:.0f} s", flush=True)
    for snr in snrs:
        print(f"\n{table(cells, snr, areas, given.seed)}")


if __name__ == "__main__":
    main()
