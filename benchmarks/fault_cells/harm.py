"""Networks that do their trainer harm."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from places import HERE, STUCK, Site, at

if TYPE_CHECKING:
    from collections.abc import Callable


def poison(fates: dict[str, float], births: float, timeout: float = 30.0) -> Callable[[int, int], dict[str, Any]]:
    """Search among genomes of which some do harm, until so many have; `births` is how many there are for each."""

    def measure(number: int, seed: int) -> dict[str, Any]:
        with (
            tempfile.TemporaryDirectory() as place,
            at(Site(Path(place), "local", fates=fates, seconds=0.01, timeout=timeout, seed=seed)) as site,
        ):
            began = time.monotonic()
            stuck = not site.wait_for(int(number * births), 25 * 60, tend=False)
            while not stuck and sum(site.account()["guilty"].values()) < number:
                stuck = not site.wait_for(site.ended() + 10, STUCK, tend=False)
            seconds = time.monotonic() - began
            orphans = site.end()
            return {"seconds": round(seconds, 1), "stuck": int(stuck), "orphans": orphans, **site.account()}

    return measure


def memory(number: int, seed: int) -> dict[str, Any]:
    """Jobs that take more memory than a slot has, among as many that do not."""
    from napari_menndl.pool.clusters.local import Local
    from napari_menndl.pool.dask.pool import DaskPool
    from napari_menndl.pool.settings import LocalSettings

    environment = {"PYTHONPATH": str(HERE)}
    pool = DaskPool("standin:hold", Local(LocalSettings(slots=2)), timeout=60, env=environment, memory=300 * 2**20)
    try:
        for n in range(2 * number):
            pool.submit(f"{'large' if n % 2 else 'small'} {n}", {"bytes": 500 * 2**20 if n % 2 else 2**20})
        outcomes = []
        while len(outcomes) < 2 * number and (found := pool.finished(timeout=STUCK)):
            outcomes += found
    finally:
        pool.close()
    failed = {one.key: one.failure.kind for one in outcomes if one.failure is not None}
    return {
        "out of memory": sum(kind == "out_of_memory" and key.startswith("large") for key, kind in failed.items()),
        "innocent failed": sum(key.startswith("small") for key in failed),
        "not noticed": sum(one.key.startswith("large") and one.failure is None for one in outcomes),
        "not come back": 2 * number - len(outcomes),
        "longest seconds": round(max(one.finished - one.started for one in outcomes), 2),
    }
