"""The instrument by which designs of the search are compared: many genomes trained on every rung, and the truth.

    python benchmarks/landscape.py measure [--tasks ws5,ws3,pt2,pt6] [--genomes 40] [--pt FOLDER] [--hours H] [--jobs 2]
    python benchmarks/landscape.py search [--tasks …] [--budget 5min] [--pt FOLDER] [--run FOLDER.menndl]
    python benchmarks/landscape.py analyse [--tasks …] [--truth f1|best_f1|average_precision] [--works 0.5]

``measure`` trains the same genomes on two simulated movies of different difficulty and on two real images. Each goes
through the rungs, all folds on each, going on from the rung below. What a search could know of it, and how the ensemble
of its fold networks does on frames that the search never sees (`judging.py`), is one line of
``benchmarks/results/landscape/<task>.jsonl``; lines that are there are skipped. Stopped by SIGINT, SIGTERM or after
``--hours``, it loses what is in training.

``search`` has a real search of each task, and adds the networks whose weights it kept, each as it was when the search
ended, to ``benchmarks/results/landscape/search-<task>.jsonl``: what the fitness of a search is worth where it is used.
With ``--run`` it takes those of a search of one task that was had before.

``analyse`` says how well each fitness ranks the genomes as the truth does, and replays searches over the table under
each fitness, and with genomes born on each rung. Designs are to be chosen on the simulated tasks; the real ones tell
whether the choice holds.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from cells import RESULTS, write_cell
from replay import print_analysis

HERE = Path(__file__).parent
PT = HERE.parent.parent / "shared" / "data" / "pt_on_nc"
#: Difficulty and area of a simulated movie; row of a real image, none that heldout.py trains on.
SIMULATED = {"ws5": (5.0, 0), "ws3": (3.0, 3), "ws5b": (5.0, 12), "ws3b": (3.0, 9)}
REAL = {"pt2": 2, "pt6": 6}
TASKS = ("ws5", "ws3", *REAL)
#: Pixels that a fold's network was shown at the end of each rung [px].
RUNGS = (1_500_000, 3_000_000, 6_000_000, 12_000_000)
TRUTHS = ("f1", "best_f1", "average_precision")


def make_genomes(number, seed):
    """Founders, random genomes, and offspring of those: the n-th is the same however many are asked for.

    Returns
    -------
    list of (Genome, str)
        With its origin.
    """
    from napari_menndl.genome.founders import FOUNDERS
    from napari_menndl.genome.genes import GenomeError
    from napari_menndl.genome.space import SearchSpace
    from napari_menndl.genome.variation import crossover, mutate, sample_genome

    space = SearchSpace()
    made, digests = [], set()
    for name, founder in FOUNDERS.items():
        try:
            space.check(founder())
        except GenomeError:
            continue
        made.append((founder(), name))
        digests.add(founder().digest)
    founders = len(made)
    draw = 0
    while len(made) < number:
        rng = np.random.default_rng([seed, draw])
        draw += 1
        kind = ("random", "of a founder", "random", "mutated", "crossed")[len(made) % 5]
        earlier = [genome for genome, _ in made]
        if kind == "random":
            genome = sample_genome(space, rng)
        elif kind == "of a founder":
            genome = mutate(earlier[rng.integers(founders)], space, rng)[0]
        elif kind == "mutated":
            genome = mutate(earlier[rng.integers(len(earlier))], space, rng)[0]
        else:
            one, other = rng.choice(len(earlier), 2, replace=False)
            genome = crossover(earlier[one], earlier[other], space, rng)
        if genome.digest not in digests:
            digests.add(genome.digest)
            made.append((genome, kind))
    return made[:number]


@lru_cache(maxsize=len(TASKS))
def problem_of(name, folder):
    from judging import real_problem, simulated_problem

    return simulated_problem(*SIMULATED[name]) if name in SIMULATED else real_problem(folder, REAL[name])


def measure_one(name, number, origin, digest, genome_json, rungs, seed, folder):
    """One line of the table: a genome on a task."""
    from napari_menndl.genome.evaluation import Rung
    from napari_menndl.genome.genome import Genome
    from napari_menndl.genome.space import SearchSpace
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.training.evaluate import evaluate

    problem, genome = problem_of(name, folder), Genome.from_json(genome_json)
    if problem.task.neighbours is None:  # as in a search: on single images there is nothing to average
        genome = SearchSpace().for_single_frames().inputs.narrowed(genome)
    line = {"genome": digest, "number": number, "origin": origin, "seed": seed, "json": genome_json, "rungs": []}
    weights = b""
    for level, pixels in enumerate(rungs):
        began = time.process_time()
        evaluation, weights = evaluate(genome, problem.task, Rung(str(level), pixels), seed, weights)
        # Of the processor, on one thread, so that it is no matter what else the machine does.
        rung = told_of(evaluation, pixels) | {"seconds": time.process_time() - began}
        line |= {"flops": evaluation.flops, "parameters": evaluation.parameters, "device": evaluation.device}
        line["rungs"].append(rung)
        if evaluation.failure:
            break
        began = time.process_time()
        rung["folds"] = fold_scores(problem.task, weights, seed)
        network = Ensemble.from_evaluation(genome, problem.task, evaluation, weights)
        rung["truth"] = truth_of(network, problem)
        rung["seconds_for_truth"] = time.process_time() - began
    return rounded(line)


def truth_of(network, problem):
    """By scope and class: counts and F1 at the network's own threshold, F1 at the best one, average precision."""
    from judging import judge

    def respond(frame):
        return network.predict_frame(frame, pixel_size=network.pixel_size)

    task = problem.task
    names, match_rules = task.class_names, task.match_rules
    judged = judge(respond, network.thresholds, problem.tests, names, match_rules, network.reach)
    return {scope: one["classes"] for scope, one in judged.items()}


def fold_scores(task, weights, seed):
    """What the search would know of each fold alone: its fitness, and F1, average precision and number by class."""
    from napari_menndl.metrics.detection import fitness
    from napari_menndl.metrics.ranking import decode_probabilities
    from napari_menndl.network.weights import from_bytes

    out_of_fold = decode_probabilities(from_bytes(weights)[0]["oof"].numpy())
    found = []
    for fold in range(task.folds):
        inside, rng = task.split(0, fold).validate, np.random.default_rng([seed, fold])
        one = fitness(out_of_fold, task.labels, inside, task.class_names, task.match_rules, rng)
        scores = {s.name: [s.f1, s.average_precision, s.tp + s.fn] for s in one.scores}
        found.append({"fitness": one.value, "scores": scores})
    return found


def search(tasks, budget, seed, folder):
    """Fill a table with the networks of a real search, trained as far as it trained them."""
    from napari_menndl import run_search

    for name in tasks:
        problem = problem_of(name, folder)
        with tempfile.TemporaryDirectory() as place:
            run = run_search(
                problem.movie, problem.annotation, budget=budget, seed=seed, run=Path(place) / "run.menndl"
            )
            tabulate(run, name, problem, seed)


def tabulate(run, name, problem, seed):
    """Fill a table with the networks of a search whose weights it kept."""
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.search.facts import Born, Evaluated

    born = {fact.id: fact for fact in run.folder.facts() if isinstance(fact, Born)}
    ended = {fact.key: fact.evaluation for fact in run.folder.facts() if isinstance(fact, Evaluated)}
    pixels = {rung.name: rung.pixels for rung in run.settings.ladder}
    table_path(f"search-{name}").unlink(missing_ok=True)
    for key in sorted(run.folder.kept_weights() & ended.keys()):
        birth, evaluation = born[key.network], ended[key]
        weights = run.folder.read_weights(key)
        network = Ensemble.from_evaluation(birth.candidate.genome, problem.task, evaluation, weights)
        rung = told_of(evaluation, pixels[key.rung])
        rung |= {"folds": fold_scores(problem.task, weights, seed), "truth": truth_of(network, problem)}
        line = {"genome": birth.candidate.genome.digest, "number": key.network, "origin": birth.origin}
        append_line(f"search-{name}", rounded(line | {"seed": seed, "rungs": [rung]}))
        print(name, key, birth.origin, evaluation.fitness, flush=True)
    task = SIMULATED.get(name, REAL.get(name))
    write_cell(f"landscape/search-{name}", seed, {"task": task, "budget": run.settings.budget})


def told_of(evaluation, pixels):
    """Entry of the table for an evaluation, as the search knows it."""
    found = evaluation.to_json()
    kept = ("fitness", "error", "scores", "seconds", "latency", "loss", "failure", "train_flops")
    return {"pixels": pixels, **{key: found[key] for key in kept}}


def rounded(value):
    """To 4 digits; what is not finite, to None."""
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


# ------------------------------------------------------------------ measure


def table_path(name):
    return RESULTS / "landscape" / f"{name}.jsonl"


def read_table(name, seed=None):
    """The lines of a task; a torn last one, of a process that was killed, is left out."""
    path = table_path(name)
    lines = []
    for text in path.read_text().splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if seed is None or line["seed"] == seed:
            lines.append(line)
    return lines


def append_line(name, line):
    """After a torn line a new one begins."""
    path = table_path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    torn = path.exists() and path.stat().st_size and not path.read_bytes().endswith(b"\n")
    with path.open("a") as file:
        file.write(("\n" if torn else "") + json.dumps(line, separators=(",", ":")) + "\n")


def be_modest():
    """In each worker: lowest priority, one thread, and stopped by its parent alone."""
    import torch

    os.nice(10)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()


def _leave_with(parent):
    """A parent that was killed can stop nobody."""
    while os.getppid() == parent:
        time.sleep(2)
    os._exit(1)


def measure(tasks, number, seed, jobs, hours, folder, rungs):
    """Fill the tables, genome by genome, so that whatever time there is the tasks have the same genomes."""
    genomes = make_genomes(number, seed)
    there = {(name, line["genome"]) for name in tasks for line in read_table(name, seed)}
    todo = [
        (name, n, origin, genome.digest, genome.to_json(), tuple(rungs), seed, folder)
        for n, (genome, origin) in enumerate(genomes)
        for name in tasks
        if (name, genome.digest) not in there
    ]
    print(f"{len(todo)} of {len(genomes) * len(tasks)} to measure, about 2 min each and core.", flush=True)
    if not todo:
        return
    for name in tasks:
        what = {"task": SIMULATED.get(name, REAL.get(name)), "rungs": list(rungs), "genomes": number, "jobs": jobs}
        write_cell(f"landscape/{name}", seed, what)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    end = time.monotonic() + 3600 * hours
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(jobs, context, be_modest)
    waiting, running, done = todo[::-1], {}, 0
    try:
        while waiting or running:
            if time.monotonic() > end:
                print(f"{hours:g} h are over.", flush=True)
                break
            while waiting and len(running) < jobs:
                job = waiting.pop()
                running[executor.submit(measure_one, *job)] = job
            for future in wait(running, timeout=5, return_when=FIRST_COMPLETED).done:
                name, *_ = running.pop(future)
                try:
                    line = future.result()
                except BrokenProcessPool:
                    # All that were in training are lost; they come again with the next start.
                    print(f"{name}: a process died.", flush=True)
                    executor.shutdown(wait=False)
                    executor = ProcessPoolExecutor(jobs, context, be_modest)
                    continue
                except Exception:  # one training that fails must not end hours of others; it is told
                    traceback.print_exc()
                    continue
                append_line(name, line)
                done += 1
                reached = [rung["fitness"] for rung in line["rungs"]]
                print(f"{done}/{len(todo)} {name} {line['number']} {line['origin']}: {reached}", flush=True)
    except KeyboardInterrupt:
        print(f"Stopped; {done} are written, {len(running)} in training are lost.", flush=True)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in multiprocessing.active_children():
            child.terminate()


def main():
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("what", choices=("measure", "search", "analyse"))
    ask.add_argument("--tasks", default=",".join(TASKS), help="some of " + ", ".join([*SIMULATED, *REAL]))
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--genomes", type=int, default=40, help="measure: how many, on each task")
    ask.add_argument("--jobs", type=int, default=2, help="measure: processes, each of one thread")
    ask.add_argument("--hours", type=float, default=math.inf, help="measure: stop after so long")
    ask.add_argument("--budget", default="5min", help="search: of each")
    ask.add_argument("--run", type=Path, help="search: a run folder of the one task that is named")
    ask.add_argument("--pt", type=Path, default=PT, help="measure, search: folder pt_on_nc")
    ask.add_argument("--rungs", default=",".join(map(str, RUNGS)), help="measure: pixels shown at the end of each")
    ask.add_argument("--truth", choices=TRUTHS, default="f1", help="analyse: at own thresholds, at the best, or AP")
    ask.add_argument("--works", type=float, default=0.5, help="analyse: fitness from which a genome works")
    ask.add_argument("--seeds", type=int, default=100, help="analyse: replays")
    ask.add_argument("--shares", default="0.05,0.1,0.2", help="analyse: budgets of replays, shares of the table's time")
    given = ask.parse_args()
    tasks = given.tasks.split(",")
    if unknown := sorted(set(tasks) - {*SIMULATED, *REAL}):
        ask.error(f"unknown tasks: {', '.join(unknown)}")
    if given.what != "analyse" and set(tasks) & set(REAL) and not given.pt.exists():
        ask.error(f"no images at {given.pt}; give --pt, or leave out {', '.join(REAL)}")
    if given.what == "search" and given.run is not None:
        from napari_menndl import open_run

        (name,) = tasks
        run, problem = open_run(given.run), problem_of(name, given.pt)
        if run.task.digest != problem.task.digest:
            ask.error(f"{given.run} is not of {name}: it has learned from other frames or labels")
        tabulate(run, name, problem, given.seed)
    elif given.what == "search":
        search(tasks, given.budget, given.seed, given.pt)
    elif given.what == "measure":
        rungs = [int(pixels) for pixels in given.rungs.split(",")]
        measure(tasks, given.genomes, given.seed, given.jobs, given.hours, given.pt, rungs)
    else:
        tables = {name: read_table(name, given.seed) for name in tasks}
        tables |= {f"search-{name}": read_table(f"search-{name}", given.seed) for name in tasks}
        groups = {
            "simulated": [t for t in tables if t.removeprefix("search-") in SIMULATED],
            "real": [t for t in tables if t.removeprefix("search-") in REAL],
        }
        budgets = [float(share) for share in given.shares.split(",")]
        print_analysis(tables, groups, given.truth, given.works, given.seeds, budgets)


if __name__ == "__main__":
    main()
