"""Tables of clicked points as programs and people write them: each is read for what it says, or refused by name."""

import json
import sys
import warnings

import napari_builtins.io as napari_builtins_io
import numpy as np
import openpyxl
import pandas as pd
import pytest

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.annotation.clicks.text import PointsWarning
from napari_menndl.annotation.points import read_points
from napari_menndl.errors import InputError

#: (y, x) of the points in every table here.
PLACES = [(351, 152), (332, 174), (40, 9.5)]


def table(header, *rows, separator=","):
    """A file's text: a header, and a row per point in which Y and X stand for its place."""
    lines = [row.replace("Y", str(y)).replace("X", str(x)) for row, (y, x) in zip(rows, PLACES, strict=True)]
    return "\n".join([header, *lines, ""])


def read(folder, text, name="p.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return read_points(folder / name)


def read_silently(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read(*arguments, **options)


def places(points):
    return [tuple(row) for row in points[["y", "x"]].to_numpy()]


TRACKMATE = (
    "LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,POSITION_T,FRAME,RADIUS,VISIBILITY\n"
    "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,Radius,Visibility\n"
    "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,R,Visibility\n"
    ",,,(quality),(pixel),(pixel),(pixel),(sec),,(pixel),\n"
    "ID6272,6272,,5.64,152,351,0.0,0.0,0,2.5,1\n"
    "ID6273,6273,,4.11,174,332,0.0,0.5,1,2.5,1\n"
    "ID6274,6274,,4.13,9.5,40,0.0,1.0,2,2.5,1\n"
)

#: What a file says, and which frames and classes that is.
TABLES = {
    "spaces": (table("y x", "Y X", "Y X", "Y X"), None, None),
    "aligned": (table("  y    x", "  Y   X", " Y  X", "Y X"), None, None),
    "comment for a header": (table("# y,x", "Y,X", "Y,X", "Y,X"), None, None),
    "title above": ("Clicks of Monday\n\n" + table("y,x", "Y,X", "Y,X", "Y,X"), None, None),
    "spreadsheet's first line": ("sep=;\n" + table("y;x", "Y;X", "Y;X", "Y;X"), None, None),
    "byte order mark": ("\ufeff" + table("y,x", "Y,X", "Y,X", "Y,X"), None, None),
    "capitals, units": (table("X (px),Y (px)", "X,Y", "X,Y", "X,Y"), None, None),
    "positions": (table("Pos. X;Pos. Y", "X;Y", "X;Y", "X;Y"), None, None),
    "rows and columns": (table("row,col", "Y,X", "Y,X", "Y,X"), None, None),
    "scikit-image": (table("label,centroid-0,centroid-1", "1,Y,X", "2,Y,X", "3,Y,X"), None, None),
    "centroids, not corners": (table("BX,BY,XM,YM", "1,2,X,Y", "3,4,X,Y", "5,6,X,Y"), None, None),
    "trailing separators": (table("y,x,,", "Y,X,,", "Y,X,,", "Y,X,,"), None, None),
    "trackpy": (
        table(",y,x,mass,size,ecc,frame,particle", "0,Y,X,9.1,2,.1,0,0", "1,Y,X,9,2,.1,0,1", "2,Y,X,9,2,.1,3,0"),
        [0, 0, 3],
        None,
    ),
    "time index": (table("t,y,x", "0,Y,X", "2,Y,X", "2,Y,X"), [0, 2, 2], None),
    "ImageJ, slices": (table(" ,X,Y,Slice", "1,X,Y,1", "2,X,Y,1", "3,X,Y,5"), [0, 0, 4], None),
    "ImageJ, hyperstack": (table(" ,X,Y,Ch,Slice,Frame", "1,X,Y,1,1,1", "2,X,Y,1,1,2", "3,X,Y,1,1,2"), [0, 1, 1], None),
    "ImageJ, frames as slices": (table(" ,X,Y,Slice,Frame", "1,X,Y,1,1", "2,X,Y,3,1", "3,X,Y,3,1"), [0, 2, 2], None),
    "ImageJ, one slice of a stack": (
        table(" ,X,Y,Slice,Frame", "1,X,Y,3,1", "2,X,Y,3,1", "3,X,Y,3,1"),
        [2, 2, 2],
        None,
    ),
    "ImageJ, labels": (
        table(" ,Label,X,Y", "1,a.tif:0001,X,Y", "2,a.tif:0003,X,Y", "3,a.tif:0003,X,Y"),
        [0, 2, 2],
        None,
    ),
    "ImageJ, labels of the ROI Manager": (
        table(
            " ,Label,Area,X,Y",
            "1,a.tif:0001-0351-0152,0,X,Y",
            "2,a.tif:0004-0332-0174,0,X,Y",
            "3,a.tif:0004-0040-0010,0,X,Y",
        ),
        [0, 3, 3],
        None,
    ),
    "ImageJ, counters": (
        table(
            " ,Area,Mean,Min,Max,X,Y,Ch,Slice,Counter,Count",
            "1,0,9,9,9,X,Y,1,1,0,1",
            "2,0,8,8,8,X,Y,1,1,1,1",
            "3,0,8,8,8,X,Y,1,1,0,2",
        ),
        [0, 0, 0],
        ["Counter 0", "Counter 1", "Counter 0"],
    ),
    "ImageJ, groups": (
        table("X,Y,Group,GroupName", "X,Y,1,hole", "X,Y,2,Mo", "X,Y,1,hole"),
        None,
        ["hole", "Mo", "hole"],
    ),
    "ImageJ, groups without names": (
        table("X,Y,Group", "X,Y,1", "X,Y,2", "X,Y,1"),
        None,
        ["Group 1", "Group 2", "Group 1"],
    ),
    "Cell Counter": (
        table("Type,Slice,X,Y,Value", "1,1,X,Y,99", "2,1,X,Y,98", "2,2,X,Y,97"),
        [0, 0, 1],
        ["Type 1", "Type 2", "Type 2"],
    ),
    "Class": (table("Y,X,Class", "Y,X,hole", "Y,X,Mo", "Y,X,hole"), None, ["hole", "Mo", "hole"]),
    "napari, numbers for classes": (
        table("index,axis-0,axis-1,class", "0.0,Y,X,1.0", "1.0,Y,X,2.0", "2.0,Y,X,1.0"),
        None,
        ["1", "2", "1"],
    ),
    "numbers for classes": (table("y,x,class", "Y,X,1", "Y,X,2", "Y,X,1"), None, ["1", "2", "1"]),
    "species": (table("y,x,species", "Y,X,W", "Y,X,Mo", "Y,X,W"), None, ["W", "Mo", "W"]),
    "class by another name": (table("y,x,Annotation Class", "Y,X,W", "Y,X,Mo", "Y,X,W"), None, ["W", "Mo", "W"]),
    "one class by another name": (table("Defektklasse;y;x", "W;Y;X", "W;Y;X", "W;Y;X"), None, ["W", "W", "W"]),
    "pixels in the names": (table("pixel_x,pixel_y", "X,Y", "X,Y", "X,Y"), None, None),
    "first depth": (table("z,y,x", "0,Y,X", "0,Y,X", "0,Y,X"), None, None),
    "number of the first frame": (table("y,x,frame_no", "Y,X,0", "Y,X,0", "Y,X,0"), [0, 0, 0], None),
    "labels that are classes": (table("y,x,label", "Y,X,W", "Y,X,Mo", "Y,X,W"), None, ["W", "Mo", "W"]),
    "names of objects": (table("y,x,name", "Y,X,p1", "Y,X,p2", "Y,X,p3"), None, None),
    "napari, one image": (table("index,axis-0,axis-1", "0.0,Y,X", "1.0,Y,X", "2.0,Y,X"), None, None),
    "napari, a movie": (
        table("index,axis-0,axis-1,axis-2", "0.0,0.0,Y,X", "1.0,0.0,Y,X", "2.0,4.0,Y,X"),
        [0, 0, 4],
        None,
    ),
    "napari, with classes": (
        table("index,axis-0,axis-1,class", "0.0,Y,X,W", "1.0,Y,X,Mo", "2.0,Y,X,W"),
        None,
        ["W", "Mo", "W"],
    ),
    "TrackMate": (TRACKMATE, [0, 1, 2], None),
    "QuPath, points": (
        table("x\ty\tclass\tname\tcolor", "X\tY\tW\t\t-256", "X\tY\tMo\t\t-257", "X\tY\tW\t\t-256"),
        None,
        ["W", "Mo", "W"],
    ),
    "QuPath, measurements": (
        table(
            "Image\tObject ID\tObject type\tName\tClass\tParent\tROI\tCentroid X px\tCentroid Y px",
            *(f"a.tif\tf{i}-9\tAnnotation\t\t{c}\tRoot object\tPoint\tX\tY" for i, c in enumerate(["W", "Mo", "W"])),
        ),
        None,
        ["W", "Mo", "W"],
    ),
    "decimal commas": (table("y;x", "351,00;152,0", "332,0;174,00", "40,0;9,5"), None, None),
    "decimal commas in quotes": (table("y,x", '"351,0","152,0"', '"332,0","174,0"', '"40,0","9,5"'), None, None),
    "decimal commas after tabs": (table("X\tY", "152,0\t351,0", "174,0\t332,0", "9,5\t40,0"), None, None),
    "three decimals": (table("y;x", "351,000;152,000", "332,000;174,000", "40,000;9,500"), None, None),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_says_place_frame_and_class(tmp_path, kind):
    text, frames, classes = TABLES[kind]
    points = read_silently(tmp_path, text)
    assert places(points) == PLACES
    assert (points["frame"].tolist() if "frame" in points else None) == frames
    assert (points["class"].tolist() if "class" in points else None) == classes


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings_of_spreadsheets_are_read(tmp_path, encoding):
    points = read_silently(tmp_path, "Centroid X µm\tCentroid Y µm\n1.5\t2.5\n", encoding=encoding)
    assert places(points) == [(2.5, 1.5)]
    assert points.attrs["unit"] == "µm"


def test_a_table_that_pandas_read_is_understood_like_its_file(tmp_path):
    (tmp_path / "p.csv").write_text("Pos. Y;Pos. X;Slice;class\n351,0;152,0;1;W\n332,0;174,0;1;Mo\n40,0;9,5;3;W\n")
    points = read_points(pd.read_csv(tmp_path / "p.csv", sep=";"))
    assert places(points) == PLACES
    assert points.equals(read_points(tmp_path / "p.csv"))


def test_napari_s_own_writer_is_read(tmp_path):
    data = np.array([(t, 0, y, x) for t, (y, x) in zip([0, 2, 2], PLACES, strict=True)], float)
    written = napari_builtins_io.napari_write_points(str(tmp_path / "points.csv"), data, {})
    with pytest.warns(PointsWarning, match=r"axis-1 .* left out"):
        points = read_points(written)
    assert places(points) == PLACES
    assert points["frame"].tolist() == [0, 2, 2]


def test_centres_of_napari_s_shapes_are_points(tmp_path):
    ellipse = np.array([[10, 20], [10, 26], [16, 26], [16, 20]], float)
    polygon = np.array([[0, 0], [0, 30], [3, 30], [3, 15], [3, 0]], float)
    kinds = {"shape_type": ["ellipse", "polygon"]}
    written = napari_builtins_io.napari_write_shapes(str(tmp_path / "shapes.csv"), [ellipse, polygon], kinds)
    with pytest.warns(PointsWarning, match="2 outlines .* centres"):
        assert np.allclose(places(read_points(written)), [(13, 23), (1.5, 15)])
    kinds = {"shape_type": ["polygon", "line"]}
    written = napari_builtins_io.napari_write_shapes(str(tmp_path / "lines.csv"), [polygon, polygon[:2]], kinds)
    with pytest.raises(InputError, match="shape-type with line"):
        read_points(written)


#: What is left out or guessed, and what the warning names.
WARNED = {
    "summary rows": (
        " ,Area,X,Y\n1,0,152,351\n2,0,174,332\n3,0,9.5,40\nMean,0,111,241\nSD,0,80,140\nMin,0,9.5,40\nMax,0,174,351\n",
        None,
        "Mean, SD, Min, Max",
    ),
    "summary rows by label": (
        " ,Label,X,Y\n1,a.tif,152,351\n2,a.tif,174,332\n3,a.tif,9.5,40\n4,Mean,111,241\n5,SD,80,140\n",
        None,
        "Mean, SD",
    ),
    "four axes": (
        table("index,axis-0,axis-1,axis-2,axis-3", "0,0,0,Y,X", "1,0,1,Y,X", "2,0,1,Y,X"),
        [0, 1, 1],
        "axis-0",
    ),
    "an unknown column": (table("y,x,site kind", "Y,X,a", "Y,X,b", "Y,X,a"), None, "site kind"),
    "colours": (table("y,x,color", "Y,X,red", "Y,X,blue", "Y,X,red"), None, "color"),
    "names beside classes": (table("y,x,class,type", "Y,X,a,1", "Y,X,a,2", "Y,X,b,2"), None, "column type"),
    "Frame of a person": (table("x,y,Frame", "X,Y,1", "X,Y,2", "X,Y,2"), [0, 1, 1], "Frame"),
    "slices from 0": (table("x,y,slice", "X,Y,0", "X,Y,2", "X,Y,2"), [0, 2, 2], "slice"),
    "depth beside frames": (table("frame,z,y,x", "0,1,Y,X", "1,2,Y,X", "1,5,Y,X"), [0, 1, 1], "column z|Column z"),
    "Frame with a sign": (table("x,y,Frame #", "X,Y,1", "X,Y,2", "X,Y,2"), [0, 1, 1], "Frame #"),
    "one depth": (table("z,y,x", "3,Y,X", "3,Y,X", "3,Y,X"), None, "Column z .* is 3 for every point"),
    "one time": (table("time [s],y,x", "1.5,Y,X", "1.5,Y,X", "1.5,Y,X"), None, "is 1.5 for every point"),
    "corners or centres": (table("x,y,width,height", "X,Y,9,9", "X,Y,9,8", "X,Y,9,9"), None, "width and height"),
    "several images beside frames": (table("Image,frame,y,x", "a,0,Y,X", "b,1,Y,X", "b,1,Y,X"), [0, 1, 1], "Image"),
}


@pytest.mark.parametrize("kind", WARNED)
def test_what_is_left_out_is_said(tmp_path, kind):
    text, frames, words = WARNED[kind]
    with pytest.warns(PointsWarning, match=words):
        points = read(tmp_path, text)
    assert places(points) == PLACES
    assert (points["frame"].tolist() if "frame" in points else None) == frames


#: What may mean one thing or another, and what the refusal names.
REFUSED = {
    "two axes that differ": (table("axis-0,axis-1,axis-2,axis-3", "0,4,Y,X", "1,3,Y,X", "2,3,Y,X"), "axis-1, axis-0"),
    "slice against frame": (table("X,Y,Slice,Frame", "X,Y,1,1", "X,Y,1,2", "X,Y,2,1"), "Slice, Frame"),
    "one frame, from 0 or from 1": (table("y,x,frame_no", "Y,X,2", "Y,X,2", "Y,X,2"), "frame_no, whose least is 2"),
    "time points": (table("y,x,Time point", "Y,X,1", "Y,X,2", "Y,X,2"), "Time point"),
    "one time point": (table("y,x,timepoint", "Y,X,3", "Y,X,3", "Y,X,3"), "timepoint"),
    "CellProfiler's images": (table("ImageNumber,y,x", "1,Y,X", "1,Y,X", "2,Y,X"), "ImageNumber"),
    "number of an image": (table("image,y,x", "4,Y,X", "4,Y,X", "4,Y,X"), "image, whose least is 4"),
    "frame numbers from 1": (table("y,x,frame number", "Y,X,1", "Y,X,2", "Y,X,2"), "frame number"),
    "seconds": (table("y,x,t", "Y,X,0", "Y,X,0.25", "Y,X,0.5"), "column t"),
    "time": (table("y,x,time [s]", "Y,X,0", "Y,X,1", "Y,X,2"), r"time \[s\]"),
    "images": (table("y,x,filename", "Y,X,a.tif", "Y,X,b.tif", "Y,X,b.tif"), "filename"),
    "labels of several images": (table(" ,Label,X,Y", "1,a.tif,X,Y", "2,b.tif,X,Y", "3,b.tif,X,Y"), "Label"),
    "a class left out": (table("y,x,class", "Y,X,W", "Y,X,", "Y,X,W"), "class .*row 1"),
    "two columns of classes": (table("y,x,Group,Counter", "Y,X,1,0", "Y,X,1,1", "Y,X,2,1"), "Group, Counter"),
    "two of y": (table("y,Y,x", "Y,1,X", "Y,2,X", "Y,3,X"), "y, Y"),
    "two units": (table("y [nm],x [px]", "Y,X", "Y,X", "Y,X"), r"y \[nm\], x \[px\]"),
    "no unit": (table("y (apples),x (apples)", "Y,X", "Y,X", "Y,X"), "apples"),
    "decimal commas between commas": ("y,x\n351,5,152,5\n332,25,174,0\n", "[Dd]ecimal"),
    "thousands or decimals": ('y,x\n"1,024",152\n332,174\n', "thousands"),
    "no header": ("351,152\n332,174\n", "columns y and x"),
    "workbook": ("PK\x03\x04 and so on", "Save its sheet as CSV"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_in_doubt_is_refused_by_name(tmp_path, kind):
    text, words = REFUSED[kind]
    with pytest.raises(InputError, match=words):
        read(tmp_path, text)


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


CLICKED = [("y", "x", "Slice", "class"), *((y, x, t, "W") for t, (y, x) in enumerate(PLACES, start=1))]


def test_a_workbook_is_read_like_its_sheet_as_csv(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        points = read_points(workbook(tmp_path / "p.xlsx", clicks=[("Clicks of Monday",), (), *CLICKED, ()]))
    assert places(points) == PLACES
    assert points["frame"].tolist() == [0, 1, 2]
    assert points["class"].tolist() == ["W"] * 3


def test_of_a_workbook_s_sheets_the_one_with_points_is_read(tmp_path):
    with pytest.warns(PointsWarning, match="Sheet clicks .* notes is left out"):
        points = read_points(workbook(tmp_path / "p.xlsx", notes=[("dose", 3)], clicks=CLICKED))
    assert places(points) == PLACES


@pytest.mark.parametrize(
    ("sheets", "words"),
    [
        ({"a": CLICKED, "b": CLICKED}, "a, b"),
        ({"a": [("dose", 3)]}, "none among a"),
        ({"a": [("y", "x"), (1, 2, 3)]}, "2 cells in each row"),
        ({"a": [("y", "x"), ("=1+1", 2)]}, "numbers in column y"),  # a formula that no program has computed
    ],
)
def test_a_workbook_in_doubt_is_refused(tmp_path, sheets, words):
    with pytest.raises(InputError, match=words):
        read_points(workbook(tmp_path / "p.xlsx", **sheets))


def test_a_damaged_workbook_and_a_missing_package_are_said(tmp_path, monkeypatch):
    path = workbook(tmp_path / "p.xlsx", clicks=CLICKED)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="a workbook with a table of points"):
        read_points(path)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(InputError, match=r"napari-menndl\[annotations\]"):
        read_points(path)


def test_thousands_are_known_by_decimal_points(tmp_path):
    assert places(read(tmp_path, 'y,x\n"1,024.5",152\n332.0,174\n')) == [(1024.5, 152), (332, 174)]
    assert places(read(tmp_path, "y;x\n1.024,5;152\n332,0;174\n")) == [(1024.5, 152), (332, 174)]


def test_a_frame_in_the_index_is_a_column():
    points = pd.DataFrame({"y": [1.0, 2.0], "x": [3.0, 4.0], "frame": [0, 3]}).set_index("frame")
    assert read_points(points)["frame"].tolist() == [0, 3]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("y,x\n20,30\n40,50\n", "2 points on frame 0, 1 class (defect 2), in px"),
        (
            " ,X,Y,Slice,Counter\n1,30,20,1,0\n2,50,40,3,1\n",
            "2 points on frames 0, 2, 2 classes (Counter 0 1, Counter 1 1), in px; "
            "frame from column Slice, counted from 1; class from column Counter",
        ),
        ("x [nm],y [nm]\n3,2\n", "1 point on frame 0, 1 class (defect 1), converted from nm to px of 0.1 nm"),
    ],
)
def test_what_was_understood_is_told(tmp_path, text, words):
    (tmp_path / "p.csv").write_text(text)
    assert Annotation.from_points(tmp_path / "p.csv", (4, 60, 60), 3, pixel_size=(0.1, 0.1)).understood == words


def test_a_table_that_was_read_says_the_same_again(tmp_path):
    points = read(tmp_path, "X [nm],Y [nm],Slice\n1,2,2\n3,4,3\n")
    again = read_points(points)
    assert again.equals(points)
    assert again.attrs == points.attrs
    assert json.loads(json.dumps(points.attrs))["unit"] == "nm"
