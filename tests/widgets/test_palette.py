"""Colours of predicted classes: each its own, that of the annotation, and never one of a review's outcomes."""

import math

import numpy as np
import pytest
from napari.layers import Labels

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import COLOURS, DefectClass
from napari_menndl.review.outcomes import PALETTES
from napari_menndl.widgets.layers import annotation_layer
from napari_menndl.widgets.review.palette import APART, class_colours

NAMES = ("Mo substitution", "S vacancy", "S2 vacancy", "W vacancy", "hole", "grain boundary", "adatom")


def layer(colours):
    classes = [DefectClass(name, colour) for name, colour in zip(NAMES, colours, strict=False)]
    data, about, _ = annotation_layer(Annotation(np.zeros((1, 4, 4), np.uint8), classes, ["complete"]))
    return Labels(data, **about)


@pytest.mark.parametrize("palette", ["", *PALETTES])
@pytest.mark.parametrize("annotation", [None, layer(COLOURS), layer(["#ff8c00", "#b14bff", "#ffffff"])])
def test_classes_differ_in_colour_and_no_colour_is_that_of_an_outcome(annotation, palette):
    colours = class_colours(NAMES, annotation, palette)
    assert list(colours) == list(NAMES)
    assert len(set(colours.values())) == len(NAMES)
    apart = [math.dist(rgb(one), rgb(other)) for one in colours.values() for other in PALETTES.get(palette, ())]
    assert min(apart, default=APART) >= APART


def test_class_keeps_the_colour_in_which_it_was_annotated():
    given = ["#123456", "#56b4e9"]
    assert list(class_colours(NAMES[:2], layer(given), next(iter(PALETTES))).values()) == given
    assert given[0] not in class_colours(("unknown",), layer(given)).values()


def rgb(colour):
    return tuple(bytes.fromhex(colour[1:]))
