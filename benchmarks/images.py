"""Simulated single images, one labelled: searches by their rungs, beside simple methods.

    python benchmarks/images.py [--images 41,42,43,44] [--ladders 1.5x2,1.5x4,6x4] [--budget 3min] [--seed 0] [--quick]
    python benchmarks/images.py --images graphene,perovskite,particles,dislocations,bubbles --ladders default

One image is learned from, and eight others of the same kind are tested on: of single atoms with a hasty person's clicks
(`adatoms.py`, by a seed), or of other materials, labelled exactly (`materials.py`, by its name).
A cell (method, images, seed, budget) is written to ``benchmarks/results/images/`` and skipped when it is there.
"""

from __future__ import annotations

import argparse

import numpy as np

from adatoms import adatom_problem
from cells import read_cell, write_cell
from materials import MATERIALS, material_problem
from rivals import CLASS_RIVALS
from ws2 import as_line, fit_search, measure

SIMPLE = ("blob detector", "Fourier method", "random forest")
OTHERS = 8


def run_cell(method, ladder, images, seed, budget):
    """Fit on one image, test on the others."""
    problem = material_problem(images, 0, OTHERS) if images in MATERIALS else adatom_problem(int(images), OTHERS)
    task = problem.task
    if ladder:
        first, _, rungs = ladder.partition("x")
        settings = {"pixels": round(float(first) * 1e6), "rungs": int(rungs)} if rungs else {}
        predictor, _ = fit_search(problem, seed, budget, **settings)
    else:
        predictor = CLASS_RIVALS[method](task.frames[0], task.labels[0], task.known[0], task.match_rules, seed)
    return {**measure(predictor, problem), "chosen": predictor.chosen}


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--images", default="41,42,43,44", help=f"seeds of images of atoms, or {', '.join(MATERIALS)}")
    ask.add_argument(
        "--ladders", default="1.5x2,1.5x4,6x4", help="of searches: Mpx of the first rung x rungs, or default"
    )
    ask.add_argument("--budget", default="3min", help="of a search; a time")
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--quick", action="store_true", help="one image, one search of a minute, nothing kept")
    given = ask.parse_args()
    end = 1 if given.quick else None
    budget = "1min" if given.quick else given.budget
    images = given.images.split(",")[:end]
    methods = {f"search {one}": one for one in given.ladders.split(",")[:end]}
    methods |= dict.fromkeys(SIMPLE)
    print(f"Expected time: about {len(images)} x ({len(methods) - len(SIMPLE)} x {budget} + 1 min) on 2 cores.")
    print(as_line(["method", *images, "F1", "AP", "evaluations"]))
    print("|---" * (len(images) + 4) + "|")
    for method, ladder in methods.items():
        cells = []
        for one in images:
            name = f"images/{method.replace(' ', '-')}-i{one}-s{given.seed}" + (f"-{budget}" if ladder else "")
            cell = None if given.quick else read_cell(name)
            if cell is None:
                cell = run_cell(method, ladder, one, given.seed, budget)
                if not given.quick:
                    write_cell(name, given.seed, cell)
            cells.append(cell)
        both = np.array([[cell["f1"]["others"], cell["average_precision"]["others"]] for cell in cells])
        evaluations = [str(cell["chosen"].get("evaluations", "–")) for cell in cells]
        fields = [method, *(f"{f1:.3f} / {ap:.3f}" for f1, ap in both), *(f"{mean:.3f}" for mean in both.mean(axis=0))]
        print(as_line([*fields, ", ".join(evaluations)]), flush=True)


if __name__ == "__main__":
    main()
