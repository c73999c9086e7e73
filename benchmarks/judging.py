"""Labelled frames to learn from, frames to be tested on, and how a method of several classes does on these.

A test frame belongs to a scope: ``later`` frames of the movie whose frame 0 is labelled, frames of a ``fresh`` area, or
``others``, real images of the same material. Later frames are counted a second time for their defects ``born`` since
the labelled frame; false finds are then all of the frame's, as in a review.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl import Annotation, DefectClass, open_movie, simulate_movie
from napari_menndl.metrics.components import Components, label_components
from napari_menndl.metrics.detection import count_defects
from napari_menndl.metrics.ranking import average_precision, choose_thresholds
from napari_menndl.metrics.scores import Counts
from napari_menndl.movie.neighbours import with_neighbours
from napari_menndl.review.new_defects import NewDefectsFromEvents
from napari_menndl.task.task import TrainingTask
from protocol import RADIUS, TOLERANCE, as_components, load_images

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_menndl import Movie
    from napari_menndl.metrics.detection import MatchRule

#: Frames of the movie that are tested on, counted from 0, the labelled one; frames of the fresh area, and its seed
#: beside the movie's.
LATER, FRESH, FRESH_SEED = (4, 8, 11), 3, 1000
SHAPE = (256, 256)


@dataclass(frozen=True)
class TestFrame:
    """One frame of the truth.

    Attributes
    ----------
    scope : str
    frame : (Y, X) float32
        Raw.
    planes : (5, Y, X) or (Y, X) float32
        Raw, the frame with its neighbours in the movie (`movie.neighbours.with_neighbours`), where it has any.
    true : C Components
    shares : C float
        Of the pixels, that belong to a defect of the class.
    born : C (m,) bool, or None
        Which defects were born after the labelled frame.
    """

    scope: str
    planes: NDArray[np.float32]
    true: tuple[Components, ...]
    shares: tuple[float, ...]
    born: tuple[NDArray[np.bool_], ...] | None = None

    @property
    def frame(self) -> NDArray[np.float32]:
        """(Y, X) float32: by itself."""
        return self.planes if self.planes.ndim == 2 else self.planes[0]


@dataclass(frozen=True)
class Problem:
    """What a method is given, frame 0 of a movie with its labels, and what it is tested on."""

    movie: Movie
    annotation: Annotation
    task: TrainingTask
    tests: tuple[TestFrame, ...]


def simulated_problem(
    snr: float, area: int, later: Sequence[int] = LATER, fresh: int = FRESH, shape: tuple[int, int] = SHAPE
) -> Problem:
    """Simulated WS2, frame 0 labelled."""
    simulated = simulate_movie(max(later) + 1, shape, snr=snr, area_seed=area)
    annotation = Annotation.from_simulation(simulated, frames=[0])
    births = NewDefectsFromEvents(simulated.events, simulated.class_names, 0)
    classes = range(len(simulated.class_names))
    tests = []
    for scope, movie, frames in (
        ("later", simulated, later),
        ("fresh", simulate_movie(fresh, shape, snr=snr, area_seed=area + FRESH_SEED), range(fresh)),
    ):
        for t in frames:
            labels = np.asarray(movie.labels[t])
            true = tuple(label_components(labels == c + 1, 1) for c in classes)
            shares = tuple(float(np.mean(labels == c + 1)) for c in classes)
            born = tuple(births.born(t, true)) if scope == "later" else None
            tests.append(TestFrame(scope, with_neighbours(movie.movie, t), true, shares, born))
    task = TrainingTask.from_movie(simulated.movie, annotation)
    return Problem(simulated.movie, annotation, task, tuple(tests))


def real_problem(folder: Path, row: int) -> Problem:
    """One image of `pt_on_nc` labelled, by its row in pairs.csv; tested on the other images."""
    images = load_images(folder)
    atom = DefectClass("Pt atom", tolerance=TOLERANCE)
    one = images[row]
    annotation = Annotation.from_points(one.points, one.frame.shape, RADIUS, classes=[atom])
    movie = open_movie(one.frame)
    tests = tuple(
        TestFrame("others", other.frame, (as_components(other),), (float(other.truth.mean()),))
        for number, other in enumerate(images)
        if number != row
    )
    return Problem(movie, annotation, TrainingTask.from_movie(movie, annotation), tests)


def judge(
    respond: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    thresholds: Sequence[float],
    tests: Sequence[TestFrame],
    names: Sequence[str],
    match_rules: Sequence[MatchRule],
    reach: int = 0,
) -> dict[str, Any]:
    """Test a method.

    Parameters
    ----------
    respond : callable
        Raw frame (Y, X), or with a `reach` (5, Y, X), its neighbours behind it, to response (C, Y, X), higher = more
        defect-like.
    thresholds : C float
        The method's own.
    tests : sequence of TestFrame
    names : C str
    match_rules : C MatchRule
    reach : int
        Neighbours on each side that the method looks at.

    Returns
    -------
    dict
        By scope: ``frames``, for each frame and class [tp, fp, fn] at the method's own threshold, and ``classes``: for
        each class that occurs its ``counts``, ``f1``, ``average_precision``, and ``best_f1`` at ``best_threshold``,
        which only the truth can tell.
    """
    responses = [np.asarray(respond(test.planes if reach else test.frame), np.float32) for test in tests]
    scopes = dict.fromkeys(test.scope for test in tests)
    result = {}
    for scope in [*scopes, *(["born"] if any(test.born for test in tests) else [])]:
        chosen = [
            (response, test)
            for response, test in zip(responses, tests, strict=True)
            if test.scope == scope or (scope == "born" and test.born)
        ]
        frames = np.zeros((len(chosen), len(names), 3), int)
        classes = {}
        for c, (name, match_rule) in enumerate(zip(names, match_rules, strict=True)):
            # The sweep is for average precision and the best threshold, two scores; nothing is chosen by it.
            sweep = choose_thresholds((r[c] for r, _ in chosen), float(np.mean([t.shares[c] for _, t in chosen])))
            pooled = [Counts()] * (1 + len(sweep))
            for number, (response, test) in enumerate(chosen):
                everywhere = np.ones(test.frame.shape, bool)
                among = test.born[c] if scope == "born" and test.born else None
                counts = count_defects(
                    response[c], test.true[c], everywhere, match_rule, [thresholds[c], *sweep], among
                )
                frames[number, c] = counts[0].tp, counts[0].fp, counts[0].fn
                pooled = [a + b for a, b in zip(pooled, counts, strict=True)]
            own = pooled[0]
            if own.tp + own.fn:
                f1 = [one.f1 for one in pooled[1:]]
                best = int(np.argmax(f1)) if f1 else None
                classes[name] = {
                    "counts": [own.tp, own.fp, own.fn],
                    "f1": own.f1,
                    "average_precision": average_precision(pooled[1:]),
                    "best_f1": 0.0 if best is None else f1[best],
                    "best_threshold": None if best is None else float(sweep[best]),
                }
        result[scope] = {"frames": frames.tolist(), "classes": classes}
    return result


def mean_score(scope: dict[str, Any], key: str = "f1") -> float:
    """Mean over the classes that occur."""
    return float(np.mean([one[key] for one in scope["classes"].values()]))


def bootstrap_interval(
    counts: Sequence[NDArray[np.integer]],
    others: Sequence[NDArray[np.integer]] | None = None,
    *,
    rng: np.random.Generator,
    samples: int = 10_000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Interval of the mean F1 over areas, or of its paired difference to another method, over areas and frames.

    Areas are drawn with replacement, then the frames of each, the same for both methods (percentile bootstrap of two
    levels; Davison & Hinkley 1997, section 3.8). F1 is that of counts pooled over frames, averaged over the classes
    that occur.

    Parameters
    ----------
    counts, others : one (N, C, 3) int per area
        tp, fp, fn per frame and class. `others` is subtracted.
    rng : numpy.random.Generator

    Returns
    -------
    low, high : float
    """
    total = np.zeros(samples)
    for _ in counts:
        drawn = rng.integers(len(counts), size=samples)
        for area, mine in enumerate(counts):
            there = np.flatnonzero(drawn == area)
            n = len(mine)
            weights = rng.multinomial(n, np.full(n, 1 / n), size=len(there))
            total[there] += _mean_f1(weights, mine)
            if others is not None:
                total[there] -= _mean_f1(weights, others[area])
    low, high = np.quantile(total / len(counts), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _mean_f1(weights: NDArray[np.integer], counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """(S,) of frame weights (S, N) and counts (N, C, 3)."""
    tp, fp, fn = np.moveaxis(np.einsum("sn,nck->sck", weights, np.asarray(counts)), -1, 0)
    occurs = tp + fn > 0
    f1 = 2 * tp / np.maximum(2 * tp + fp + fn, 1)
    return (f1 * occurs).sum(axis=1) / np.maximum(occurs.sum(axis=1), 1)
