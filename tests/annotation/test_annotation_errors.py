"""Bad input: each kind with what its message must name."""

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import DefectClass
from napari_menndl.annotation.fourier import FourierSettings, fourier_response
from napari_menndl.annotation.fourier_tuning import tune_fourier
from napari_menndl.errors import InputError
from napari_menndl.metrics.detection import MatchRule

ZEROS = np.zeros((16, 16), np.uint8)


def labels(array, **options):
    return lambda folder: Annotation.from_labels(np.array(array), **options)


def points(source, shape=(16, 16), radius=3, **options):
    return lambda folder: Annotation.from_points(source, shape, radius, **options)


def csv(text, **options):
    def case(folder):
        (folder / "p.csv").write_text(text)
        return Annotation.from_points(folder / "p.csv", (16, 16), 3, **options)

    return case


def file(name, write):
    def case(folder):
        write(folder / name)
        return Annotation.open(folder / name)

    return case


def changed(**attributes):
    """Our own format with attributes changed, or taken out with ``...``."""

    def case(folder):
        Annotation.from_labels(ZEROS).save(folder / "a.zarr")
        group = zarr.open_group(folder / "a.zarr", mode="r+")
        kept = {k: v for k, v in {**dict(group.attrs), **attributes}.items() if v is not ...}
        group.attrs.put(kept)
        return Annotation.open(folder / "a.zarr")

    return case


def without_labels(path):
    Annotation.from_labels(ZEROS).save(path)
    group = zarr.open_group(path, mode="r+")
    del group["labels"]


def text_labels(path):
    without_labels(path)
    zarr.open_group(path, mode="r+").create_array("labels", data=np.full((1, 4, 4), "a"))


def torn_metadata(path):
    Annotation.from_labels(ZEROS).save(path)
    (path / "zarr.json").write_text('{"attributes": ')


def foreign_group(path):
    zarr.open_group(path, mode="w").create_array("other", data=ZEROS)


def pickled(path):
    np.save(path, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)


def saved_over_foreign(folder):
    foreign_group(folder / "a.zarr")
    Annotation.from_labels(ZEROS).save(folder / "a.zarr")


def saved_below_a_file(folder):
    (folder / "file").write_text("")
    Annotation.from_labels(ZEROS).save(folder / "file" / "a.zarr")


def tiff_to_edit(folder):
    tifffile.imwrite(folder / "l.tif", ZEROS)
    Annotation.open(folder / "l.tif", mode="r+")


DETECTOR = MatchRule(3.0)
CASES = {
    "missing file": (lambda f: Annotation.open(f / "no.tif"), "nothing at"),
    "truncated TIFF": (file("l.tif", lambda p: p.write_bytes(b"II*\0\x08")), "readable label image"),
    "unknown kind of file": (file("l.png", lambda p: p.write_bytes(b"x")), "labels as .tif"),
    "CSV where an image is expected": (file("l.csv", lambda p: p.write_text("y,x")), "from_points"),
    "pickled objects": (file("l.npy", pickled), "readable label image"),
    "foreign zarr group": (file("a.zarr", foreign_group), "other"),
    "torn metadata": (file("a.zarr", torn_metadata), "label image"),
    "labels gone": (file("a.zarr", without_labels), "'labels'"),
    "text for labels": (file("a.zarr", text_labels), "numbers in 3 axes"),
    "newer schema": (changed(schema=99), "Update napari-menndl"),
    "no classes": (changed(classes=...), "classes, status"),
    "unknown field of a class": (changed(classes=[{"name": "a", "size": 3}]), "damaged"),
    "unknown status": (changed(status=["half"]), "in progress"),
    "too few statuses": (changed(status=[]), "one status per frame"),
    "absurd pixel size": (changed(pixel_size=[0, -1]), "pixel size"),
    "region of a frame that is not there": (changed(regions={"7": [[0, 0, 4, 4]]}), "frame 7"),
    "TIFF to edit in place": (tiff_to_edit, "save it as .zarr"),
    "saved over something foreign": (saved_over_foreign, "not written by napari-menndl"),
    "saved where one cannot write": (saved_below_a_file, "can be written"),
    "negative labels": (labels([[0, -1]]), "-1"),
    "fractions as labels": (labels([[0, 0.5]]), "fractions"),
    "NaN as label": (labels([[0, np.nan]]), "NaN"),
    "instances for classes": (labels([list(range(300))]), "299 different labels"),
    "label without a class": (labels([[0, 3]], classes=["a", "b"]), "the value 3"),
    "one line for an image": (labels([0, 1]), "shape (2,)"),
    "colour channels": (labels(np.zeros((2, 4, 4, 3))), "shape (2, 4, 4, 3)"),
    "words as labels": (labels([["a"]]), "type <U1"),
    "a frame that is not there": (labels(np.zeros((3, 4, 4)), frames=[5]), "[5]"),
    "labels that are not uint8": (lambda f: Annotation(np.zeros((1, 4, 4)), ["a"]), "from_labels"),
    "two classes of one name": (labels(ZEROS, classes=["a", "a"]), "different names"),
    "class without a name": (labels(ZEROS, classes=[" "]), "a name for"),
    "colour by name": (lambda f: DefectClass("a", "red"), "#56b4e9"),
    "tolerance of nothing": (lambda f: DefectClass("a", tolerance=0.0), "positive tolerance"),
    "unknown class": (lambda f: Annotation.from_labels(ZEROS).match_rule("holes"), "'holes'"),
    "region outside": (lambda f: Annotation.from_labels(ZEROS).set_regions(0, [(20, 20, 30, 30)]), "16 x 16"),
    "region inside out": (lambda f: Annotation.from_labels(ZEROS).set_regions(0, [(8, 8, 4, 4)]), "upper left"),
    "frame outside": (lambda f: Annotation.from_labels(ZEROS).known(1), "frame 1"),
    "movie of another size": (lambda f: Annotation.from_labels(ZEROS).check((3, 16, 20)), "16 x 20"),
    "movie that is too short": (lambda f: Annotation.from_labels(np.zeros((5, 4, 4))).check((3, 4, 4)), "one of 5"),
    "CSV without columns": (csv("a,b\n1,2\n"), "y and x"),
    "empty CSV": (csv(""), "CSV file"),
    "no CSV": (points("nowhere.csv"), "nowhere.csv"),
    "word for a number": (csv("y,x\n1,two\n"), "'two' in row 0"),
    "a cell left out": (csv("y,x\n1,\n"), "row 0"),
    "points outside": (points([[5, 300]]), "x = 300"),
    "points of three": (points([[1, 2, 3]]), "(1, 3)"),
    "points in a frame that is not there": (points([[1, 2]], shape=(2, 16, 16), frame=4), "frames 0 to 1"),
    "radius of nothing": (points([[1, 2]], radius=0), "a radius"),
    "several classes, none named": (points([[1, 2]], classes=["a", "b"]), "column class"),
    "class not listed": (points(pd.DataFrame({"y": [1], "x": [2], "class": ["c"]}), classes=["a"]), "found c"),
    "Fourier: unknown normalisation": (lambda f: FourierSettings(normalisation="none"), "normalisation one of"),
    "Fourier: unknown sign": (lambda f: FourierSettings(sign="grey"), "sign one of"),
    "Fourier: band inside out": (lambda f: FourierSettings(inner=0.3, outer=0.1), "a rising band"),
    "Fourier: NaN": (lambda f: fourier_response(np.full((16, 16), np.nan), FourierSettings()), "NaN"),
    "Fourier: a movie": (lambda f: fourier_response(np.zeros((2, 16, 16)), FourierSettings()), "one frame"),
    "Fourier: nothing to tune on": (
        lambda f: tune_fourier(ZEROS, ZEROS > 0, ZEROS == 0, DETECTOR, rng=np.random.default_rng(0)),
        "labelled defect",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_said_so(case, tmp_path):
    call, words = CASES[case]
    with pytest.raises(InputError) as caught:
        call(tmp_path)
    assert words in str(caught.value)
    assert all((caught.value.expected, caught.value.found, caught.value.remedy))
