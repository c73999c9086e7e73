"""How long the rest of some work takes."""

import time

from napari_menndl.progress import Pace


def test_the_rest_takes_as_long_as_what_was_done_since_one_began():
    pace = Pace()
    pace.begin(done=4)
    assert pace.left(4, 10) is None
    time.sleep(0.05)
    left = pace.left(6, 10)
    assert left is not None
    assert 0.1 <= left < 5
    assert pace.left(10, 10) == 0
