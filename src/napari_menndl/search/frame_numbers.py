"""Frame numbers as a person writes them: ``"0, 5-8"``."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

from napari_menndl.annotation.classes import FrameStatus
from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari_menndl.annotation.annotation import Annotation

_PART = re.compile(r"(\d+)(?:\s*[-–…]\s*(\d+))?")


def parse_frames(text: str, frames: int) -> tuple[int, ...]:
    """Read ``"0, 5-8"``; in order, each once.

    Parameters
    ----------
    text : str
    frames : int
        Of the movie.

    Raises
    ------
    InputError
        For anything else, for nothing, and for frames beyond the movie's end.
    """
    found: set[int] = set()
    for part in filter(None, (one.strip() for one in re.split(r"[,;]", text))):
        match = _PART.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise InputError('frame numbers like "0, 5-8"', repr(part), "Write single frames or ranges with commas.")
        if last >= frames:
            raise InputError(f"frames among 0 … {frames - 1}", str(last), "Correct the frame numbers.")
        found.update(range(first, last + 1))
    if not found:
        raise InputError("at least one frame", "none", "Name one, as in 0.")
    return tuple(sorted(found))


def frames_text(frames: Iterable[int]) -> str:
    """Write what `parse_frames` reads, with runs of frames as ranges."""
    ordered = sorted(set(frames))
    groups = [[t for _, t in group] for _, group in groupby(enumerate(ordered), lambda pair: pair[1] - pair[0])]
    return ", ".join(str(one[0]) if len(one) == 1 else f"{one[0]}-{one[-1]}" for one in groups)


def nearest_frames(frames: Iterable[int], here: int) -> tuple[int, ...]:
    """Of some frames the one that is nearest to another, the earlier of two; none where there are none."""
    return tuple(sorted(frames, key=lambda t: (abs(t - here), t))[:1])


def finished_frames(annotation: Annotation) -> tuple[int, ...]:
    """The frames that can be learned from: complete, or annotated within regions."""
    regions = annotation.regions
    return tuple(
        frame
        for frame, status in enumerate(annotation.status)
        if status is FrameStatus.COMPLETE or (status is not FrameStatus.UNTOUCHED and regions.get(frame))
    )
