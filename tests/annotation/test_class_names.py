"""Classes that a file only numbers get names from whoever reads it."""

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.classes import read_class_names, rename_classes
from napari_menndl.cli import app
from napari_menndl.errors import InputError

NAMES = {1: "S vacancy", 2: "Mo"}
MARKERS = """<CellCounter_Marker_File><Marker_Data>
<Marker_Type><Type>1</Type><Marker><MarkerX>10</MarkerX><MarkerY>10</MarkerY><MarkerZ>1</MarkerZ></Marker></Marker_Type>
<Marker_Type><Type>2</Type><Marker><MarkerX>30</MarkerX><MarkerY>30</MarkerY><MarkerZ>1</MarkerZ></Marker></Marker_Type>
</Marker_Data></CellCounter_Marker_File>"""

#: Two points, at (10, 10) of the first class and at (30, 30) of the second, by their file's name.
POINTS = {
    "cell counter.xml": MARKERS,
    "counters.csv": " ,X,Y,Counter\n1,10,10,1\n2,30,30,2\n",
    "groups.csv": " ,X,Y,Group\n1,30,30,2\n2,10,10,1\n",
    "types.csv": "Type,Slice,X,Y,Value\n1,1,10,10,99\n2,1,30,30,98\n",
    "napari.csv": "index,axis-0,axis-1,class\n0.0,10,10,1.0\n1.0,30,30,2.0\n",
    "numbers.csv": "y,x,class\n10,10,1\n30,30,2\n",
}


@pytest.mark.parametrize("name", POINTS)
def test_numbered_points_get_names(tmp_path, name):
    (tmp_path / name).write_text(POINTS[name])
    annotation = Annotation.from_points(tmp_path / name, (48, 48), 3, NAMES)
    assert annotation.class_names == ("S vacancy", "Mo")
    assert (annotation.frame(0)[10, 10], annotation.frame(0)[30, 30]) == (1, 2)
    assert "S vacancy 1, Mo 1" in annotation.understood


def test_numbered_labels_get_names(tmp_path):
    labels = np.zeros((40, 40), np.uint8)
    labels[:4, :4], labels[9:13, 9:13], labels[20:24, 4:8], labels[30:34, 4:8] = 1, 2, 1, 2
    tifffile.imwrite(tmp_path / "mask.tif", labels)
    assert Annotation.open(tmp_path / "mask.tif", classes=NAMES).class_names == ("S vacancy", "Mo")
    assert Annotation.open(tmp_path / "mask.tif", classes={2: "Mo"}).class_names == ("class 1", "Mo")
    assert Annotation.from_labels(labels == 1, {1: "hole"}).class_names == ("hole",)


@pytest.mark.parametrize(
    ("found", "names", "renamed"),
    [
        (["Counter 1", "Counter 0"], {0: "Mo"}, {"Counter 0": "Mo", "Counter 1": "Counter 1"}),
        (["hole", "2"], {"HOLE": "pit"}, {"hole": "pit", "2": "2"}),
        (["1", "Type 1"], {1: "Mo"}, {"1": "Mo", "Type 1": "Type 1"}),
        (["defect"], {255: "Mo"}, {"defect": "Mo"}),
    ],
)
def test_a_class_is_found_by_its_name_or_its_number(found, names, renamed):
    assert rename_classes(found, names, "a file") == renamed


@pytest.mark.parametrize(
    ("found", "names"),
    [(["Type 1", "Type 2"], {3: "Mo"}), (["Type 1", "Group 1"], {1: "Mo"}), (["Type 11", "Type 2"], {1: "Mo"})],
)
def test_a_number_that_no_class_or_several_have_is_refused(found, names):
    with pytest.raises(InputError, match=f"one class {next(iter(names))} in a file, to be named Mo.*{found[0]}"):
        rename_classes(found, names, "a file")


def test_names_are_read_as_a_person_writes_them():
    assert read_class_names("S vacancy, Mo") == ["S vacancy", "Mo"]
    assert read_class_names("1 = S vacancy,2=Mo") == {"1": "S vacancy", "2": "Mo"}
    for text in ("", "1=", "1=a,b", "1=a,1=b", "a,,b"):
        with pytest.raises(InputError, match="names of classes"):
            read_class_names(text)


@pytest.mark.parametrize(
    ("name", "options", "found"), [("numbers.csv", ["--radius", "3"], "1, 2"), ("mask.tif", [], "class 1, class 2")]
)
def test_the_command_line_takes_names(tmp_path, name, options, found):
    (tmp_path / "numbers.csv").write_text(POINTS["numbers.csv"])
    labels = np.zeros((48, 48), np.uint8)
    labels[:4, :4], labels[9:13, 9:13] = 1, 2
    tifffile.imwrite(tmp_path / "mask.tif", labels)
    tifffile.imwrite(tmp_path / "movie.tif", np.eye(48, dtype=np.uint16))
    words = ["search", str(tmp_path / "movie.tif"), "--annotation", str(tmp_path / name), *options]
    result = CliRunner().invoke(app, [*words, "--classes", "3=Mo"])
    assert result.exit_code == 2
    assert "single object" not in result.output  # who names two classes has said that they are no objects
    assert f"to be named Mo; found {found}" in " ".join(result.output.split())
