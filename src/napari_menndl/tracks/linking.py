"""Linking of the defects of a movie's frames to trajectories, with trackpy."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Share of the reach within which a defect of another class is the same defect, changed.
CHANGED_WITHIN = 0.35
#: Where many defects lie so close that linking takes too long, the reach is lowered there, down to this share of it.
_SMALLEST_REACH = 0.1
_STEP = 0.9


def link_defects(
    places: NDArray[np.float64], classes: NDArray[np.intp], order: NDArray[np.int64], reach: float, gap: int
) -> NDArray[np.int64]:
    """Link defects so that the sum of squared distances between frames is smallest (Crocker and Grier, 1996).

    Parameters
    ----------
    places : (n, 2) float [px]
        (y, x), drift removed.
    classes : (n,) int
        A defect that changed its class is the same one within `CHANGED_WITHIN` of the reach; nearer in cost are all of
        its own class within reach.
    order : (n,) int
        Position of the defect's frame among those looked at, so that a missing frame is no miss.
    reach : float [px]
    gap : int
        Frames in a row in which a defect may be missed.

    Returns
    -------
    (n,) int64
        Number of the trajectory, from 0 in order of appearance.

    Raises
    ------
    InputError
        If trackpy is not installed, or defects are too dense to be told apart.
    """
    if find_spec("trackpy") is None:
        raise InputError(
            "the package trackpy, which links defects to trajectories",
            "it missing",
            "Install napari-menndl[tracks]: pip install 'napari-menndl[tracks]'.",
        )
    if not len(places):
        return np.zeros(0, np.int64)
    import trackpy  # here: it imports matplotlib

    # A class is a further direction, in which different classes are so far apart that little is left of the reach.
    apart = np.sqrt((1 - CHANGED_WITHIN**2) / 2) * reach
    kinds = (classes[:, None] == np.unique(classes)[None]) * apart
    coordinates = np.hstack([places, kinds])
    rows = [np.flatnonzero(order == k) for k in range(int(order.max()) + 1)]
    numbers = np.full(len(places), -1, np.int64)
    log = logging.getLogger("trackpy")
    level = log.level
    log.setLevel(logging.WARNING)  # it reports every frame
    try:
        linked = trackpy.link_iter(
            (coordinates[here] for here in rows),
            reach,
            memory=gap,
            adaptive_stop=_SMALLEST_REACH * reach,
            adaptive_step=_STEP,
        )
        for here, (_, particles) in zip(rows, linked, strict=True):
            numbers[here] = particles
    except trackpy.SubnetOversizeException as error:
        raise InputError(
            "defects that lie farther apart than they move in a frame",
            f"too many within {reach:.3g} px of each other",
            "Give a smaller reach.",
        ) from error
    finally:
        log.setLevel(level)
    # In order of appearance, from 0.
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.lexsort((first, order[first]))] = np.arange(len(first))
    return np.asarray(rank[inverse], np.int64)
