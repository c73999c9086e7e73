"""Tiled inference: a whole frame is predicted in overlapping windows without seams.

A window's output equals that of the undivided frame for two reasons. Every window starts at a multiple of the network's
total stride, so that its pooling grid is that of the frame. And every window extends beyond its kept part by at least
the receptive radius, so that no kept pixel depends on the window's edge; at the frame's edge both end alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_menndl.network.merged import MergedNetwork

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import nn

#: A rectangle of a frame, along y and x [px].
Part = tuple[slice, slice]
#: Edge of a window [px]: typical camera frames fit in one window, and larger ones do not exhaust the memory.
WINDOW = 1024
#: Size of the largest tensors on a CPU [byte]: glibc returns larger allocations to the system at once, and mapping
#: their pages again takes as long as the computation.
_KEPT = 2**25
#: Smallest ratio of window width to overlap, which limits the discarded work.
_OVERLAPS = 10


@dataclass(frozen=True)
class Window:
    """A part of a frame to read, and the part of its output to keep.

    Attributes
    ----------
    read, keep : (slice, slice)
        Along y and x of the frame [px]; `keep` lies inside `read`.
    """

    read: tuple[slice, slice]
    keep: tuple[slice, slice]

    @property
    def inner(self) -> tuple[slice, slice]:
        """`keep` in coordinates of `read`."""
        y, x = (slice(k.start - r.start, k.stop - r.start) for r, k in zip(self.read, self.keep, strict=True))
        return y, x

    @property
    def pixels(self) -> int:
        """Number of pixels that pass through the network."""
        return (self.read[0].stop - self.read[0].start) * (self.read[1].stop - self.read[1].start)


def fitting_window(widest: float, overlap: int, device: torch.device) -> int:
    """Return the edge of the windows [px] in which a network predicts a large frame fastest.

    Parameters
    ----------
    widest : float
        Largest number of values that the network holds at a time per pixel.
    overlap : int
        The network's receptive radius, rounded up to its total stride [px].
    device : torch.device
    """
    if device.type != "cpu":
        return WINDOW
    return min(WINDOW, max(math.isqrt(int(_KEPT / (4 * widest))), _OVERLAPS * overlap))


def cut_windows(
    shape: tuple[int, int], stride: int, radius: int, size: int = WINDOW, where: np.ndarray | None = None
) -> Iterator[Window]:
    """Yield windows whose kept parts cover a frame exactly once.

    Parameters
    ----------
    shape : (Y, X)
        Shape of the frame [px].
    stride, radius : int
        Total stride and receptive radius of the network [px].
    size : int
        Edge of a window [px]; enlarged if stride and radius require it.
    where : (Y, X) bool, optional
        Pixels that must be covered; by default all.
    """
    overlap = round_up(radius, stride)
    # With a kept part narrower than the overlap, most of the work would be discarded.
    core = max(round_up(size - 2 * overlap, stride), round_up(size // 4, stride), stride)
    if max(shape) <= size:
        core = round_up(max(shape), stride)
    # As few windows as needed, of equal size.
    down, across = (round_up(-(-length // -(-length // core)), stride) for length in shape)
    for top in range(0, shape[0], down):
        for left in range(0, shape[1], across):
            keep = (slice(top, min(top + down, shape[0])), slice(left, min(left + across, shape[1])))
            if where is not None:
                needed = np.argwhere(where[keep])
                if not len(needed):
                    continue
                low, high = needed.min(0) // stride * stride, needed.max(0) + 1
                keep = (slice(top + low[0], top + high[0]), slice(left + low[1], left + high[1]))
            yield window_around(keep, shape, stride, radius)


def window_around(keep: Part, shape: tuple[int, int], stride: int, radius: int) -> Window:
    """Return the window that must be read to predict a part of a frame (Y, X)."""
    overlap = round_up(radius, stride)
    y, x = (
        slice(max(0, part.start // stride * stride - overlap), min(length, round_up(part.stop, stride) + overlap))
        for part, length in zip(keep, shape, strict=True)
    )
    return Window((y, x), keep)


def cut_parts(shape: tuple[int, int], centre: tuple[float, float], size: int) -> list[Part]:
    """Cut a frame (Y, X) into parts of an edge [px]; those closest to a centre (y, x) [px] come first."""
    parts = [
        (slice(top, min(top + size, shape[0])), slice(left, min(left + size, shape[1])))
        for top in range(0, shape[0], size)
        for left in range(0, shape[1], size)
    ]
    return sorted(parts, key=lambda part: _distance(part, centre))


def _distance(part: Part, place: tuple[float, float]) -> float:
    return sum(((one.start + one.stop) / 2 - at) ** 2 for one, at in zip(part, place, strict=True))


def predict_tiled(
    network: nn.Module,
    frame: np.ndarray,
    *,
    stride: int,
    radius: int,
    size: int = WINDOW,
    where: np.ndarray | None = None,
    logits: bool = False,
) -> np.ndarray:
    """Predict the probabilities of a frame, on the network's device.

    Parameters
    ----------
    network : torch.nn.Module
        In evaluation mode; maps ``(1, K, Y, X)`` to logits ``(1, C, Y, X)``.
    frame : (K, Y, X) or, of one channel, (Y, X) float32
        Input channels, as in training.
    stride, radius, size, where
        See `cut_windows`.
    logits : bool
        Whether to return logits.

    Returns
    -------
    (C, Y, X) float32
        0 outside the windows that cover `where`.
    """
    result: np.ndarray | None = None
    windows = cut_windows((frame.shape[-2], frame.shape[-1]), stride, radius, size, where)
    for part, said in predict_windows(network, frame, windows, logits):
        if result is None:
            result = np.zeros((len(said), *frame.shape[-2:]), np.float32)
        result[:, *part] = said
    if result is None:
        raise ValueError("No pixel to predict.")
    return result


def predict_windows(
    network: nn.Module, frame: np.ndarray, windows: Iterable[Window], logits: bool = False
) -> Iterator[tuple[Part, np.ndarray]]:
    """Predict window by window; yield each kept part with its probabilities, or logits, (C, y, x) float32."""
    for window in windows:
        yield window.keep, _predict_window(network, frame, window, logits)


def predict_parts(
    network: nn.Module, frame: np.ndarray, parts: Iterable[Part], *, stride: int, radius: int
) -> Iterator[np.ndarray]:
    """Predict parts of a frame lazily; yield the probabilities (C, y, x) float32 of each."""
    shape = (frame.shape[-2], frame.shape[-1])
    for _, said in predict_windows(network, frame, (window_around(part, shape, stride, radius) for part in parts)):
        yield said


@torch.inference_mode()
def _predict_window(network: nn.Module, frame: np.ndarray, window: Window, as_logits: bool) -> np.ndarray:
    device = next(network.parameters()).device
    channels = frame if frame.ndim == 3 else frame[None]
    part = torch.from_numpy(np.ascontiguousarray(channels[:, *window.read], np.float32))[None].to(device)
    part = part.contiguous(memory_format=torch.channels_last)
    if isinstance(network, MergedNetwork):
        logits = network(part, window.inner)[0]
    else:
        logits = network(part)[0, :, *window.inner]
    logits = logits.float().contiguous()
    kept: np.ndarray = (logits if as_logits else logits.sigmoid()).cpu().numpy()
    return kept


def round_up(length: int, stride: int) -> int:
    """Return the smallest multiple of `stride` that is at least `length`."""
    return -(-length // stride) * stride
