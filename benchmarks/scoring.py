"""Processor time in which the out-of-fold probabilities of a search are scored, beside an older commit.

    python benchmarks/scoring.py RUN --before SRC [--repeats 5] [--keep]

RUN is the folder of a search. What each of its best networks says out of fold is scored again as an evaluation does
it: components at up to 27 thresholds, matches, average precision, threshold, standard error. SRC is the ``src`` folder
of another commit; both score by turns, each in a process of its own. Reported are the medians over repeats, summed over
networks, and whether average precisions agree. ``--keep`` writes ``benchmarks/results/scoring.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np


def serve(path: str) -> None:
    """Score the network whose number is read; answer with the processor time [s] and the average precisions."""
    from napari_menndl.metrics import detection

    # An earlier name.
    rule = getattr(detection, "MatchRule", None) or detection.Detector  # type: ignore[attr-defined]
    kept = np.load(path)
    names = [str(name) for name in kept["names"]]
    rules = [rule(*one) for one in zip(kept["tolerance"].tolist(), kept["extended"].tolist(), strict=True)]
    for line in sys.stdin:
        began = time.process_time()
        rng = np.random.default_rng(0)
        found = detection.fitness(kept["said"][int(line)], kept["labels"], kept["inside"], names, rules, rng)
        seconds = time.process_time() - began
        print(json.dumps([seconds, *(score.average_precision for score in found.scores)]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--before", required=True, help="src of the commit to compare with")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.run)
        return
    from cells import write_cell
    from napari_menndl import open_run
    from napari_menndl.metrics.ranking import decode_probabilities
    from napari_menndl.search import results
    from napari_menndl.search.answer import read_oof
    from side_by_side import servers, sources_of

    run = open_run(options.run)
    task = run.task
    keys = [f"{network}/{one.rung}" for network, one in results.evaluations(run.folder) if one.fitness is not None]
    kept = [read_oof(run.folder.read_weights(key)) for key in keys]
    said = [decode_probabilities(codes) for codes in kept if codes is not None]
    inside = np.logical_or.reduce([task.split(0, fold).validate for fold in range(task.folds)])
    sources = sources_of(options.before)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "said.npz"
        rules = task.match_rules
        tolerance, extended = [one.tolerance for one in rules], [one.extended for one in rules]
        about = {"names": list(task.class_names), "tolerance": tolerance, "extended": extended}
        np.savez(path, said=np.stack(said), labels=task.labels, inside=inside, **about)
        with servers(sources, __file__, str(path), "--before", "", "--serve") as ask:
            told: dict[str, list[list[list[float]]]] = {name: [] for name in sources}
            for _ in range(options.repeats):
                for name in sources:
                    told[name].append([ask(name, number) for number in range(len(said))])
    seconds = {
        name: float(np.median([[one[0] for one in turn] for turn in each], 0).sum()) for name, each in told.items()
    }
    apart = max(
        abs(a - b)
        for one, other in zip(*(each[0] for each in told.values()), strict=True)
        for a, b in zip(one[1:], other[1:], strict=True)
    )
    found = {
        "networks": len(said),
        "labelled frames, classes, pixels": list(said[0].shape),
        "processor per network [ms]": {name: round(1e3 * total / len(said), 2) for name, total in seconds.items()},
        "times faster": round(seconds["before"] / seconds["now"], 2),
        "average precisions differ by at most": apart,
    }
    print(json.dumps(found, indent=1))
    if options.keep:
        write_cell("scoring", 0, found)


if __name__ == "__main__":
    main()
