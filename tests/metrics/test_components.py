import numpy as np
import pytest

from napari_menndl.metrics.components import label_components


def draw(picture: str) -> np.ndarray:
    """'#' is True."""
    return np.array([[c == "#" for c in line.strip()] for line in picture.strip().splitlines()])


def test_diagonal_neighbours_are_one_component():
    components = label_components(
        draw("""
        ##...
        ..#..
        .....
        ...##
        ...##
        """)
    )
    assert len(components) == 2
    assert components.areas.tolist() == [3, 4]
    np.testing.assert_allclose(components.centres, [[1 / 3, 1], [3.5, 3.5]])


def test_small_components_are_dropped_and_the_others_renumbered():
    components = label_components(
        draw("""
        #....
        ...##
        ...##
        """)
    )
    assert components.areas.tolist() == [4]
    assert components.labels[0, 0] == 0
    assert np.unique(components.labels).tolist() == [0, 1]
    assert components.labels.dtype == np.int32


def test_a_ring_belongs_where_its_own_pixels_are():
    ring = draw("""
        #####
        #...#
        #...#
        #...#
        #####
        """)
    components = label_components(ring)
    assert ring[tuple(components.anchors()[0])]
    hole = np.zeros_like(ring)
    hole[2, 2] = True
    assert not components.lie_inside(hole)[0]
    assert components.lie_inside(ring)[0]


@pytest.mark.parametrize("shape", [(5, 5), (0, 0), (1, 1)])
def test_an_empty_mask_has_no_components(shape):
    components = label_components(np.zeros(shape, bool))
    assert len(components) == 0
    assert components.centres.shape == (0, 2)
    assert components.anchors().shape == (0, 2)
