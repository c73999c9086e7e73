"""Points in nm never pass for pixels: they are converted, asked about or warned of."""

import warnings

import numpy as np
import pandas as pd
import pytest

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.clicks.text import PointsWarning
from napari_menndl.errors import InputError

SHAPE, PIXEL = (3, 96, 128), (0.025, 0.025)
#: Defects all over a frame (y, x) [px].
PLACES = np.array([(y, x) for y in range(8, 96, 16) for x in range(8, 128, 30)], float)


def csv(folder, header, places, digits=4):
    """A table of x, y."""
    rows = [f"{x:.{digits}f},{y:.{digits}f}" for y, x in places]
    (folder / "p.csv").write_text("\n".join([header, *rows, ""]))
    return folder / "p.csv"


def found(annotation):
    return sorted(map(tuple, annotation.to_points(0)[["y", "x"]].to_numpy(float)))


def expected():
    return [pytest.approx(place) for place in sorted(map(tuple, PLACES))]


@pytest.mark.parametrize(
    ("header", "per_pixel"),
    [
        ("X (nm),Y (nm)", 0.025),
        ("x [nm],y [nm]", 0.025),
        ("Centroid X µm,Centroid Y µm", 0.025e-3),
        ("x_um,y_um", 0.025e-3),
        ("X [Å],Y [Å]", 0.25),
        ("x_pm,y_pm", 25),
        ("x (px),y (px)", 1),
        ("POSITION_X,POSITION_Y\nX,Y\nX,Y\n(micron),(micron)", 0.025e-3),
        ("x,y\nnm,nm", 0.025),
    ],
)
def test_a_unit_in_the_table_is_used(tmp_path, header, per_pixel):
    path = csv(tmp_path, header, PLACES * per_pixel, digits=9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        annotation = Annotation.from_points(path, SHAPE, 2.9, pixel_size=PIXEL)
    assert found(annotation) == expected()


@pytest.mark.parametrize("unit", ["nm", "µm", "px"])
def test_a_unit_that_is_given_is_used(unit):
    per_pixel = {"nm": 0.025, "µm": 0.025e-3, "px": 1}[unit]
    assert found(Annotation.from_points(PLACES * per_pixel, SHAPE, 2.9, pixel_size=PIXEL, unit=unit)) == expected()


def test_pixels_that_are_not_square_are_converted_along_each_axis():
    size = (0.02, 0.03)
    assert found(Annotation.from_points(PLACES * size, SHAPE, 2.9, pixel_size=size, unit="nm")) == expected()


@pytest.mark.parametrize(
    ("places", "options", "words"),
    [
        (PLACES * 0.025, {"pixel_size": PIXEL}, "size in nm"),
        (PLACES * 0.025e-3, {"pixel_size": PIXEL}, "size in nm"),
        (PLACES * 0.25, {"pixel_size": PIXEL}, "size in Å"),
        (PLACES * 0.5, {"pixel_size": (0.5, 0.5)}, "size in nm"),
        (PLACES[:3] * 0.025, {"pixel_size": PIXEL}, "size in nm"),
        (PLACES * 0.025, {}, "unit"),
        (PLACES * 2.5, {"pixel_size": (2.5, 2.5)}, "fit the frame in nm"),
        (PLACES * 0.025, {"unit": "nm"}, "the movie's pixel size"),
        (PLACES, {"unit": "apples"}, "a unit of points"),
    ],
)
def test_a_unit_in_doubt_is_asked_for(places, options, words):
    with pytest.raises(InputError, match=words):
        Annotation.from_points(places, SHAPE, 3, **options)
    with pytest.raises(InputError, match=words):
        Annotation.from_points(pd.DataFrame(places, columns=["Y", "X"]), SHAPE, 3, **options)


def test_a_unit_against_that_of_the_table_is_refused(tmp_path):
    with pytest.raises(InputError, match="points in nm"):
        Annotation.from_points(csv(tmp_path, "x [nm],y [nm]", PLACES), SHAPE, 3, pixel_size=PIXEL, unit="px")


@pytest.mark.parametrize(("places", "size"), [(PLACES[:1] * 0.05, (0.05, 0.05)), (PLACES * 0.25, None)])
def test_points_that_may_be_either_are_warned_of(places, size):
    with pytest.warns(PointsWarning, match="unit"):
        Annotation.from_points(places, SHAPE, 2, pixel_size=size)


@pytest.mark.parametrize(
    ("places", "size"),
    [
        (PLACES, PIXEL),
        (PLACES, (0.8, 0.8)),
        (PLACES, (2.0, 2.0)),
        (PLACES, None),
        (PLACES[:1], PIXEL),
        (PLACES[:4] / 3, None),
        (np.zeros((0, 2)), PIXEL),
    ],
)
def test_plain_pixels_need_no_word(places, size):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        annotation = Annotation.from_points(places, SHAPE, 1, pixel_size=size)
    assert len(annotation.to_points(0)) == len(places)


def test_clicks_that_become_one_defect_are_counted(tmp_path):
    twice = np.concatenate([PLACES, PLACES[:2] + 1])
    with pytest.warns(PointsWarning, match=f"{len(twice)} points on frame 0 .* became {len(PLACES)} defects"):
        Annotation.from_points(twice, SHAPE, 3, unit="px")
