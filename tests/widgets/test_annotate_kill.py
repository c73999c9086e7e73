"""A napari that is killed while it paints loses no stroke that it reported."""

from painting import kill_painters

from napari_menndl.annotation.history import MOST_STROKES


def test_killed_napari_loses_no_stroke(tmp_path):
    loss = kill_painters(tmp_path, kills=1)
    assert loss.reported >= 15
    assert loss.lost == []
    # The stroke under the brush when it was killed may be there without having been reported.
    assert min(loss.reported, MOST_STROKES) <= loss.undone <= loss.reported + 1
