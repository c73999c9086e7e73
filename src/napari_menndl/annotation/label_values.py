"""Conversion of other programs' label images to labels 0 … C, with a warning for whatever is guessed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_menndl.annotation.classes import MOST_CLASSES, DefectClass, as_classes, rename_classes
from napari_menndl.annotation.planes import as_frames
from napari_menndl.errors import InputError, frame_number

if TYPE_CHECKING:
    from collections.abc import Sequence

#: If at least this many values mark a single object each, they are object numbers, not classes.
LEAST_OBJECTS = 4
#: Values from here on are grey levels, such as 128 and 255; class numbers are smaller.
LEAST_GREY = 16
#: Next to class numbers this value mostly means unknown.
IGNORED = 255
#: A value is a mixture of two others if this fraction of its pixels lies between a lower and a higher value.
_MIXED = 0.7
#: With fewer pixels between a lower and a higher value, nothing can be concluded [px].
LEAST_MIXED = 8


@dataclass(frozen=True, eq=False)
class Understood:
    """Labels and classes obtained from an array of label values.

    Attributes
    ----------
    labels : (T, Y, X) uint8
        0 = no defect, c + 1 = class c.
    classes : tuple of DefectClass
    unknown : (T, Y, X) bool, or None
        Unknown pixels.
    background : str
        The value for "no defect", human-readable.
    """

    labels: npt.NDArray[np.uint8]
    classes: tuple[DefectClass, ...]
    unknown: npt.NDArray[np.bool_] | None
    background: str


@dataclass(eq=False)
class _Values:
    """Label values of an array, before their conversion to labels.

    Attributes
    ----------
    array : (T, Y, X) int or float
    seen : (T, Y, X) bool
        False for unknown pixels.
    colours : dict of int to str
        Colour of each value, for labels that are colours.
    """

    array: npt.NDArray[Any]
    seen: npt.NDArray[np.bool_]
    colours: dict[int, str]

    def __post_init__(self) -> None:
        #: The different values, ascending, and (T, Y, X) int: the index of each pixel's value among them.
        self.different, self.rank = _ranked(self.array)
        counts = sum(
            np.bincount(rank[seen], minlength=self.different.size)
            for rank, seen in zip(self.rank, self.seen, strict=True)
        )
        self.different_seen = self.different[counts > 0]

    def name(self, value: float) -> str:
        return self.colours.get(int(value), f"{value:g}")


def as_labels(
    array: npt.ArrayLike,
    classes: Sequence[DefectClass | str] | Mapping[str | int, str] | None = None,
    *,
    axes: str = "",
    one_class: bool = False,
    ignore: int | None = None,
    background: int | None = None,
) -> Understood:
    """Convert an array of label values to labels and classes.

    With `classes`, value c + 1 is class c; a single class accepts any single value (0/255 masks), and as many grey
    levels as there are classes are assigned in ascending order (0/128/255). Without, the different values, in ascending
    order, become the classes; they are named after their values unless there is only one. Other guesses are reported in
    a warning: numbered objects are one class, and the background may be a value other than 0.

    Parameters
    ----------
    array : (T, Y, X) or (Y, X) bool, int or float; with one more axis for one-hot planes, masks or colours
        0 is "no defect".
    classes : sequence of DefectClass or str, or mapping of str or int to str, optional
        A mapping names the values, which are then taken as classes, not as object numbers.
    axes : str
        As in `planes.as_frames`.
    one_class : bool
        Take everything except the background as one class; grey masks are thresholded halfway between their darkest
        and brightest value.
    ignore : int, optional
        The value of unknown pixels.
    background : int, optional
        The value of "no defect"; determined from the labels if omitted.

    Raises
    ------
    InputError
        An array that is no image or has no numbers, negative or fractional values, grey edges, more values than
        classes.
    """
    given = np.asarray(array)
    if given.dtype.kind not in "biuf":
        raise InputError(
            "label images of whole numbers",
            f"values of type {given.dtype}",
            "Save the labels as uint8, one number per class.",
        )
    frames, colours = as_frames(given.view(np.uint8) if given.dtype == bool else given, axes)
    by_value = classes if isinstance(classes, Mapping) else None
    named = None if classes is None or isinstance(classes, Mapping) else as_classes(classes)
    if one_class and named is not None and len(named) > 1:
        raise InputError("one class", f"one_class together with {len(named)} classes", "Give one of the two.")
    if frames.dtype.kind == "f" and not np.isfinite(frames).all():
        raise InputError("whole numbers as labels", "fractions or NaN", "Give labels (0, 1, 2, …) for all pixels.")
    values = _Values(frames, _seen(frames, ignore, colours), colours)
    by_name = named is not None and len(named) > 1 and values.different_seen[-1:].max(initial=0) <= len(named)
    if not by_name and _is_grey(values):
        values = _at_half(values, one_class)
    _check_numbers(values, background)
    zero = float(background) if background is not None else _find_background(values, by_name)
    objects = not by_name and not by_value and _are_objects(values, zero)
    different = values.different_seen[values.different_seen != zero]
    single = one_class or (named is not None and len(named) == 1)
    if objects and (single or different.size >= LEAST_OBJECTS):
        labels = _one_class_of_objects(values, zero, different, said=not one_class)
        named = named if single else None
    elif one_class:
        labels = (values.array != zero).astype(np.uint8)
    else:
        if objects and named is None:
            warnings.warn(
                f"Each of the labels {', '.join(map(values.name, different))} marks a single object; they are taken as "
                f"{different.size} classes. If these are numbers of objects, give one_class=True (--one-class).",
                stacklevel=3,
            )
        labels, named = _by_value(values, zero, different, named)
    labels[~values.seen] = 0
    unknown = None if values.seen.all() else ~values.seen
    named = named or as_classes(["defect"])
    if by_value:
        renamed = rename_classes([one.name for one in named], by_value, "the labels")
        named = as_classes([replace(one, name=renamed[one.name]) for one in named])
    return Understood(labels, named, unknown, values.name(zero))


def place_frames(labels: npt.NDArray[np.uint8], frames: Sequence[int] | None) -> tuple[npt.NDArray[np.uint8], set[int]]:
    """Put labelled frames at their positions in the movie.

    Parameters
    ----------
    labels : (T, Y, X) uint8
    frames : sequence of int or None
        The movie's labelled frames; None for all. Labels of exactly this number of frames contain only these, in this
        order; any other number is the whole movie, of which only these frames are taken.

    Returns
    -------
    labels : (T', Y, X) uint8
    done : set of int
        The labelled frames.

    Raises
    ------
    InputError
        `frames` that the labels do not have, or a repeated one.
    """
    if frames is None:
        return labels, set(range(len(labels)))
    wanted = [frame_number(t, 2**31, "Count frames from 0.") for t in frames]
    whole = len(wanted) != len(labels)
    if not wanted or min(wanted) < 0 or len(set(wanted)) < len(wanted) or (whole and max(wanted) >= len(labels)):
        raise InputError(
            f"frames of the {len(labels)} in the label array, each once", f"{wanted}", "Count frames from 0."
        )
    placed = np.zeros((len(labels) if whole else max(wanted) + 1, *labels.shape[1:]), np.uint8)
    placed[wanted] = labels[wanted] if whole else labels
    return placed, set(wanted)


def _ranked(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the different values of an array, ascending, and (T, Y, X) the index of each pixel's value among them."""
    low, high = (int(array.min()), int(array.max())) if array.dtype.kind in "ui" else (0, 2**16)
    if high - low >= 2**16:
        different, index = np.unique(array, return_inverse=True)
        return different, index.reshape(array.shape)
    # Without sorting, since a label movie may have a billion pixels.
    there = np.zeros(high - low + 1, bool)
    for frame in array:
        there[np.bincount(frame.ravel().astype(np.int64) - low, minlength=there.size) > 0] = True
    places = (np.cumsum(there) - 1).astype(np.uint8 if np.count_nonzero(there) < 2**8 else np.int32)
    rank = np.stack([places[frame.astype(np.int64) - low] for frame in array])
    return np.flatnonzero(there) + low, rank


def _seen(frames: npt.NDArray[Any], ignore: int | None, colours: dict[int, str]) -> npt.NDArray[np.bool_]:
    """(T, Y, X) bool: pixels without the ignored value; InputError for colours, a warning if no pixel has it."""
    if ignore is None:
        return np.ones(frames.shape, bool)
    if colours:
        raise InputError("label values, of which one is ignored", "colours", "Save the labels as one value per class.")
    seen: npt.NDArray[np.bool_] = frames != ignore
    if seen.all():
        warnings.warn(f"No pixel has the value {ignore} that is to be ignored.", stacklevel=4)
    return seen


def _check_numbers(values: _Values, background: int | None) -> None:
    """Raise InputError for fractions and negative numbers, other than the background."""
    different = values.different_seen
    different = different if background is None else different[different != background]
    if (different != np.rint(different)).any():
        raise InputError(
            "whole numbers as labels", "fractions", "Give labels (0, 1, 2, …), not probabilities or intensities."
        )
    if different.size and different[0] < 0:
        raise InputError(
            "labels from 0 up",
            f"the value {different[0]:g}",
            f"Use 0 for 'no defect' and 1, 2, … for the classes; or give background={different[0]:g} if that is 'no "
            f"defect', ignore={different[0]:g} if it is 'not looked at'.",
        )


# Grey levels ----------------------------------------------------------------------------------------------------------


def _is_grey(values: _Values) -> bool:
    """Whether at least half of the values between the lowest and the highest, or most of their pixels, are mixtures.

    This is so in a mask that was resampled by interpolation, smoothed or compressed as JPEG, and in an image of
    intensities.
    """
    different = values.different
    graded = values.colours or different[-1] >= LEAST_GREY or (different != np.rint(different)).any()
    if different.size < 3 or not graded:
        return False
    between = np.zeros(different.size, np.int64)
    pixels = np.zeros(different.size, np.int64)
    for frame, seen in zip(values.rank, values.seen, strict=True):
        mixed = (ndimage.minimum_filter(frame, 3) < frame) & (frame < ndimage.maximum_filter(frame, 3))
        between += np.bincount(frame[mixed & seen], minlength=different.size)
        pixels += np.bincount(frame[seen], minlength=different.size)
    inner = (pixels > 0) & (np.arange(different.size) > 0) & (np.arange(different.size) < different.size - 1)
    between, pixels = between[inner], pixels[inner]
    if between.sum() < LEAST_MIXED:
        return False
    mixtures = np.count_nonzero(between >= _MIXED * pixels)
    grey = mixtures >= pixels.size / 2
    grey |= pixels.size >= LEAST_GREY and between.sum() >= _MIXED * pixels.sum()
    # Consecutive numbers of one object each are object numbers, however closely the objects are packed.
    return bool(grey) and not (_consecutive(different) and _are_objects(values, 0))


def _consecutive(different: npt.NDArray[Any]) -> bool:
    return bool(different[-1] - different[0] == different.size - 1)


def _at_half(values: _Values, wanted: bool) -> _Values:
    """Threshold a grey mask halfway between its extremes; InputError unless `wanted`, or if it is no mask."""
    different = values.different
    low, high = float(different[0]), float(different[-1])
    margin = 0.1 * (high - low)
    extreme = np.mean((values.array <= low + margin) | (values.array >= high - margin))
    fractions = "fractions, " if (different != np.rint(different)).any() else ""
    if extreme <= 0.6 and not values.colours:
        raise InputError(
            "labels (0, 1, 2, …)",
            f"{fractions}{different.size} grey values from {low:g} to {high:g}, as in an image of intensities",
            "Give the label image, not the movie or probabilities.",
        )
    if values.colours or not wanted:
        what = "colours" if values.colours else f"values from {low:g} to {high:g}"
        remedy = "Resample labels with nearest neighbours and save them without loss, not as probabilities"
        cut = "; or give one_class=True (--one-class): what is at least half of the brightest is then a defect"
        raise InputError(
            "labels with sharp edges, one value per class",
            f"grey edges: {fractions}{different.size} {what}, most of them between two others at edges, as resampling "
            "with interpolation, smoothing or JPEG leaves them",
            f"{remedy}{'' if values.colours else cut}.",
        )
    half = (low + high) / 2
    warnings.warn(f"Grey values: what is at least {half:g} is taken as a defect.", stacklevel=4)
    return _Values((values.array >= half).astype(np.uint8), values.seen, {})


# The background -------------------------------------------------------------------------------------------------------


def _find_background(values: _Values, by_name: bool) -> float:
    """Return the value of "no defect": 0, unless it is missing or another covers most of the frame and its border.

    Frames with a single value are not considered. If the caller named a class for every value (`by_name`), it is 0.
    """
    size = values.different.size
    counts, border = np.zeros(size, np.int64), np.zeros(size, np.int64)
    edge = np.ones(values.array.shape[1:], bool)
    edge[1:-1, 1:-1] = False
    for rank, seen in zip(values.rank, values.seen, strict=True):
        here = np.bincount(rank[seen], minlength=size)
        if np.count_nonzero(here) > 1:
            counts += here
            border += np.bincount(rank[seen & edge], minlength=size)
    if not counts.any():
        return 0.0
    most = int(counts.argmax())
    value, share = float(values.different[most]), counts[most] / counts.sum()
    name, others = values.name(value), [values.name(v) for v in values.different_seen if v not in (value, 0)]
    zero = int(np.searchsorted(values.different, 0))
    has_zero = bool(values.different[zero] == 0 and counts[zero])
    covers = f"{name}, which covers {100 * share:.3g} % of the frame"
    covering = share > 0.5 and border[most] > 0.5 * border.sum()
    if value == 0 or (has_zero and not covering):
        return 0.0
    if by_name:
        if covering:
            warnings.warn(
                f"Label {covers} and most of its border, is taken as a class, as its number says. If it is the "
                f"background, give background={name} (--background {name}).",
                stacklevel=4,
            )
        return 0.0
    if has_zero:
        warnings.warn(
            f"The background seems to be marked (an inverted mask): {covers} and most of its border, is taken as the "
            f"background, and {values.name(0)} as a defect. If that is wrong, give background=0 "
            "(--background 0).",
            stacklevel=4,
        )
    else:
        program = " (ilastik counts from 1)" if value == 1 and not values.colours else ""
        warnings.warn(
            f"No pixel of the labels is 0: {covers}, is taken as the background{program}, and {', '.join(others)} as "
            "defects. If that is wrong, give background=VALUE (--background VALUE).",
            stacklevel=4,
        )
    return value


# Objects and classes --------------------------------------------------------------------------------------------------


def _are_objects(values: _Values, zero: float) -> bool:
    """Whether several values mark one connected object each, on each frame that has them."""
    from skimage.measure import label

    if np.count_nonzero(values.different_seen != zero) < 2:
        return False
    objects, numbers = 0, 0
    place = int(np.searchsorted(values.different, zero))
    absent = place >= values.different.size or values.different[place] != zero
    for rank, seen in zip(values.rank, values.seen, strict=True):
        marked = np.where(seen & ((rank != place) | absent), rank.astype(np.int32) + 1, 0)
        numbers += int(np.count_nonzero(np.unique(marked)))
        if numbers:
            objects += int(label(marked, connectivity=2, return_num=True)[1])
        if objects > 1.1 * values.different.size * len(values.rank):  # too many, whatever the other frames contain
            return False
    # Tolerates objects with a few separate stray pixels.
    return numbers <= objects <= 1.1 * numbers


def _one_class_of_objects(
    values: _Values, zero: float, different: npt.NDArray[Any], *, said: bool
) -> npt.NDArray[np.uint8]:
    """(T, Y, X) uint8: numbered objects as one class; touching objects are separated by a line of zeros."""
    marked = np.where((values.array != zero) & values.seen, values.rank.astype(np.int32) + 1, 0)
    # Where objects touch, the pixels of the lower number become 0.
    labels = ((marked > 0) & (marked == ndimage.maximum_filter(marked, (1, 3, 3)))).astype(np.uint8)
    numbers = sum(np.count_nonzero(np.unique(frame)) for frame in marked)
    objects = sum(int(ndimage.label(frame, np.ones((3, 3)))[1]) for frame in labels)
    kept = len(np.unique(marked[labels > 0]))
    if kept < 0.9 * different.size or not 0.9 * numbers <= objects <= 1.2 * numbers:
        raise InputError(
            f"at most {MOST_CLASSES} different labels, one per class, or objects that are apart",
            f"{different.size} different labels of one object each, of which {objects} could be told apart",
            "Number the kinds of defects, not the single objects; a mask (image > 0) makes one class of them.",
        )
    if said:
        warnings.warn(
            f"{different.size} labels, {objects} objects: single objects are numbered here, not classes. All are taken "
            "as one class. one_class=True (--one-class) says that this is right; otherwise name the classes.",
            stacklevel=4,
        )
    return labels


def with_ignored(different: npt.NDArray[Any]) -> bool:
    """Whether label values, ascending and without 0, consist of class numbers and 255."""
    return different.size > 1 and different[-1] == IGNORED and different[-2] < LEAST_GREY


def _by_value(
    values: _Values, zero: float, different: npt.NDArray[Any], named: tuple[DefectClass, ...] | None
) -> tuple[npt.NDArray[np.uint8], tuple[DefectClass, ...]]:
    """Return labels and classes, taking each value as a class."""
    if different.size > MOST_CLASSES:
        raise InputError(
            f"at most {MOST_CLASSES} different labels, one per class",
            f"{different.size} different labels",
            "Number the kinds of defects, not the single objects; a mask (image > 0) makes one class of them.",
        )
    if with_ignored(different) and not values.colours:
        warnings.warn(
            f"255 beside {', '.join(map(values.name, different[:-1]))} often means 'not looked at'; it is taken as a "
            "class. Give ignore=255 (--ignore 255) to leave these pixels out.",
            stacklevel=4,
        )
    ranks = np.zeros(values.different.size, np.uint8)
    ranks[np.isin(values.different, different)] = np.arange(1, different.size + 1)
    labels = ranks[values.rank]
    if named is None:
        if values.colours:
            colours = [values.name(v) for v in different]
            warnings.warn(f"Each colour is taken as a class: {', '.join(colours)}.", stacklevel=4)
            return labels, tuple(DefectClass(f"colour {c}", c) for c in colours) or as_classes(["defect"])
        names = ["defect"] if different.size <= 1 else [f"class {int(v)}" for v in different]
        return labels, as_classes(names)
    grey = bool(different.size) and (different[-1] >= LEAST_GREY or bool(values.colours))
    if (len(named) == 1 and different.size <= 1) or (different.size == len(named) and (grey or zero not in (0, 1))):
        return labels, named
    first = 2 if zero == 1 and not (values.different == 0).any() else 1  # ilastik counts from 1
    if different.size and (different[-1] >= len(named) + first or different[0] < first):
        raise InputError(
            f"labels 0 to {len(named)} for the classes {', '.join(c.name for c in named)}",
            f"the value {values.name(different[-1])}",
            "Name a class for every label, or correct the label image.",
        )
    return np.where(labels > 0, values.array - (first - 1), 0).astype(np.uint8), named
