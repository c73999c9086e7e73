"""Defects through time: trajectories, events and rates against the event table of simulated movies that drift.

    python benchmarks/tracking.py [--areas 0 1 2] [--frames 40] [--drift 3] [--again] [--network]

Movies of WS2 with a drift of about three pixels a frame, in which defects are born, hop, change and vanish. The table
of defects is that of the true labels, and the same made worse: centres off, defects missed, false ones anywhere.
Several methods link it, all else is alike: the nearest neighbour of the same class in the frame before, with and
without the drift removed; trackpy with and without; laptrack, where it is installed. The cell says which of
`THRESHOLDS` ours holds, and whether any other has better events.

``--network`` takes the tables that real networks find instead: for each movie a founder trained on its frame 0
(`founder.py`).

Writes ``benchmarks/results/tracking.json``, or ``tracking-network.json``, and leaves it as it is when it is there
already.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

sys.path.insert(0, str(Path(__file__).parent))

from cells import RESULTS, read_cell, write_cell
from founder import train_founder
from napari_menndl import Annotation
from napari_menndl.metrics.matching import match_points
from napari_menndl.predict.labelling import find_defects
from napari_menndl.predict.prediction import Prediction
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.tracks import track_defects
from napari_menndl.tracks.events import Rules
from napari_menndl.tracks.linking import CHANGED_WITHIN, link_defects

if TYPE_CHECKING:
    from collections.abc import Iterable


SHAPE, NETWORK = (256, 256), "network"
#: Error of a centre, rms per axis [px]; share of defects missed; false ones per true one.
QUALITIES = {"exact": (0.0, 0.0, 0.0), "good": (0.7, 0.05, 0.05), "poor": (1.0, 0.15, 0.10)}
#: What ours is to hold, by quality: true links found, at least; false among those made, at most; F1 of births, at
#: least; error of their rate over all areas, at most.
THRESHOLDS = {
    "exact": {"links": 0.99, "false": 0.005, "born": 0.95, "rate": 0.1},
    "good": {"links": 0.98, "false": 0.01, "born": 0.85, "rate": 0.15},
    "poor": {"links": 0.95, "false": 0.02, "born": 0.7, "rate": 0.3},
}
#: Of the tables that networks find, what is asked of the poor one.
THRESHOLDS[NETWORK] = THRESHOLDS["poor"]
OURS = "trackpy, drift removed"
KINDS = ("born", "moved", "changed", "vanished")
#: A defect found is a true one within this distance [px]; an event is a true one within it and this many frames.
NEAR, FRAMES_OFF = 5.0, 1


@dataclass
class Simulated:
    """A simulated movie: true defects and events, pixel size, frame time, drift [nm/s], and what a network finds."""

    defects: pd.DataFrame
    events: pd.DataFrame
    pixel_size: tuple[float, float]
    frame_time: float
    drift: float
    found: pd.DataFrame | None = None


def simulate(area: int, frames: int, drift: float, by_network: bool = False) -> Simulated:
    pixel = Acquisition().pixel_size
    speed = drift * pixel / Acquisition().frame_time(*SHAPE)
    movie = simulate_movie(frames, SHAPE, area_seed=area, acquisition=Acquisition(drift=speed))
    size = movie.movie.pixel_size
    tables = []
    for t, labels in enumerate(movie.labels):
        certain = np.stack([labels == c for c in range(1, len(movie.class_names) + 1)]).astype(np.float32)
        tables.append(find_defects(labels, certain, movie.class_names, size, t, movie.movie.frame_time))
    table = pd.concat(tables, ignore_index=True)
    found = None
    if by_network:
        network = train_founder(movie.movie, Annotation.from_simulation(movie, frames=[0]))
        found = Prediction(network, movie.movie).defects.drop(columns=["y_nm", "x_nm", "time_s"])
        found = found.assign(true=true_numbers(found, movie.events))
    about = movie.events, size, movie.movie.frame_time, speed, found
    return Simulated(table.assign(true=true_numbers(table, movie.events)), *about)


def true_numbers(table: pd.DataFrame, events: pd.DataFrame) -> np.ndarray:
    """Return the simulated defect that each row shows, -1 if none is near."""
    numbers = np.full(len(table), -1)
    there = events[events["event"] != "vanished"].groupby(["frame", "class"])
    for key, rows in table.groupby(["frame", "class"]):
        if key in there.groups:
            true = there.get_group(key)
            pairs = match_points(rows[["y", "x"]].to_numpy(), true[["y", "x"]].to_numpy(), NEAR)
            numbers[rows.index[pairs[:, 0]]] = true["defect"].to_numpy()[pairs[:, 1]]
    return numbers


def worsened(table: pd.DataFrame, quality: str, rng: np.random.Generator) -> pd.DataFrame:
    """Return the table as a network of this quality would find it."""
    error, missed, false = QUALITIES[quality]
    kept = table[rng.random(len(table)) >= missed].copy()
    kept[["y", "x"]] = np.clip(kept[["y", "x"]] + rng.normal(0, error, (len(kept), 2)), 0, np.array(SHAPE) - 1)
    points = table[table["area_px"] < 2 * table["area_px"].median()]
    wrong = points.iloc[rng.integers(len(points), size=rng.poisson(false * len(table)))].copy()
    wrong[["y", "x"]] = rng.uniform(0, SHAPE, (len(wrong), 2))
    wrong["frame"] = rng.integers(table["frame"].max() + 1, size=len(wrong))
    whole = pd.concat([kept, wrong.assign(true=-1)], ignore_index=True).drop(columns=["y_nm", "x_nm", "time_s"])
    return whole.sort_values("frame", kind="stable", ignore_index=True)


def nearest(places: np.ndarray, classes: np.ndarray, frames: np.ndarray, reach: float) -> np.ndarray:
    """Link each defect to the nearest of its class in the frame before, nearest pairs first."""
    numbers, new = np.full(len(places), -1), 0
    for t in range(frames.max() + 1):
        here, before = np.flatnonzero(frames == t), np.flatnonzero(frames == t - 1)
        pairs = []
        for c in np.unique(classes[here]):
            mine, theirs = here[classes[here] == c], before[classes[before] == c]
            if len(theirs):
                distance, which = KDTree(places[theirs]).query(places[mine])
                pairs += [(d, i, theirs[j]) for d, i, j in zip(distance, mine, which, strict=True) if d < reach]
        taken = set()
        for _, i, j in sorted(pairs):
            if j not in taken:
                taken.add(j)
                numbers[i] = numbers[j]
        for i in here[numbers[here] < 0]:
            numbers[i], new = new, new + 1
    return numbers


def by_laptrack(places: np.ndarray, classes: np.ndarray, frames: np.ndarray, reach: float, gap: int) -> np.ndarray:
    """Link with laptrack, on the same terms as `link_defects`."""
    from laptrack import LapTrack

    apart = np.sqrt((1 - CHANGED_WITHIN**2) / 2) * reach
    coordinates = np.hstack([places, (classes[:, None] == np.unique(classes)[None]) * apart])
    names = [f"c{axis}" for axis in range(coordinates.shape[1])]
    table = pd.DataFrame(coordinates, columns=names).assign(frame=frames, row=np.arange(len(frames)))
    tracker = LapTrack(cutoff=reach**2, gap_closing_cutoff=reach**2, gap_closing_max_frame_count=gap + 1)
    found = tracker.predict_dataframe(table, coordinate_cols=names, only_coordinate_cols=False)[0]
    return found.sort_values("row")["track_id"].to_numpy()


def links(numbers: np.ndarray, true: np.ndarray) -> set[tuple[int, int]]:
    """Return the pairs of rows that follow each other in a trajectory."""
    rows = np.flatnonzero(numbers >= 0)
    order = rows[np.argsort(numbers[rows], kind="stable")]
    same = numbers[order[1:]] == numbers[order[:-1]]
    return set(zip(order[:-1][same].tolist(), order[1:][same].tolist(), strict=True))


def true_events(simulated: Simulated, shifts: np.ndarray, rules: Rules, frames: int) -> pd.DataFrame:
    """Return the simulated events that could be noticed, with places as in their frames.

    A defect that vanishes where another is born has changed into it.
    """
    events = simulated.events[simulated.events["event"].isin(["born", "moved", "vanished"])].copy()
    born, gone = events[events["event"] == "born"], events[events["event"] == "vanished"]
    within = CHANGED_WITHIN * rules.reach
    for t in born["frame"].unique():
        new, old = born[born["frame"] == t], gone[gone["frame"] == t]
        # A vanished defect has the place that it had in the frame before.
        moved = old[["y", "x"]].to_numpy() + (shifts[t] - shifts[t - 1] if t else 0)
        for i, j in match_points(new[["y", "x"]].to_numpy(), moved, within):
            events.loc[new.index[i], "event"] = "changed"
            events = events.drop(index=old.index[j])
    edge, keep = rules.reach, []
    for _, row in events.iterrows():
        t = int(row["frame"])
        place = np.array([row["y"], row["x"]])
        now = place + (shifts[t] - shifts[t - 1] if row["event"] == "vanished" else 0)
        before = now - (shifts[t] - shifts[t - 1])
        inside = all(edge - 0.5 <= p[a] <= SHAPE[a] - 0.5 - edge for p in (now, before) for a in (0, 1))
        keep.append(inside and t in rules.counted(row["event"], frames))
    return events[keep]


def event_scores(found: pd.DataFrame, true: pd.DataFrame, within: float) -> dict[str, dict[str, float]]:
    """Return F1 of each kind of event, and how many there are."""
    scores = {}
    for kind in KINDS:
        ours, theirs = found[(found["event"] == kind) & found["counted"]], true[true["event"] == kind]
        # Frames as a third axis, in which one more than allowed is too far.
        scaled = [np.c_[one[["y", "x"]], one["frame"] * within / (FRAMES_OFF + 0.5)] for one in (ours, theirs)]
        hits = 0
        if len(ours) and len(theirs):
            pairs = KDTree(scaled[0]).sparse_distance_matrix(KDTree(scaled[1]), within, output_type="coo_matrix")
            taken_ours, taken_theirs = set(), set()
            for _, i, j in sorted(zip(pairs.data, pairs.row, pairs.col, strict=True)):
                if i not in taken_ours and j not in taken_theirs:
                    taken_ours.add(i)
                    taken_theirs.add(j)
                    hits += 1
        scores[kind] = {"found": len(ours), "true": len(theirs), "hits": hits}
    return scores


def measure(areas: list[int], frames: int, drift: float, by_network: bool = False) -> dict[str, object]:
    qualities = (NETWORK,) if by_network else tuple(QUALITIES)
    result: dict[str, object] = {"drift [px/frame]": drift, "frames": frames, "areas": areas}
    result["thresholds"] = {quality: THRESHOLDS[quality] for quality in qualities}
    movies = {area: simulate(area, frames, drift, by_network) for area in areas}
    if by_network:
        result["defects"] = defect_scores(movies.values())
    for quality in qualities:
        sums: dict[str, dict[str, float]] = {}
        for area, simulated in movies.items():
            if simulated.found is None:
                rng = np.random.default_rng([area, list(QUALITIES).index(quality)])
                table = worsened(simulated.defects, quality, rng)
            else:
                table = simulated.found
            for method, row in compare(table, simulated, frames).items():
                total = sums.setdefault(method, dict.fromkeys(row, 0.0))
                for name, value in row.items():
                    total[name] += value
        result[quality] = {method: scored(row) for method, row in sums.items()}
    if find_spec("laptrack"):
        result["laptrack"] = version("laptrack")
    result["holds"] = {q: holds(result[q][OURS], THRESHOLDS[q]) for q in qualities}
    others = {q: max(row["born F1"] for m, row in result[q].items() if m != OURS) for q in qualities}
    result["no other finds births better"] = {q: bool(result[q][OURS]["born F1"] >= others[q]) for q in qualities}
    return result


def defect_scores(movies: Iterable[Simulated]) -> dict[str, float]:
    """Return how well the network finds the defects of all frames, at most `NEAR` off."""
    hits = found = true = 0
    for one in movies:
        assert one.found is not None
        hits += int((one.found["true"] >= 0).sum())
        found, true = found + len(one.found), true + len(one.defects)
    return {"true": true, "found": found, "precision": round(hits / found, 3), "recall": round(hits / true, 3)}


def compare(table: pd.DataFrame, simulated: Simulated, frames: int) -> dict[str, dict[str, float]]:
    """Return sums for the scores of every method on one table."""
    pixel = float(np.sqrt(np.prod(simulated.pixel_size)))
    about = {
        "shape": SHAPE,
        "frames": frames,
        "pixel_size": simulated.pixel_size,
        "frame_time": simulated.frame_time,
    }
    ours = track_defects(table, **about)
    used = ours.settings
    rules = Rules(used.reach / pixel, used.move / pixel, used.growth / pixel**2, used.gap, used.confirm)
    shifts = ours.observed.shifts
    classes = pd.factorize(table["class"])[0]
    at = table["frame"].to_numpy()
    raw = table[["y", "x"]].to_numpy()
    still = raw - shifts[at]
    methods = {
        "nearest neighbour": lambda: nearest(raw, classes, at, rules.reach),
        "nearest neighbour, drift removed": lambda: nearest(still, classes, at, rules.reach),
        "trackpy": lambda: link_defects(raw, classes, at, rules.reach, rules.gap),
        OURS: lambda: link_defects(still, classes, at, rules.reach, rules.gap),
    }
    if find_spec("laptrack"):
        methods["laptrack, drift removed"] = lambda: by_laptrack(still, classes, at, rules.reach, rules.gap)
    known = table["true"].to_numpy()
    true_links = links(known, known)
    true = true_events(simulated, shifts, rules, frames)
    exposure = float(
        (ours.observed.areas(rules.reach) * ours.observed.steps)[list(rules.counted("born", frames))].sum()
    )
    rows = {}
    for method, link in methods.items():
        begin = time.process_time()
        numbers = link()
        seconds = time.process_time() - begin
        made = links(numbers, known)
        judged = [(i, j) for i, j in made if known[i] >= 0 and known[j] >= 0]
        # A link between a defect and what it changed into is none of the table's, and no error.
        wrong = [(i, j) for i, j in judged if known[i] != known[j] and table["class"].iloc[i] == table["class"].iloc[j]]
        found = track_defects(table.assign(number=numbers), linked="number", **about)
        row = {
            "links true": len(true_links),
            "links found": len(made & true_links),
            "links judged": len(judged),
            "links wrong": len(wrong),
            "CPU seconds": seconds,
            "exposure": exposure,
        }
        for kind, counts in event_scores(found.events, true, rules.reach).items():
            row |= {f"{kind} {name}": value for name, value in counts.items()}
        rows[method] = row
    return rows


def scored(row: dict[str, float]) -> dict[str, float]:
    """Return the scores over all areas."""
    scores = {
        "links found": row["links found"] / row["links true"],
        "links false": row["links wrong"] / max(row["links judged"], 1),
        "CPU seconds": row["CPU seconds"],
    }
    for kind in KINDS:
        both = row[f"{kind} found"] + row[f"{kind} true"]
        scores[f"{kind} F1"] = 2 * row[f"{kind} hits"] / both if both else float("nan")
        scores[f"{kind} true"] = row[f"{kind} true"]
    scores["birth rate [1/(nm² s)]"] = row["born found"] / row["exposure"]
    scores["true birth rate"] = row["born true"] / row["exposure"]
    scores["rate error"] = abs(row["born found"] / row["born true"] - 1) if row["born true"] else float("nan")
    return {name: round(value, 5) for name, value in scores.items()}


def holds(ours: dict[str, float], least: dict[str, float]) -> dict[str, bool]:
    return {
        "links": ours["links found"] >= least["links"],
        "false": ours["links false"] <= least["false"],
        "born": ours["born F1"] >= least["born"],
        "rate": ours["rate error"] <= least["rate"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--areas", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--drift", type=float, default=3.0, help="px per frame")
    parser.add_argument("--again", action="store_true", help="measure even if there is a result")
    parser.add_argument("--network", action="store_true", help="follow what real networks find")
    asked = parser.parse_args()
    name = "tracking-network" if asked.network else "tracking"
    if asked.again or read_cell(name) is None:
        warnings.simplefilter("ignore", UserWarning)
        write_cell(name, 0, measure(asked.areas, asked.frames, asked.drift, asked.network))
    print(json.dumps(read_cell(name), indent=1))
    print(RESULTS / f"{name}.json")


if __name__ == "__main__":
    main()
