"""Scores of short searches by the order of their founders: ``python benchmarks/short_budgets.py [--only …] [--again]``.

Searches of 30 s on two cores, and of 60 s beside two busy processes, whose founders are born either with the networks
first, as they are by default, or with what trains quickest first. Told is defect F1 and average precision on new
frames, means over classes. The default was chosen on these problems.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np

from adatoms import adatom_problem
from cells import read_cell, write_cell
from heldout import beside
from judging import judge, mean_score, simulated_problem
from materials import material_problem
from napari_menndl import run_search
from napari_menndl.search.settings import FIRST

MOVIES = {
    f"ws2-snr{snr}-area{area}": partial(simulated_problem, snr, area)
    for snr, area in ((5, 84), (5, 87), (3, 84), (3, 88))
}
IMAGES = {f"atoms{seed}": partial(adatom_problem, seed) for seed in (43, 44)} | {
    f"{name}1": partial(material_problem, name, 1, 8) for name in ("particles", "perovskite")
}
PROBLEMS = MOVIES | IMAGES
ORDERS = {
    "networks first": FIRST,
    "quickest first": ("bank_logistic", "blobs", "deep_fcn", "coarse_fcn", "fourier", "bank_mlp"),
}
#: Budget and number of busy processes beside the search.
TIMES = (("30s", 0), ("60s", 2))
SCORES = ("f1", "average_precision")


def run_cell(problem, founders, budget, busy):
    """Scores on new frames, by scope, and the founders' shares of their first rung."""
    with tempfile.TemporaryDirectory() as place:
        with beside(busy):
            run = run_search(
                problem.movie, problem.annotation, budget=budget, founders=founders, run=Path(place) / "run.menndl"
            )
        best, task = run.best, problem.task
        judged = judge(
            partial(best.predict_frame, pixel_size=problem.movie.pixel_size),
            best.thresholds,
            problem.tests,
            task.class_names,
            task.match_rules,
            best.reach,
        )
        founded = run.history.query("rung == '0' and fitness.notna() and origin.str.startswith('founder')")
        return {
            "scores": {scope: {key: mean_score(one, key) for key in SCORES} for scope, one in judged.items()},
            "founders": dict(zip(founded.origin, founded.share, strict=True)),
            "evaluations": run.status()["evaluations"],
        }


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--again", action="store_true", help="measure finished cells anew")
    ask.add_argument("--only", nargs="+", default=list(PROBLEMS), choices=list(PROBLEMS), help="these problems")
    given = ask.parse_args()
    rows = {}
    problems = cache(lambda name: PROBLEMS[name]())
    for (budget, busy), name, order in product(TIMES, given.only, ORDERS):
        if busy and name in IMAGES:  # their networks are trained in seconds
            continue
        cell = f"short-budgets/{name}-{budget}-busy{busy}-{order.replace(' ', '-')}"
        found = None if given.again else read_cell(cell)
        if found is None:
            found = run_cell(problems(name), ORDERS[order], budget, busy)
            write_cell(cell, 0, found)
            print(cell, found["scores"], flush=True)
        kind = "movies" if name in MOVIES else "images"
        for scope, scores in found["scores"].items():
            rows.setdefault((kind, scope), {}).setdefault((budget, busy, order), []).append(
                [scores[key] for key in SCORES]
            )
    ways = list(product(TIMES, ORDERS))
    print("\n| new frames |" + "".join(f" {b}{f', {n} busy' * bool(n)}, {order} |" for (b, n), order in ways))
    print("|---" * (len(ways) + 1) + "|")
    for (kind, scope), found in rows.items():
        scores = [found.get((*time, order)) for time, order in ways]
        told = (" / ".join(f"{one:.3f}" for one in np.mean(own, axis=0)) if own else "" for own in scores)
        print(f"| {kind}, {scope} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
