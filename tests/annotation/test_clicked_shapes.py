"""Clicks that are no table: ImageJ's ROIs, markers of Cell Counter, spots of TrackMate, QuPath's objects."""

import json
import sys
import zipfile

import numpy as np
import pytest

from napari_menndl.annotation.clicks.rois import LARGEST_ROI
from napari_menndl.annotation.clicks.shapes import centre_of
from napari_menndl.annotation.clicks.text import PointsWarning
from napari_menndl.annotation.clicks.units import is_pixels
from napari_menndl.annotation.points import read_points
from napari_menndl.errors import InputError


@pytest.fixture
def roifile():
    import roifile

    return roifile


def points_roi(roifile, places, **fields):
    """A multi-point selection of (x, y)."""
    roi = roifile.ImagejRoi.frompoints(np.array(places, np.float32))
    roi.roitype = roifile.ROI_TYPE.POINT
    roi.options = roifile.ROI_OPTIONS.SUB_PIXEL_RESOLUTION
    for name, value in fields.items():
        setattr(roi, name, value)
    return roi


def area_roi(roifile, kind, top, left, bottom, right, **fields):
    return roifile.ImagejRoi(roitype=roifile.ROI_TYPE[kind], top=top, left=left, bottom=bottom, right=right, **fields)


def rows(points, *columns):
    return [tuple(row) for row in points[list(columns)].to_numpy().tolist()]


def test_a_multi_point_selection_is_its_points(roifile, tmp_path):
    points_roi(roifile, [(12.5, 3), (40, 7)], position=3).tofile(tmp_path / "a.roi")
    points = read_points(tmp_path / "a.roi")
    assert rows(points, "y", "x", "frame") == [(3, 12.5, 2), (7, 40, 2)]
    assert points.attrs["unit"] == "px"


def test_counters_are_classes_and_their_positions_frames(roifile, tmp_path):
    counters = {"counters": np.array([0, 1, 1], np.uint8), "counter_positions": np.array([1, 1, 4], np.uint32)}
    points_roi(roifile, [(1, 2), (3, 4), (5, 6)], **counters).tofile(tmp_path / "a.roi")
    points = read_points(tmp_path / "a.roi")
    assert rows(points, "y", "x", "frame") == [(2, 1, 0), (4, 3, 0), (6, 5, 3)]
    assert points["class"].tolist() == ["Counter 0", "Counter 1", "Counter 1"]


def test_areas_of_the_roi_manager_are_their_centres(roifile, tmp_path):
    rois = [
        area_roi(roifile, "OVAL", 10, 20, 17, 27, position=1, group=1),  # pixels 10 to 16 and 20 to 26
        area_roi(roifile, "RECT", 0, 0, 4, 8, position=2, group=2),
        points_roi(roifile, [(30, 40)], position=2, group=1),
    ]
    for i, roi in enumerate(rois):
        roi.tofile(tmp_path / "set.zip", name=f"{i:04d}", mode="a" if i else "w")
    with pytest.warns(PointsWarning, match="2 outlines"):
        points = read_points(tmp_path / "set.zip")
    assert rows(points, "y", "x", "frame") == [(13, 23, 0), (1.5, 3.5, 1), (40, 30, 1)]
    assert points["class"].tolist() == ["Group 1", "Group 2", "Group 1"]


def test_a_polygon_is_the_centre_of_its_area_however_its_corners_lie(roifile, tmp_path):
    roi = roifile.ImagejRoi.frompoints(np.array([[0, 0], [1, 0], [2, 0], [30, 0], [30, 10], [0, 10]], np.int32))
    roi.roitype = roifile.ROI_TYPE.POLYGON
    roi.tofile(tmp_path / "a.roi")
    with pytest.warns(PointsWarning, match="1 outlines"):
        assert rows(read_points(tmp_path / "a.roi"), "y", "x") == [(4.5, 14.5)]


def test_rois_that_are_no_places_are_refused(roifile, tmp_path):
    area_roi(roifile, "LINE", 0, 0, 5, 5).tofile(tmp_path / "line.roi")
    points_roi(roifile, [(1, 2)], position=2).tofile(tmp_path / "half.zip", name="a", mode="w")
    points_roi(roifile, [(1, 2)]).tofile(tmp_path / "half.zip", name="b", mode="a")
    (tmp_path / "torn.roi").write_bytes(b"Iout" + bytes(20))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as file:
        file.writestr("clicks.csv", "y,x\n")
    for name, words in {"line": "line", "half": "slice", "torn": "Save them again", "other": "without any"}.items():
        with pytest.raises(InputError, match=words):
            read_points(next(tmp_path.glob(f"{name}.*")))


def test_without_the_package_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "roifile", None)
    with pytest.raises(InputError, match=r"napari-menndl\[annotations\]"):
        read_points(tmp_path / "a.roi")


MARKERS = """<?xml version="1.0" encoding="UTF-8"?>
<CellCounter_Marker_File>
 <Image_Properties><Image_Filename>movie.tif</Image_Filename></Image_Properties>
 <Marker_Data>
  <Current_Type>1</Current_Type>
  <Marker_Type><Type>1</Type>{name}
   <Marker><MarkerX>12</MarkerX><MarkerY>3</MarkerY><MarkerZ>1</MarkerZ></Marker>
   <Marker><MarkerX>40</MarkerX><MarkerY>7</MarkerY><MarkerZ>3</MarkerZ></Marker>
  </Marker_Type>
  <Marker_Type><Type>2</Type>
   <Marker><MarkerX>5</MarkerX><MarkerY>6</MarkerY><MarkerZ>3</MarkerZ></Marker>
  </Marker_Type>
  <Marker_Type><Type>3</Type></Marker_Type>
 </Marker_Data>
</CellCounter_Marker_File>
"""


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("_dot_", ".").replace("_slash_", "/"), content)
    return path


def test_a_roi_too_large_to_be_one_is_refused_by_name(roifile, tmp_path):
    small = points_roi(roifile, [(1, 2)]).tobytes()
    path = zipped(tmp_path / "a.zip", small_dot_roi=small, large_dot_roi=small + bytes(LARGEST_ROI))
    with pytest.raises(InputError, match=r"ROIs of up to 16 MB.*found large\.roi of 16 MB"):
        read_points(path)


def test_all_rois_of_a_zip_are_read_and_what_is_none_is_named(roifile, tmp_path):
    first, second = (points_roi(roifile, [place]).tobytes() for place in ((1, 2), (3, 4)))
    path = zipped(
        tmp_path / "a.zip", a_dot_roi=first, B_dot_ROI=second, __MACOSX_slash_a_dot_roi=b"", note_dot_txt="hm"
    )
    with pytest.warns(PointsWarning, match=r"1 of 3 files in .* are no ROIs .*: note\.txt"):
        points = read_points(path)
    assert rows(points, "y", "x") == [(2, 1), (4, 3)]


def test_parts_of_an_area_that_do_not_count_are_said(tmp_path):
    parts = [[[[0, 0], [4, 0], [4, 4], [0, 4]]], [[[10, 10], [11, 10], [11, 11]]]]
    feature = {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": parts}}
    (tmp_path / "a.geojson").write_text(json.dumps([feature]))
    with pytest.warns(PointsWarning, match="only the largest counts; 1 others"):
        assert rows(read_points(tmp_path / "a.geojson"), "y", "x") == [(2, 2)]


@pytest.mark.parametrize(("name", "first"), [("", "Type 1"), ("<Name>vacancy</Name>", "vacancy")])
def test_cell_counter_s_types_are_classes(tmp_path, name, first):
    (tmp_path / "CellCounter_movie.xml").write_text(MARKERS.format(name=name))
    points = read_points(tmp_path / "CellCounter_movie.xml")
    assert rows(points, "y", "x", "frame") == [(3, 12, 0), (7, 40, 2), (6, 5, 2)]
    assert points["class"].tolist() == [first, first, "Type 2"]


SPOTS = """<?xml version="1.0" encoding="UTF-8"?>
<TrackMate version="7.11.1">
  <Model spatialunits="{unit}" timeunits="sec">
    <FeatureDeclarations><SpotFeatures><Feature feature="POSITION_X" name="X" isint="false"/></SpotFeatures>
    </FeatureDeclarations>
    <AllSpots nspots="3">
      <SpotsInFrame frame="0">
        <Spot ID="7" name="ID7" VISIBILITY="1" QUALITY="5.6" RADIUS="2.5"
          POSITION_T="0.0" POSITION_X="{x[0]}" POSITION_Y="{y[0]}" POSITION_Z="0.0" FRAME="0"/>
      </SpotsInFrame>
      <SpotsInFrame frame="1"/>
      <SpotsInFrame frame="2">
        <Spot ID="8" name="ID8" VISIBILITY="1" QUALITY="4.1" RADIUS="2.5"
          POSITION_T="1.0" POSITION_X="{x[1]}" POSITION_Y="{y[1]}" POSITION_Z="0.0" FRAME="2"/>
        <Spot ID="9" name="ID9" VISIBILITY="{visible}" QUALITY="0.1" RADIUS="2.5"
          POSITION_T="1.0" POSITION_X="{x[2]}" POSITION_Y="{y[2]}" POSITION_Z="0.0" FRAME="2"/>
      </SpotsInFrame>
    </AllSpots>
    <AllTracks/>
  </Model>
  {settings}
</TrackMate>
"""
IMAGE = '<Settings><ImageData filename="movie.tif" nframes="3" pixelwidth="{}" pixelheight="{}"/></Settings>'


def spots(folder, unit="pixel", per_pixel=1.0, settings="", visible=1):
    """TrackMate's file of spots at (y, x) = (3, 12), (7, 40) and (6, 5) px."""
    x, y = ([n * per_pixel for n in axis] for axis in ((12, 40, 5), (3, 7, 6)))
    (folder / "movie.xml").write_text(
        SPOTS.format(unit=unit, x=x, y=y, settings=settings, visible=visible), encoding="utf-8"
    )
    return folder / "movie.xml"


@pytest.mark.parametrize(
    ("unit", "per_pixel", "settings", "said"),
    [
        ("pixel", 1, "", "px"),
        ("pixels", 1, IMAGE.format(1.0, 1.0), "px"),
        ("micron", 0.05, IMAGE.format(0.05, 0.05), "px"),
        ("nm", 0.05, IMAGE.format(0.05, 0.05), "px"),
        ("pixel", 0.05, IMAGE.format(0.05, 0.05), "px"),  # a unit that nobody set
        ("µm", 0.05, "", "µm"),
        ("nm", 0.05, "", "nm"),
    ],
)
def test_trackmate_s_spots_are_in_the_pixels_of_its_image_or_in_its_unit(tmp_path, unit, per_pixel, settings, said):
    points = read_points(spots(tmp_path, unit, per_pixel, settings))
    scale = 1 if said == "px" else per_pixel
    assert np.allclose(points[["y", "x"]] / scale, [(3, 12), (7, 40), (6, 5)])
    assert points["frame"].tolist() == [0, 2, 2]
    assert is_pixels(points.attrs["unit"]) if said == "px" else points.attrs["unit"] == said


def test_spots_that_trackmate_hides_are_left_out_with_a_word(tmp_path):
    with pytest.warns(PointsWarning, match="1 of 3 spots .* filters"):
        assert rows(read_points(spots(tmp_path, visible=0)), "y", "x") == [(3, 12), (7, 40)]


def test_a_unit_of_trackmate_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="'apples'"):
        read_points(spots(tmp_path, "apples"))


ENTITIES = '<!DOCTYPE a [<!ENTITY b "c">]><CellCounter_Marker_File>&b;</CellCounter_Marker_File>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("text", ["<TrackMate/>", "<svg/>", MARKERS[:300], ENTITIES, ""])
def test_other_xml_is_refused(tmp_path, text, encoding):
    (tmp_path / "a.xml").write_bytes(text.encode(encoding))
    with pytest.raises(InputError, match="Cell Counter"):
        read_points(tmp_path / "a.xml")


def feature(kind, coordinates, name=None, t=None):
    geometry = {"type": kind, "coordinates": coordinates} | ({} if t is None else {"plane": {"c": -1, "z": 0, "t": t}})
    properties = {"objectType": "annotation"} | ({} if name is None else {"classification": {"name": name}})
    return {"type": "Feature", "id": "1", "geometry": geometry, "properties": properties}


def test_qupath_s_objects_are_points(tmp_path):
    square = [[[0, 0], [10, 0], [10, 4], [0, 4], [0, 0]]]
    features = [
        feature("Point", [12.5, 3], "hole", 0),
        feature("MultiPoint", [[1, 2], [3, 4]], "Mo", 2),
        feature("Polygon", square, "hole", 2),
    ]
    for content in (features, {"type": "FeatureCollection", "features": features}):
        (tmp_path / "a.geojson").write_text(json.dumps(content))
        with pytest.warns(PointsWarning, match="1 outlines"):
            points = read_points(tmp_path / "a.geojson")
        assert rows(points, "y", "x", "frame") == [(3, 12.5, 0), (2, 1, 2), (4, 3, 2), (2, 5, 2)]
        assert points["class"].tolist() == ["hole", "Mo", "Mo", "hole"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([feature("LineString", [[0, 0], [1, 1]])], "LineString"),
        ([feature("Point", [1, 2], "hole"), feature("Point", [3, 4])], "row 1"),
        ({"clicks": [[1, 2]]}, "GeoJSON"),
        ([feature("Point", "here")], "GeoJSON"),
    ],
)
def test_other_geojson_is_refused(tmp_path, content, words):
    (tmp_path / "a.geojson").write_text(json.dumps(content))
    with pytest.raises(InputError, match=words):
        read_points(tmp_path / "a.geojson")


def test_the_centre_of_an_area_does_not_depend_on_where_it_lies():
    corner = np.array([[0, 0], [0, 6], [2, 6], [2, 2], [6, 2], [6, 0]], float)
    assert np.allclose(centre_of(corner + 1e4), centre_of(corner) + 1e4)
    assert np.allclose(centre_of(corner), centre_of(corner[::-1]))
    assert np.allclose(centre_of(np.array([[1, 1], [3, 5]], float)), [2, 3])
