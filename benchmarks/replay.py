"""What the table of `landscape.py` says: how candidate fitnesses rank genomes, and which they would have chosen."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.stats import rankdata, spearmanr

#: Of the contenders of a rung, one in so many is promoted, as in a search.
ETA = 2


def _pooled(rung):
    return np.mean([(s["f1"] + s["average_precision"]) / 2 for s in rung["scores"]])


def _precision(rung):
    return np.mean([s["average_precision"] for s in rung["scores"]])


def _defect_f1(rung):
    return np.mean([s["f1"] for s in rung["scores"]])


def _by_root(rung):
    weights = [np.sqrt(s["tp"] + s["fn"]) for s in rung["scores"]]
    return np.average([(s["f1"] + s["average_precision"]) / 2 for s in rung["scores"]], weights=weights)


def _one_fold(rung, fold):
    return rung["folds"][fold]["fitness"] or 0.0


def _as_searched(rung):
    return rung["fitness"]


def _lower_bound(rung):
    return rung["fitness"] - (rung["error"] or 0.0)


#: Fitnesses by what they are; those of single folds cost a fold's share of the time. The first is that of a search.
ALL_FOLDS = {
    "classes by n (a search's)": _as_searched,
    "less its standard error": _lower_bound,
    "mean (F1 + AP) / 2": _pooled,
    "AP": _precision,
    "F1": _defect_f1,
    "classes by √n": _by_root,
}
RANKS, ONE_FOLD = "mean of ranks", "one fold"
FITNESSES = (*ALL_FOLDS, RANKS, ONE_FOLD)


def values_of(table, fitness, fold=0):
    """(genomes, rungs) float: a fitness; 0 from the rung on where a genome failed."""
    depth = max(len(line["rungs"]) for line in table)
    if fitness == RANKS:
        return _mean_ranks(table, depth)
    judge = partial(_one_fold, fold=fold) if fitness == ONE_FOLD else ALL_FOLDS[fitness]
    return _matrix(table, depth, judge)


def truths_of(table, key):
    """(genomes, rungs) float: mean over scopes of the mean over classes.

    Defects born later are a part of the later frames' already, and so few that a mean over them is mostly noise.
    """

    def mean(rung):
        scopes = [classes for scope, classes in rung["truth"].items() if classes and scope != "born"]
        return np.mean([np.mean([one[key] for one in classes.values()]) for classes in scopes])

    return _matrix(table, max(len(line["rungs"]) for line in table), mean)


def costs_of(table):
    """(genomes, rungs) float [s]: of each rung by itself; a genome that failed costs nothing more."""
    depth = max(len(line["rungs"]) for line in table)
    costs = np.zeros((len(table), depth))
    for n, line in enumerate(table):
        costs[n, : len(line["rungs"])] = [rung["seconds"] for rung in line["rungs"]]
    return costs


def _matrix(table, depth, judge):
    found = np.zeros((len(table), depth))
    for n, line in enumerate(table):
        for level, rung in enumerate(line["rungs"]):
            found[n, level] = 0.0 if rung["failure"] else judge(rung)
    return found


def _mean_ranks(table, depth):
    """Ranks by F1 and by AP of each class, among all evaluations of the table, averaged: 1 is the best that can be."""
    names = sorted({s["name"] for line in table for rung in line["rungs"] for s in rung["scores"] or ()})
    ranks = np.zeros((len(table), depth))
    for name in names:
        for key in ("f1", "average_precision"):

            def one(rung, name=name, key=key):
                return next((s[key] for s in rung["scores"] if s["name"] == name), 0.0)

            ranks += rankdata(_matrix(table, depth, one)).reshape(ranks.shape) / (ranks.size * 2 * len(names))
    return ranks


# ------------------------------------------------------------------ correlation


def correlation(table, fitness, key, works, level):
    """Spearman's, over all genomes and over those that work on this rung, with the truth on the highest rung.

    That of a single fold is the mean over folds.
    """
    truth = truths_of(table, key)[:, -1]
    level = min(level, values_of(table, "mean (F1 + AP) / 2").shape[1] - 1)
    working = values_of(table, "mean (F1 + AP) / 2")[:, level] > works
    folds = range(_folds(table)) if fitness == ONE_FOLD else (0,)
    found = [values_of(table, fitness, fold)[:, level] for fold in folds]
    every = np.mean([_spearman(value, truth) for value in found])
    some = np.mean([_spearman(value[working], truth[working]) for value in found])
    return every, some, int(working.sum())


def _spearman(a, b):
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return np.nan
    return spearmanr(a, b).statistic


def _folds(table):
    return max((len(rung.get("folds", ())) for line in table for rung in line["rungs"]), default=1)


# ------------------------------------------------------------------ replay


def replay(values, costs, budget, order, reserve=0.0):
    """A search over the table: who is chosen, and on which rung.

    Asynchronous successive halving: whoever is among the best half of a rung goes on, else the next in order is born;
    when all are born, the best that are left go on. The choice is the best of all, each as on its highest rung.

    Parameters
    ----------
    values, costs : (genomes, rungs) float
    budget : float [s]
    order : (genomes,) int
    reserve : float
        Time kept for the one to be chosen, as a multiple of what it has cost so far.
    """
    spent, born = 0.0, 0
    rungs = [[] for _ in range(values.shape[1])]
    gone = [set() for _ in rungs]
    chosen = None
    while True:
        step = _promotion(rungs, gone, values, everybody=born == len(order))
        if step is None:
            if born == len(order):
                return chosen or (int(order[0]), 0)
            step = int(order[born]), 0
        genome, level = step
        leader, height = _better(chosen, step, values)
        if spent + costs[step] + reserve * costs[leader, : height + 1].sum() > budget and chosen:
            return chosen
        spent += costs[step]
        rungs[level].append(genome)
        if level:
            gone[level - 1].add(genome)
        else:
            born += 1
        if chosen and chosen[0] == genome:
            # It counts with this rung from now on, even if that is worse.
            chosen = max(((g, _height(g, rungs)) for g in rungs[0]), key=lambda one: values[one])
        elif values[step] > 0:
            chosen = _better(chosen, step, values)


def _better(chosen, step, values):
    return step if chosen is None or values[step] > values[chosen] else chosen


def _height(genome, rungs):
    return max(level for level, rung in enumerate(rungs) if genome in rung)


def _promotion(rungs, gone, values, everybody):
    for level in range(len(rungs) - 2, -1, -1):
        ranked = sorted(rungs[level], key=lambda genome, level=level: -values[genome, level])
        for genome in ranked if everybody else ranked[: len(ranked) // ETA]:
            if genome not in gone[level] and values[genome, level] > 0:
                return genome, level + 1
    return None


def replays(table, fitness, key, seeds, share, first=0):
    """Over seeds: the truth of the chosen one as it was trained, and its rank among all of the table, 1 the best.

    `first` is the rung on which genomes are born.
    """
    truth, costs = truths_of(table, key), costs_of(table)
    budget, folds = share * costs.sum(), _folds(table)
    standing = rankdata(-truth[:, -1])
    costs = np.column_stack([costs[:, : first + 1].sum(axis=1), costs[:, first + 1 :]])
    truth = truth[:, first:]
    of = range(folds if fitness == ONE_FOLD else 1)
    all_values = [values_of(table, fitness, fold)[:, first:] for fold in of]
    found = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, len(table)])
        order = rng.permutation(len(table))
        if fitness == ONE_FOLD:
            # The other folds of the chosen one are trained at the end: an answer is the ensemble of all.
            values = all_values[rng.integers(folds)]
            genome, level = replay(values, costs / folds, budget, order, reserve=folds - 1)
        else:
            genome, level = replay(all_values[0], costs, budget, order)
        found.append((truth[genome, level], standing[genome]))
    return np.array(found)


# ------------------------------------------------------------------ tables


def print_analysis(tables, groups, key, works, seeds, budgets):
    """Print both tables in Markdown, tasks side by side, and the means of the groups of tasks."""
    tables = {name: table for name, table in tables.items() if len(table) >= 3}
    if not tables:
        print("Too few genomes: measure first.")
        return
    for name, table in tables.items():
        truth = truths_of(table, key)[:, -1]
        failed = sum(line["rungs"][-1]["failure"] is not None for line in table)
        hours = costs_of(table).sum() / 3600
        top = f"best {truth.max():.3f}, median {np.median(truth):.3f}"
        print(f"{name}: {len(table)} genomes, {failed} failed, {hours:.1f} core hours; truth ({key}): {top}")
    groups = {group: [n for n in names if n in tables] for group, names in groups.items()}
    groups = {group: names for group, names in groups.items() if names}
    depth = max(max(len(line["rungs"]) for line in table) for table in tables.values())
    print(f"\nSpearman's correlation with the truth: all genomes / those of a fitness above {works:g} (number)\n")
    _header("rung", "fitness", *tables, *groups)
    for level in range(depth):
        for fitness in FITNESSES:
            found = {n: correlation(table, fitness, key, works, level) for n, table in tables.items()}
            fields = [f"{every:.2f} / {some:.2f} ({n})" for every, some, n in found.values()]
            means = [[_mean([found[name][k] for name in names]) for k in (0, 1)] for names in groups.values()]
            _line(str(level), fitness, *fields, *(f"{every:.2f} / {some:.2f}" for every, some in means))
    tables = {name: table for name, table in tables.items() if not name.startswith("search-")}
    groups = {group: [n for n in names if n in tables] for group, names in groups.items()}
    groups = {group: names for group, names in groups.items() if names}
    if not tables:
        return
    about = f"{seeds} seeds: truth of the chosen one ± its standard error; mean rank of it"
    pixels = max((line["rungs"] for table in tables.values() for line in table), key=len)
    born = [f"{rung['pixels'] / 1e6:g} Mpx" for rung in pixels]
    print(f"\nReplayed searches by fitness, born at {born[0]}, {about}\n")
    _header("budget", "fitness", *tables, *groups)
    for share in budgets:
        for fitness in FITNESSES:
            found = {name: replays(table, fitness, key, seeds, share) for name, table in tables.items()}
            _line(f"{share:g}", fitness, *_replayed(found, groups))
    print(f"\nReplayed searches by the rung on which genomes are born, {FITNESSES[0]}, {about}\n")
    _header("budget", "born at", *tables, *groups)
    for share in budgets:
        for first, words in enumerate(born):
            found = {name: replays(table, FITNESSES[0], key, seeds, share, first) for name, table in tables.items()}
            _line(f"{share:g}", words, *_replayed(found, groups))


def _replayed(found, groups):
    """Fields of a line: of each table, and of each group of tables the mean."""
    for one in found.values():
        error = one[:, 0].std() / np.sqrt(len(one))
        yield f"{one[:, 0].mean():.3f} ± {error:.3f}; {one[:, 1].mean():.1f}"
    for names in groups.values():
        truth, rank = np.mean([found[name].mean(axis=0) for name in names], axis=0)
        yield f"{truth:.3f}; {rank:.1f}"


def _mean(values):
    known = [value for value in values if np.isfinite(value)]
    return np.mean(known) if known else np.nan


def _header(*titles):
    _line(*titles)
    print("|---" * len(titles) + "|")


def _line(*fields):
    print(f"| {' | '.join(fields)} |")
