"""LEAP's asynchronous steady state for a while, in an environment of its own; prints what it did as one line of JSON.

    python leap_search.py --evaluation 0 --seconds 30 --slots 2 --window 64 [--kill-every 3]

Nothing of this project is imported. The genome is a vector of twenty numbers, which costs LEAP next to nothing to
breed; the evaluation sleeps, or returns at once.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import threading
import time

import numpy as np
from distributed import Client, LocalCluster
from leap_ec import ops
from leap_ec.distrib import asynchronous
from leap_ec.distrib.individual import DistributedIndividual
from leap_ec.problem import ScalarProblem
from leap_ec.real_rep.initializers import create_real_vector
from leap_ec.real_rep.ops import mutate_gaussian
from leap_ec.representation import Representation


class Sleeping(ScalarProblem):
    """The mean of the genome, after a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__(maximize=True)
        self.seconds = seconds

    def evaluate(self, phenome, *args, **kwargs):
        if self.seconds:
            time.sleep(self.seconds)
        return float(np.mean(phenome))


class OverError(Exception):
    """The time is over."""


def kill_workers(cluster: LocalCluster, every: float, kills: list[float]) -> None:
    while True:
        time.sleep(every)
        alive = [nanny.process.pid for nanny in cluster.workers.values() if nanny.process and nanny.process.pid]
        if alive:
            os.kill(random.choice(alive), signal.SIGKILL)
            kills.append(time.monotonic())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--evaluation", type=float, default=0.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--window", type=int, default=2)
    parser.add_argument("--kill-every", type=float, default=0.0)
    options = parser.parse_args()
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - what LEAP draws from
    ended: list[float] = []
    kills: list[float] = []
    error = ""
    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=options.slots, threads_per_worker=1, processes=True, **here) as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(options.slots)
        deadline = time.monotonic() + options.seconds
        if options.kill_every:
            threading.Thread(target=kill_workers, args=(cluster, options.kill_every, kills), daemon=True).start()

        def count(individual) -> None:
            ended.append(time.monotonic())
            if ended[-1] > deadline:
                raise OverError

        breeding = [
            ops.tournament_selection,
            ops.clone,
            mutate_gaussian(std=0.1, expected_num_mutations=1),
            ops.pool(size=1),
        ]
        try:
            asynchronous.steady_state(
                client,
                10**9,
                options.window,
                24,
                Representation(create_real_vector([[-1, 1]] * 20), individual_cls=DistributedIndividual),
                Sleeping(options.evaluation),
                breeding,
                evaluated_probe=count,
            )
        except OverError:
            pass
        except Exception as found:
            error = f"{type(found).__name__}: {found}"[:300]
        spent = (ended[-1] - ended[0]) if len(ended) > 1 else 0.0
        found = {
            "networks": len(ended),
            "networks_per_second": round(len(ended) / spent, 1) if spent else 0.0,
            "kills": len(kills),
            "ended by": error,
        }
        print(json.dumps(found), flush=True)
        # What is in flight is not waited for.
        os._exit(0) if error else None


if __name__ == "__main__":
    main()
