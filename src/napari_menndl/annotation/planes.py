"""Conversion of label images that consist of planes or colours to one label value per pixel."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.annotation.classes import MOST_CLASSES
from napari_menndl.errors import InputError
from napari_menndl.movie.axes import guess_axes

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Axes along which a pixel has several values, channels and colour samples; never time.
PLANE_AXES = "CS"
#: A last axis up to this length may hold one-hot planes: (Y, X, C).
_MOST_LAST = 64
#: Up to this number, planes along an unnamed axis may be masks; more are frames.
MOST_MASKS = 8


def as_frames(array: NDArray[Any], axes: str = "") -> tuple[NDArray[Any], dict[int, str]]:
    """Return one label value per pixel of an array that may hold one-hot planes, a mask per class, or colours.

    In one-hot planes each pixel is set, to 1 or 255, in exactly one plane. Named channels that are masks without a
    common pixel are one class each. Distinct colours are numbered from dark to bright, with 0 for black.

    Parameters
    ----------
    array : array of bool, int or float
    axes : str
        A letter per axis: T, C, S (colour samples), Y, X, any other for an axis of unknown meaning; guessed when empty.

    Returns
    -------
    values : (T, Y, X)
    colours : dict of int to str
        ``"#rrggbb"`` by value; empty if the labels are no colours.

    Raises
    ------
    InputError
        Channels that are neither one-hot nor disjoint masks, too many colours, too many axes.

    Warns
    -----
    UserWarning
        For unnamed planes that are taken as frames but may be masks of classes, and for one-hot planes and masks.
    """
    shape, unnamed = array.shape, not axes
    if axes and len(axes) != array.ndim:
        raise InputError(f"a letter for each axis of an array of shape {shape}", repr(axes), "Name all of them.")
    array, axes = _without_ones(array, axes)
    if array.ndim < 2 or array.size == 0 or "Y" not in axes or "X" not in axes:
        raise _no_frames(shape)
    named = [i for i, letter in enumerate(axes) if letter in PLANE_AXES]
    last = [array.ndim - 1] if array.shape[-1] <= min(_MOST_LAST, *array.shape[:-1]) else []
    others = [i for i, letter in enumerate(axes) if letter not in "YX"]
    for axis in dict.fromkeys(named or [*others, *last] if array.ndim > 2 else []):
        if _is_one_hot(array, axis):
            rest = axes[:axis] + axes[axis + 1 :]
            # If the last axis was guessed to be X, the axes before it are those of the frame.
            rest = rest if "Y" in rest and "X" in rest else ("TYX" if len(rest) == 3 else "YX")
            return _stacked(_classes_of_one_hot(np.moveaxis(array, axis, 0)), rest, shape), {}
    if not named:
        values = _stacked(array, axes, shape)
        if unnamed and 2 <= len(values) <= MOST_MASKS and _are_apart(values):
            warnings.warn(
                f"The {len(values)} planes of these labels are taken as frames, though no pixel is marked in two of "
                "them, as defects that stay would be. If each is the mask of a class, name the axes in "
                "Python, axes='CYX', or save them as channels.",
                stacklevel=4,
            )
        return values, {}
    if len(named) > 1:
        raise _no_frames(shape)
    axis = named[0]
    planes, rest = np.moveaxis(array, axis, 0), axes[:axis] + axes[axis + 1 :]
    if axis == array.ndim - 1 and len(planes) in (3, 4):
        colour = _without_opacity(planes)
        if (colour == colour[:1]).all():
            return _stacked(colour[0], rest, shape), {}
        if axes[axis] == "S" and (colour.max() > 1 or colour.dtype.kind == "f"):
            values, colours = _numbered_colours(colour)
            return _stacked(values, rest, shape), colours
    return _stacked(_classes_of_masks(planes, shape), rest, shape), {}


def _are_apart(planes: NDArray[Any]) -> bool:
    """Whether planes (N, Y, X) are disjoint masks: one value besides 0 in each, no pixel marked in two."""
    marked = planes != 0
    each = marked.sum(axis=(1, 2))
    one_value = all(np.ptp(plane[where]) == 0 for plane, where in zip(planes, marked, strict=True) if where.any())
    return bool(each.all() and one_value and (marked.sum(axis=0) <= 1).all())


def _without_ones(array: NDArray[Any], axes: str) -> tuple[NDArray[Any], str]:
    """Remove axes of length 1 other than Y and X, and guess the names of unnamed axes."""
    if not axes:
        while array.ndim > 3 and array.shape[0] == 1:
            array = array[0]
        while array.ndim > 2 and array.shape[-1] == 1 and array.shape[-2] > 1:
            array = array[..., 0]
        axes = guess_axes(array.shape)
    single = tuple(i for i, letter in enumerate(axes) if letter not in "YX" and array.shape[i] == 1)
    return array.squeeze(single), "".join(letter for i, letter in enumerate(axes) if i not in single)


def _stacked(values: NDArray[Any], axes: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return (T, Y, X) from an array with at most one axis besides Y and X, in any order."""
    if values.ndim not in (2, 3) or axes.count("Y") != 1 or axes.count("X") != 1:
        raise _no_frames(shape)
    time = [i for i, letter in enumerate(axes) if letter not in "YX"]
    values = values.transpose([*time, axes.index("Y"), axes.index("X")])
    return values if time else values[np.newaxis]


def _no_frames(shape: tuple[int, ...]) -> InputError:
    return InputError("labels of (T, Y, X) or (Y, X)", f"an array of shape {shape}", "Give one label image per frame.")


def _is_one_hot(array: NDArray[Any], axis: int) -> bool:
    """Whether each pixel is set, to the same value everywhere, in exactly one plane along an axis."""
    if array.shape[axis] < 2 or np.count_nonzero(array) * array.shape[axis] != array.size:
        return False
    top = array.max()
    marked = array == top
    return bool(top > 0 and (marked | (array == 0)).all() and (marked.sum(axis=axis) == 1).all())


def _classes_of_one_hot(planes: NDArray[Any]) -> NDArray[np.int64]:
    """Return class numbers of one-hot planes, 0 for the background: the plane that covers most pixels.

    Parameters
    ----------
    planes : (C, …)

    Raises
    ------
    InputError
        If that plane is neither the first nor the last and covers at most half of the frame.
    """
    shares = np.array([np.count_nonzero(plane) / plane.size for plane in planes])
    background = int(shares.argmax())
    if background not in (0, len(planes) - 1) and shares[background] <= 0.5:
        raise InputError(
            "one-hot planes of which the first, the last or the one that covers most of the frame is the background",
            ", ".join(f"plane {i}: {_percent(share)}" for i, share in enumerate(shares)),
            "Put the background first, or give labels: np.argmax(planes, axis=0) with 0 for the background.",
        )
    numbers = np.arange(1, len(planes) + 1)
    numbers[background:] -= 1
    numbers[background] = 0
    classes = [str(i) for i in range(len(planes)) if i != background]
    warnings.warn(
        f"These labels are one-hot planes: each pixel is set in exactly one of {len(planes)}. Plane {background}, "
        f"{_percent(shares[background])} of the frame, is taken as the background, and "
        f"{'plane' if len(classes) == 1 else 'planes'} {', '.join(classes)} (counted from 0) as the classes.",
        stacklevel=5,
    )
    taken: NDArray[np.int64] = numbers[planes.argmax(axis=0)]
    return taken


def _classes_of_masks(planes: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return class numbers of masks (C, …), one mask per class; InputError if they are not disjoint masks."""
    if planes.dtype.kind == "f" and np.allclose(planes.sum(axis=0), 1, atol=1e-3):
        raise InputError(
            "labels, one value per pixel",
            f"probabilities of {len(planes)} classes in channels, of shape {shape}",
            "Give the most likely class of each pixel: np.argmax(probabilities, axis=channels), 0 for the background.",
        )
    marked = planes > 0
    if any(plane[mark].min(initial=plane.max()) != plane.max() for plane, mark in zip(planes, marked, strict=True)):
        raise InputError(
            "one label value per pixel, or channels that are masks of one class each",
            f"an array of shape {shape} whose {len(planes)} channels hold several values",
            "Save the one channel with the labels; if the channels are frames, save them with the axes TYX, or give "
            "the array: Annotation.from_labels(array).",
        )
    for i in range(len(planes)):
        for j in range(i):
            if both := np.count_nonzero(marked[i] & marked[j]):
                raise InputError(
                    "channels that are masks of one class each, every pixel in at most one of them",
                    f"{both} pixels that are marked in channel {j} and in channel {i} (counted from 0)",
                    "Decide on one class for these pixels; if the channels are frames, save them with the axes TYX, or "
                    "give the array: Annotation.from_labels(array).",
                )
    warnings.warn(f"The {len(planes)} channels of these labels are taken as masks of one class each.", stacklevel=5)
    return np.where(marked.any(axis=0), marked.argmax(axis=0) + 1, 0)


def _without_opacity(samples: NDArray[Any]) -> NDArray[Any]:
    """Return red, green and blue of samples (3 or 4, …); transparent pixels are black unless all are transparent."""
    colour, opacity = samples[:3], samples[3:]
    if len(opacity) and (opacity == 0).any() and (opacity > 0).any():
        return np.where(opacity > 0, colour, 0)
    return colour


def _numbered_colours(colour: NDArray[Any]) -> tuple[NDArray[Any], dict[int, str]]:
    """Number the colours of an array (3, …) from dark to bright, with 0 for black."""
    if colour.dtype.kind == "f":
        scale = 255 if colour.max() <= 1 else 1
        colour = np.clip(np.rint(colour * scale), 0, 2**16 - 1)
    whole = colour.astype(np.int64)
    packed = (whole[0] << 32) | (whole[1] << 16) | whole[2]
    different, index = np.unique(packed, return_inverse=True)
    if different.size > MOST_CLASSES:
        raise InputError(
            "labels of few colours, one per class",
            f"{different.size} different colours",
            "A smoothed or JPEG-compressed picture mixes colours at edges: save the labels themselves, as one grey "
            "value per class.",
        )
    red, green, blue = different >> 32, (different >> 16) & 0xFFFF, different & 0xFFFF
    order = np.argsort(0.299 * red + 0.587 * green + 0.114 * blue, kind="stable")
    numbers = np.empty(different.size, np.int64)
    numbers[order] = np.arange(different.size) + (0 if different[0] == 0 else 1)
    high = 8 if whole.max() > 255 else 0
    words = {
        int(n): f"#{r >> high:02x}{g >> high:02x}{b >> high:02x}"
        for n, r, g, b in zip(numbers, red, green, blue, strict=True)
    }
    return numbers[index].reshape(packed.shape), words


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
