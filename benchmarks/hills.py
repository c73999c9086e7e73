"""A made-up landscape, and islands on it that take turns in one process, to see whether exchanging elites pays."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.genome.plan import make_plan
from napari_menndl.genome.space import SearchSpace
from napari_menndl.search.evolution import Evolution
from napari_menndl.search.islands import exchange
from napari_menndl.search.islands.exchange import Exchange
from napari_menndl.search.islands.shared_folder import SharedFolder
from napari_menndl.search.settings import SearchSettings

if TYPE_CHECKING:
    from napari_menndl.genome.evaluation import Rung
    from napari_menndl.genome.genome import Genome


def hills(genome: Genome) -> float:
    """True fitness: a broad hill of 0.7, and one of 0.95 a quarter as wide elsewhere."""
    plan = make_plan(genome)
    rate = np.log10(genome.training.learning_rate)
    traits = np.array(
        [len(genome.layers) / 10, np.log10(1 + plan.parameters) / 6, plan.receptive_radius / 40, (rate + 4) / 3]
    )
    broad = np.exp(-np.sum((traits - [0.3, 0.5, 0.2, 0.3]) ** 2) / (2 * 0.32**2))
    narrow = np.exp(-np.sum((traits - [0.8, 0.75, 0.6, 0.75]) ** 2) / (2 * 0.16**2))
    return float(max(0.7 * broad, 0.95 * narrow))


def evaluate(genome: Genome, rung: Rung, seed: int) -> Evaluation:
    """Measure the true fitness with noise, less of it at a higher rung."""
    if not rung.name.isdigit():
        return Evaluation(rung.name)
    noise = np.random.default_rng([int(genome.digest, 16), seed, int(rung.name)]).normal(0, 0.04 / (1 + int(rung.name)))
    return Evaluation(rung.name, float(np.clip(hills(genome) + noise, 0, 1)), 0.01, train_flops=1e6, seconds=1.0)


class Sea:
    """Islands in one process, taking turns, each with so many evaluations on their way.

    Parameters
    ----------
    islands, population, in_flight, seed : int
    shared : Path or None
        Folder of the exchange; None: there is none.
    """

    def __init__(self, islands: int, population: int, in_flight: int, seed: int, shared: Path | None) -> None:
        self.in_flight = in_flight
        self.seed = seed
        self.best = 0.0
        self.evolutions: list[Evolution] = []
        self.exchanges: list[Exchange | None] = []
        self._rng = np.random.default_rng(seed)
        space = SearchSpace()
        for n in range(islands):
            settings = SearchSettings(
                seed=seed, population=population, island=f"i{n}", exchange=str(shared or ""), rungs=2
            )
            evolution = Evolution(space, settings)
            self.evolutions.append(evolution)
            file = SharedFolder(settings, space, "task", Path(f"i{n}")) if shared else None
            if file:
                file.join()
            self.exchanges.append(Exchange(file, evolution) if file else None)

    def births(self) -> int:
        return sum(one.births for one in self.evolutions)

    def turn(self) -> None:
        """Each island fills its slots and gets back one evaluation, whichever."""
        for evolution, trade in zip(self.evolutions, self.exchanges, strict=True):
            if trade is not None:
                if evolution.births % 20 == 0:
                    trade._offer()
                    trade._round()
                trade.arrivals(self.in_flight - len(evolution.in_flight))
            evolution.ask(self.in_flight - len(evolution.in_flight))
            keys = list(evolution.in_flight)
            key = keys[int(self._rng.integers(len(keys)))]
            candidate = evolution.in_flight[key]
            evolution.tell(key, evaluate(candidate.genome, candidate.rung, self.seed))
        for one in self.evolutions:  # what a person would get: the true fitness of what the search thinks best
            if one.best:
                self.best = max(self.best, hills(one.best.candidate.genome))


def arms(islands: int, population: int, in_flight: int) -> dict[str, tuple[int, int, int, bool]]:
    """Islands, population of each, evaluations on their way on each, and whether they exchange."""
    return {
        "islands that exchange": (islands, population, in_flight, True),
        "islands that do not": (islands, population, in_flight, False),
        "one large population": (1, islands * population, islands * in_flight, False),
        "one small population": (1, population, islands * in_flight, False),
    }


def compare(seeds: int, births: int, marks: list[int]) -> dict[str, Any]:
    exchange.PERIOD = float("inf")  # the turns call for it
    curves: dict[str, list[list[float]]] = {}
    immigrants = []
    for seed in range(seeds):
        for name, (islands, population, in_flight, trading) in arms(8, 24, 8).items():
            with tempfile.TemporaryDirectory() as place:
                sea = Sea(islands, population, in_flight, seed, Path(place) / "shared" if trading else None)
                curve: list[float] = []
                while len(curve) < len(marks):
                    sea.turn()
                    if sea.births() >= marks[len(curve)]:
                        curve.append(sea.best)
            curves.setdefault(name, []).append(curve)
            if trading:
                immigrants.append(sum(one.immigrants for one in sea.evolutions))
        print(seed, {name: round(found[-1][-1], 3) for name, found in curves.items()}, flush=True)
    ours = np.array(curves["islands that exchange"])
    return {
        "births": marks,
        "seeds": seeds,
        "immigrants_mean": round(float(np.mean(immigrants)), 1),
        "true_fitness_of_the_best": {
            name: {
                "mean": np.mean(found, axis=0).round(4).tolist(),
                "median": np.median(found, axis=0).round(4).tolist(),
            }
            for name, found in curves.items()
        },
        "gain_of_islands_that_exchange_at_the_end": {
            name: {"mean": round(float(gain.mean()), 4), "interval_95": _interval(gain), "wins": int((gain > 0).sum())}
            for name, found in curves.items()
            if name != "islands that exchange"
            for gain in [(ours - np.array(found))[:, -1]]
        },
        "values_at_the_end": {name: [round(one[-1], 4) for one in found] for name, found in curves.items()},
    }


def _interval(values: Any) -> list[float]:
    """Bootstrap over seeds."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (2000, len(values))).mean(axis=1)
    return np.quantile(means, [0.025, 0.975]).round(4).tolist()
