"""Detection of the defects that were born after the labelled frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import KDTree

from napari_menndl.metrics.components import label_components
from napari_menndl.review.compare import NOT_COMPARED

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_menndl.metrics.components import Components
    from napari_menndl.metrics.detection import MatchRule
    from napari_menndl.review.compare import Comparison


class NewDefects:
    """Detection of defects born after the labelled frames; frames must be passed in order.

    A defect is old if it is the same as one of its class in a labelled frame, or as an old one in the frame passed
    before. Point defects are the same if their centres are within the tolerance; extended ones if they overlap.
    Following a defect from frame to frame lets it drift with the sample, by up to the tolerance per frame.

    Parameters
    ----------
    match_rules : C MatchRule
    labelled : sequence of C Components
        The defects of each class in each labelled frame.
    """

    def __init__(self, match_rules: Sequence[MatchRule], labelled: Sequence[Sequence[Components]]) -> None:
        self._detectors = match_rules
        self._labelled = labelled
        self._previous: list[tuple[Components, NDArray[np.bool_]]] = []

    @classmethod
    def after(cls, comparison: Comparison, labelled: Sequence[NDArray[np.uint8]]) -> NewDefects:
        """Begin with the true labels (Y, X) of the labelled frames, in the classes of a comparison."""
        numbers = range(1, len(comparison.names) + 1)
        there = [[label_components(labels == c, 1) for c in numbers] for labels in labelled]
        return cls([rule or NOT_COMPARED for rule in comparison.rules], there)

    def born(self, frame: int, true: Sequence[Components]) -> list[NDArray[np.bool_]]:
        """Return which of a later frame's defects are new, for each class (m,) bool."""
        old = []
        for c, (components, match_rule) in enumerate(zip(true, self._detectors, strict=True)):
            there = np.zeros(len(components), dtype=bool)
            for labelled in self._labelled:
                there |= _same(components, labelled[c], np.ones(len(labelled[c]), dtype=bool), match_rule)
            if self._previous:
                there |= _same(components, *self._previous[c], match_rule)
            old.append(there)
        self._previous = list(zip(true, old, strict=True))
        return [~there for there in old]


class NewDefectsFromEvents:
    """Detection of new defects as in `NewDefects`, from the event table of a simulated movie.

    The position of a defect in a frame is that of its latest event up to then.

    Parameters
    ----------
    events : DataFrame
        Columns defect, frame, class, y, x [px], event, and born, the frame of a defect's birth; without born, that of
        its first event.
    class_names : C str
    labelled : int
        The last labelled frame; defects born after it are new.
    """

    def __init__(self, events: pd.DataFrame, class_names: Sequence[str], labelled: int) -> None:
        birth = events["born"] if "born" in events else events.groupby("defect")["frame"].transform("min")
        self._events = events.assign(new=birth > labelled).sort_values("frame", kind="stable")
        self._names = class_names

    def born(self, frame: int, true: Sequence[Components]) -> list[NDArray[np.bool_]]:
        """Return which of a frame's defects are new, for each class (m,) bool."""
        now = self._events[self._events["frame"] <= frame].groupby("defect").tail(1)
        born = []
        for components, name in zip(true, self._names, strict=True):
            there = now[(now["class"] == name) & (now["event"] != "vanished")]
            new = np.zeros(len(components), dtype=bool)
            if len(there) and len(components):
                distance, nearest = KDTree(there[["y", "x"]].to_numpy(float)).query(components.centres)
                # A defect further away than twice the radius is another one: the centre of this one is outside the
                # frame.
                new = there["new"].to_numpy(bool)[nearest] & (distance <= 2 * np.sqrt(components.areas / np.pi))
            born.append(new)
        return born


def _same(
    components: Components, others: Components, chosen: NDArray[np.bool_], match_rule: MatchRule
) -> NDArray[np.bool_]:
    """Return which components are the same defect as one of the chosen others, (m,) bool."""
    if match_rule.extended:
        covered = np.concatenate([[False], chosen])[others.labels]
        touched = np.unique(components.labels[covered])
        return np.asarray(np.isin(np.arange(1, len(components) + 1), touched), dtype=bool)
    if not chosen.any() or not len(components):
        return np.zeros(len(components), dtype=bool)
    distance, _ = KDTree(others.centres[chosen]).query(components.centres)
    return np.asarray(distance <= match_rule.tolerance, dtype=bool)
