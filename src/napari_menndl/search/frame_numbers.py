"""Frame numbers as text: ``"0, 5-8"``."""

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
    """Read frame numbers such as ``"0, 5-8"``; sorted, without duplicates.

    Parameters
    ----------
    text : str
    frames : int
        Number of frames of the movie.

    Raises
    ------
    InputError
        For any other text, for an empty one, and for frames beyond the end of the movie.
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
    """Format frame numbers for `parse_frames`, with consecutive frames as ranges."""
    ordered = sorted(set(frames))
    groups = [[t for _, t in group] for _, group in groupby(enumerate(ordered), lambda pair: pair[1] - pair[0])]
    return ", ".join(str(one[0]) if len(one) == 1 else f"{one[0]}-{one[-1]}" for one in groups)


def nearest_frames(frames: Iterable[int], here: int) -> tuple[int, ...]:
    """Return the frame nearest to `here`, the earlier of two; empty if there are no frames."""
    return tuple(sorted(frames, key=lambda t: (abs(t - here), t))[:1])


def finished_frames(annotation: Annotation) -> tuple[int, ...]:
    """Return the frames that can be learned from: complete, or annotated within regions."""
    regions = annotation.regions
    return tuple(
        frame
        for frame, status in enumerate(annotation.status)
        if status is FrameStatus.COMPLETE or (status is not FrameStatus.UNTOUCHED and regions.get(frame))
    )
