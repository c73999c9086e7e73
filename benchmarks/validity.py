"""Whether predictions outside of a network's range are warned of, and none inside.

    python benchmarks/validity.py [--areas 101 102 103] [--networks FOLDER] [--again]

A founder is trained on frame 0 of a simulated movie (`founder.py`), and predicts its later frames and a fresh area. The
same fresh area is then recorded with other pixels, whose size is known or not, at other doses, in inverted contrast,
and as another material; the last is a square lattice that has no truth to be scored by. Each is to be *fine*, its F1 at
most `LOST` below that of the fresh area, or warned of or refused; the later frames and the fresh area are not to be
warned of. What the check does was chosen on the areas 3, 5, 7, 9, 12 and 0. A cell for each area is written to
``benchmarks/results/validity/`` and skipped when it is there. ``--networks`` keeps the networks in a folder.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

import dask.array as da
import numpy as np
from scipy import ndimage

from cells import read_cell, write_cell
from founder import founder_of_area
from judging import FRESH_SEED, SHAPE
from napari_menndl import Annotation, simulate_movie
from napari_menndl.errors import InputError
from napari_menndl.movie.movie import Movie
from napari_menndl.predict.ensemble import without_pixel_size
from napari_menndl.predict.prediction import Prediction
from napari_menndl.review import Review
from napari_menndl.simulation.sample import Sample
from napari_menndl.simulation.snr import acquisition_for_snr

if TYPE_CHECKING:
    from napari_menndl.predict.ensemble import Ensemble
    from napari_menndl.simulation.simulate import SimulatedMovie

AREAS, SNR = (101, 102, 103), 5.0
#: Frames of the fresh area, and later frames of the movie.
FRESH, LATER = 3, (4, 8, 11)
#: F1 below that of the fresh area up to which a prediction is fine.
LOST = 0.1
PIXELS, DOSES = (0.5, 0.7, 1.4, 2.0), (0.1, 0.3, 3.0, 10.0)
#: Lattice constants of other materials of the same structure [nm]: about those of BN and MoTe2.
MATERIALS = {"lattice 0.25 nm": 0.25, "lattice 0.352 nm": 0.352}
LATER_FRAMES, FRESH_AREA, SQUARE = "later frames", "fresh area", "square lattice"
INSIDE = (LATER_FRAMES, FRESH_AREA)


def simulate(
    area: int, frames: int, sample: Sample | None = None, pixels: float = 1.0, dose: float = 1.0
) -> SimulatedMovie:
    """Simulate an area, with pixels and dose relative to those trained on; the dose is that per area."""
    usual = acquisition_for_snr(SNR)
    acquisition = replace(usual, pixel_size=usual.pixel_size * pixels, dose=usual.dose * dose)
    shape = tuple(round(side / pixels) for side in SHAPE)
    return simulate_movie(frames, shape, sample=sample, acquisition=acquisition, area_seed=area)


def square_lattice(pixel_size: tuple[float, float], area: int) -> Movie:
    """Make a movie of bright columns on a square lattice of 0.39 nm, without defects."""
    rng = np.random.default_rng([area, 39])
    number = np.stack(np.meshgrid(*[np.arange(-60, 60)] * 2), -1).reshape(-1, 2)
    turn = rng.uniform(0, np.pi / 2)
    place = number * 0.39 / pixel_size[0] @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]] + SHAPE[0] / 2
    place = place[((place >= 0) & (place < np.array(SHAPE) - 1)).all(axis=1)].round().astype(int)
    frame = np.zeros(SHAPE)
    frame[tuple(place.T)] = 1
    frame = ndimage.gaussian_filter(frame, 2)
    frames = rng.poisson(60 * (frame / frame.max() + 0.05), (FRESH, *SHAPE)).astype(np.float32)
    return Movie(da.from_array(frames, chunks=(1, *SHAPE)), pixel_size, name=SQUARE)


def predicted(network: Ensemble, movie: Movie, truth: Annotation | None, frames: tuple[int, ...]) -> dict[str, Any]:
    """Predict frames; return the F1 of all defects, and what was said: warnings, or why it was refused."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", UserWarning)
        try:
            prediction = Prediction(network, movie)
            found = prediction.find_defects(frames)
            # The labels alone, so that they are judged by the truth's pixel size where the movie does not know its own.
            review = None if truth is None else Review.of(prediction.labels, truth, frames=frames).summary()
        except InputError as error:
            return {"F1": None, "refused": str(error)}
    texts = sorted({str(one.message) for one in said if "range" in str(one.message) or "unlike" in str(one.message)})
    f1 = None if review is None else review["scores"]["all"]["all"]["f1"] or 0.0
    return {"F1": f1 if f1 is None else round(f1, 3), "defects": len(found), "warned": texts}


def unknown(movie: Movie) -> Movie:
    """Return a movie of unknown pixel size."""
    return replace(movie, pixel_size=None)


def run_cell(area: int, networks: Path | None) -> dict[str, Any]:
    """Train, and predict everything."""
    network = founder_of_area(area, SNR, networks)
    blind = without_pixel_size(network)
    fresh, every = area + FRESH_SEED, tuple(range(FRESH))
    found: dict[str, Any] = {}

    def look(name: str, simulated: SimulatedMovie, frames: tuple[int, ...] = every, movie: Movie | None = None) -> None:
        truth = Annotation.from_simulation(simulated, frames=frames)
        shown = simulated.movie if movie is None else movie
        found[name] = predicted(network if shown.pixel_size else blind, shown, truth, frames)

    look(LATER_FRAMES, simulate(area, max(LATER) + 1), LATER)
    look(FRESH_AREA, own := simulate(fresh, FRESH))
    look("fresh area, pixel size unknown", own, movie=unknown(own.movie))
    for factor in PIXELS:
        other = simulate(fresh, FRESH, pixels=factor)
        look(f"pixels × {factor:g}", other)
        look(f"pixels × {factor:g}, unknown", other, movie=unknown(other.movie))
    for factor in DOSES:
        look(f"dose × {factor:g}", simulate(fresh, FRESH, dose=factor))
    look("inverted", own, movie=replace(own.movie, frames=65535 - own.movie.frames))
    for name, constant in MATERIALS.items():
        look(name, simulate(fresh, FRESH, Sample(lattice_constant=constant)))
    found[SQUARE] = predicted(network, square_lattice(own.movie.pixel_size, area), None, every)
    for one in found.values():
        told, least = bool(one.get("warned") or one.get("refused")), found[FRESH_AREA]["F1"] - LOST
        one["fine"] = one["F1"] is not None and one["F1"] >= least
        one["told"] = told
    # A network cannot know whether a pixel size is unknown.
    inside = (*INSIDE, "fresh area, pixel size unknown")
    return {
        "cases": found,
        "false alarms": [name for name in inside if found[name]["told"]],
        "unnoticed": [name for name, one in found.items() if not (one["fine"] or one["told"]) and name not in inside],
    }


def table(cells: dict[int, dict[str, Any]]) -> str:
    """Return a table in Markdown: F1 by area, with a star where it was warned of, and R where it was refused."""
    lines = [f"| | F1, area {' / '.join(map(str, cells))} | said in | fine in |", "|---|---|---|---|"]
    for name in next(iter(cells.values()))["cases"]:
        ones = [cell["cases"][name] for cell in cells.values()]
        scores = " / ".join("–" if one["F1"] is None else f"{one['F1']:.2f}" for one in ones)
        told, fine = (sum(one[key] for one in ones) for key in ("told", "fine"))
        lines.append(f"| {name} | {scores} | {told} of {len(ones)} | {fine} of {len(ones)} |")
    for key in ("false alarms", "unnoticed"):
        every = [f"{name} (area {area})" for area, cell in cells.items() for name in cell[key]]
        lines.append(f"\n{key}: {', '.join(every) or 'none'}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--areas", type=int, nargs="+", default=list(AREAS))
    parser.add_argument("--networks", type=Path, help="folder of trained networks")
    parser.add_argument("--again", action="store_true", help="measure even if there is a result")
    parser.add_argument("--nothing-kept", action="store_true", help="to choose settings on other areas")
    given = parser.parse_args()
    sys.argv[1:] = ["--areas", *map(str, given.areas)]  # what a cell tells: where networks lie is nobody's business
    cells = {}
    for area in given.areas:
        name = f"validity/area-{area}"
        cells[area] = None if given.again or given.nothing_kept else read_cell(name)
        if cells[area] is None:
            cells[area] = run_cell(area, given.networks)
            if not given.nothing_kept:
                write_cell(name, area, cells[area])
        print(area, {n: (one["F1"], one["told"]) for n, one in cells[area]["cases"].items()}, flush=True)
    print(table(cells))


if __name__ == "__main__":
    main()
