"""Suggestion of regions to annotate next: those with most defects on which an ensemble's networks disagree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.special import entr

from napari_menndl.annotation.classes import Region
from napari_menndl.errors import InputError
from napari_menndl.metrics.components import label_components
from napari_menndl.movie.identity import few
from napari_menndl.movie.neighbours import read_frame
from napari_menndl.predict.ensemble import Ensemble
from napari_menndl.predict.prediction_spec import PredictionSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_menndl.annotation.annotation import Annotation
    from napari_menndl.movie.movie import Movie

#: Edge of a suggested region [px].
EDGE = 128
#: Most frames that are looked at by default, evenly spread over the movie.
LOOKED_AT = 20
#: Doubt [bit] from which a defect is called doubtful: that of a share of 1 or 19 in 20.
DOUBTFUL = 0.29


@dataclass(frozen=True)
class Suggestion:
    """A region whose annotation should teach much.

    Attributes
    ----------
    frame : int
    region : Region
        (y0, x0, y1, x1) [px].
    doubt : float [bit]
        Sum over the defects in it of the networks' disagreement: of each defect the entropy of the share of the
        networks that find it, 1 where half of them do, 0 where all do or none.
    doubtful : dict of str to int
        Number of defects of each class that are doubtful.
    defects : int
        Number of defects in the region that any network finds: what there is to be looked at.
    """

    frame: int
    region: Region
    doubt: float
    doubtful: dict[str, int]
    defects: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "frame": self.frame,
            "region": list(self.region),
            "doubt": round(self.doubt, 3),
            "doubtful": self.doubtful,
            "defects": self.defects,
        }


@dataclass(frozen=True, eq=False)
class _Found:
    """Defects that any network finds in a frame: places (n, 2) int [px], class numbers (n,), doubts (n,) [bit]."""

    places: NDArray[np.intp]
    classes: NDArray[np.intp]
    doubts: NDArray[np.float64]


def suggest_regions(
    network: Ensemble,
    movie: Movie,
    *,
    annotation: Annotation | None = None,
    frames: Sequence[int] | None = None,
    edge: int = EDGE,
    count: int = 5,
    progress: Callable[[int, int], None] | None = None,
) -> list[Suggestion]:
    """Suggest the regions whose annotation should teach a search most, the best first.

    Each network of the ensemble votes for the defects that it finds. Labels teach most where the votes are divided
    (query by committee, Seung et al., COLT 1992), which is counted by defect, not by pixel: networks also disagree
    about the outlines of defects of which all are sure.

    Parameters
    ----------
    network : Ensemble
        Such as `Run.best`.
    movie : Movie
        Prepared like the one it was trained on.
    annotation : Annotation, optional
        What it says already is not suggested again.
    frames : sequence of int, optional
        Frames to look at; by default `LOOKED_AT`, evenly spread.
    edge : int
        Edge of the square regions [px]; a region ends at the frame's.
    count : int
        Most regions to suggest. The same place is suggested in one frame only, as most defects stay where they are.
    progress : callable, optional
        Called with the number of frames looked at and the total.

    Returns
    -------
    list of Suggestion
        Fewer than `count`, or empty, if the networks agree elsewhere.

    Raises
    ------
    InputError
        For a single network, whose members cannot disagree, for frames that do not exist, and for what `Prediction`
        refuses.
    """
    if not isinstance(network, Ensemble) or len(network.members) < 2:
        raise InputError("an ensemble, whose networks can disagree", "one network", "Give the answer of a search.")
    if wrong := [t for t in frames or () if not 0 <= t < len(movie)]:
        raise InputError(f"frames from 0 to {len(movie) - 1}", f"{wrong}", "Choose among these.")
    if edge < 8 or count < 1:
        raise InputError("an edge of at least 8 px and a count of at least 1", f"{edge} and {count}", "Correct them.")
    PredictionSpec.of(network, movie)  # refuses what cannot be predicted
    chosen = few(range(len(movie)), LOOKED_AT) if frames is None else list(dict.fromkeys(frames))
    found = {}
    for done, t in enumerate(chosen, start=1):
        found[t] = _find_doubts(network, movie, t, annotation)
        if progress is not None:
            progress(done, len(chosen))
    suggestions: list[Suggestion] = []
    size = (min(edge, movie.shape[1]), min(edge, movie.shape[2]))
    while len(suggestions) < count:
        best = max(((*_best(one, movie.shape[1:], size), t) for t, one in found.items()), default=None)
        if best is None or best[0] <= 0:
            break
        _, region, t = best
        suggestions.append(_suggestion(t, region, found[t], network.class_names))
        found = {t: _without(one, region) for t, one in found.items()}
    return suggestions


def _find_doubts(network: Ensemble, movie: Movie, t: int, annotation: Annotation | None) -> _Found:
    """Return the defects that any network finds in a frame, where it is not annotated."""
    votes = network.votes(read_frame(movie, t, network.reach), movie.pixel_size)
    known = annotation.known(t) if annotation is not None and t < len(annotation) else None
    places, classes, doubts = [], [], []
    for c, share in enumerate(votes):
        components = label_components(share > 0, min_area=1)
        if not len(components):
            continue
        # The largest share in a defect: those of its outline differ even where all networks are sure of it.
        most = ndimage.maximum(share, components.labels, np.arange(1, len(components) + 1))
        inside = np.clip(np.asarray(most, np.float64), 0, 1)
        at = components.anchors()
        new = np.ones(len(at), bool) if known is None else ~known[at[:, 0], at[:, 1]]
        places.append(at[new])
        classes.append(np.full(np.count_nonzero(new), c))
        doubts.append(((entr(inside) + entr(1 - inside)) / np.log(2))[new])
    if not places:
        return _Found(np.zeros((0, 2), np.intp), np.zeros(0, np.intp), np.zeros(0))
    return _Found(np.concatenate(places), np.concatenate(classes), np.concatenate(doubts))


def _best(found: _Found, shape: tuple[int, ...], size: tuple[int, int]) -> tuple[float, Region]:
    """Return the region of a size with most doubt, and its doubt [bit]."""
    doubt = np.zeros((shape[0] + 1, shape[1] + 1))
    np.add.at(doubt, (found.places[:, 0] + 1, found.places[:, 1] + 1), found.doubts)
    sums = doubt.cumsum(0).cumsum(1)
    height, width = size
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    most = float(inside.max())
    # Of many equally good ones that in the middle, with its defects not at the edge.
    equal = np.argwhere(inside >= most - 1e-9)
    y, x = equal[np.argmin(((equal - equal.mean(0)) ** 2).sum(1))]
    return most, Region(int(y), int(x), int(y) + height, int(x) + width)


def _within(found: _Found, region: Region) -> NDArray[np.bool_]:
    y, x = found.places.T
    return np.asarray((y >= region.y0) & (y < region.y1) & (x >= region.x0) & (x < region.x1))


def _without(found: _Found, region: Region) -> _Found:
    left = ~_within(found, region)
    return _Found(found.places[left], found.classes[left], found.doubts[left])


def _suggestion(t: int, region: Region, found: _Found, names: Sequence[str]) -> Suggestion:
    inside = _within(found, region)
    doubtful = found.classes[inside & (found.doubts >= DOUBTFUL)]
    counts = {name: int(np.count_nonzero(doubtful == c)) for c, name in enumerate(names)}
    total = float(found.doubts[inside].sum())
    return Suggestion(t, region, total, {name: n for name, n in counts.items() if n}, int(np.count_nonzero(inside)))
