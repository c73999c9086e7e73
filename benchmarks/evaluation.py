"""Processor time in which the networks of a search are trained and judged, beside an older commit.

    python benchmarks/evaluation.py RUN --before SRC [--networks 8] [--pixels 1000000] [--repeats 3] [--keep]
    python benchmarks/evaluation.py RUN --before SRC --starts 5 [--pixels 1000000]

RUN is the folder of a search; its first networks are evaluated again on its task, each fold for so many pixels, on one
thread, as a trainer does, and then judged once more with the weights that they have (carried on without a pixel to
train). SRC is the ``src`` folder of another commit (``git worktree add``). Both evaluate every network by turns, each
in a process of its own, so that whatever else the machine does befalls both; reported are medians of the processor time
and the fitness of both, which differs where the commits draw other tiles. ``--keep`` writes
``benchmarks/results/evaluation.json``. ``--starts`` measures instead what a new process takes until its first network
is evaluated, with all that it imports.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np


def serve(run: str, pixels: int) -> None:
    """Evaluate the network whose number is read; answer with processor times [s], fitness and FLOP per pixel.

    The last number is the processor time since the process began.
    """
    from napari_menndl import open_run
    from napari_menndl.genome.evaluation import Rung
    from napari_menndl.genome.genome import Genome
    from napari_menndl.training.evaluate import evaluate

    warnings.simplefilter("ignore")
    opened = open_run(run)
    born = [fact for fact in opened.folder.facts() if fact.kind == "born"]
    print(len(born), flush=True)
    for line in sys.stdin:
        genome = Genome.from_json(born[int(line)].genome)
        times, weights = [time.process_time()], b""
        for _ in range(2):
            evaluation, weights = evaluate(genome, opened.task, Rung("0", pixels), 0, weights, "cpu")
            times.append(time.process_time())
        print(json.dumps([*np.diff(times), evaluation.fitness, evaluation.flops, times[1]]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--before", help="src of the commit to compare with")
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--pixels", type=int, default=1_000_000, help="of each fold")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--starts", type=int, default=0, help="new processes to time until their first network")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.run, options.pixels)
        return
    from cells import write_cell
    from side_by_side import servers, sources_of

    sources = sources_of(options.before)
    command = [__file__, options.run, "--pixels", str(options.pixels), "--serve"]
    if options.starts:
        firsts: dict[str, list[float]] = {name: [] for name in sources}
        for _ in range(options.starts):
            with servers(sources, *command) as ask:
                for name in sources:
                    ask(name)
                    firsts[name].append(ask(name, 0)[-1])
        medians = {name: round(float(np.median(each)), 2) for name, each in firsts.items()}
        print(json.dumps({"processor until the first network [s]": medians}))
        return
    networks = []
    with servers(sources, *command) as ask:
        known = min(ask(name) for name in sources)
        for number in range(min(options.networks, known)):
            turns = [{name: ask(name, number) for name in sources} for _ in range(options.repeats)]
            told = {name: np.array([turn[name] for turn in turns]) for name in sources}
            times = {name: np.median(each[:, :2], axis=0) for name, each in told.items()}
            one = {"network": number, "FLOP per pixel": told["now"][0, 3]}
            for name, (evaluated, judged) in times.items():
                one[name] = {"processor [s]": round(evaluated, 2), "of it judging [s]": round(judged, 2)}
                one[name]["fitness"] = told[name][0, 2]
            print(json.dumps(one), flush=True)
            networks.append((one, times))
    total = {name: sum(times[name] for _, times in networks) for name in sources}  # evaluated, judged
    found = {
        "pixels of each fold [px]": options.pixels,
        "repeats": options.repeats,
        "networks": [one for one, _ in networks],
        "processor, all [s]": {name: one.round(1).tolist() for name, one in total.items()},
    }
    if options.before:
        found["times faster: evaluated, judged"] = (total["before"] / total["now"]).round(2).tolist()
    print(json.dumps(found, indent=1))
    if options.keep:
        write_cell("evaluation", 0, found)


if __name__ == "__main__":
    main()
