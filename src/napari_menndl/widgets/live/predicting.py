"""Work of the dock "Live review" in a thread: opening a network, predicting a frame."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.predict.resample import scale_between
from napari_menndl.widgets.pixel_size import AS_IT_IS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_menndl.predict.live import LiveFrame, LivePredictor
    from napari_menndl.predict.live_tables import LiveTables
    from napari_menndl.widgets.live.feed import Feed, NewFrame
    from napari_menndl.widgets.pixel_size import Answer


def open_live(question: tuple[Path, bool]) -> LivePredictor:
    """Open a saved network, or the best of a run, renewed while its search improves; fast if wanted.

    Raises
    ------
    InputError
        If there is no network yet.
    """
    # Imported here, in a thread: it takes a moment that a person would notice in the window.
    from napari_menndl import live

    return live.open_live(*question)


def begin_tables(folder: Path, source: str, class_names: Sequence[str]) -> LiveTables:
    """Begin tables in a new folder, named after the source and the time, within `folder`.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    from napari_menndl.predict.live_tables import LiveTables

    when = time.strftime("%Y-%m-%d %H.%M.%S")
    return LiveTables(folder / f"{Path(source).stem or 'layer'} {when}", source, class_names)


def predict(question: tuple[LivePredictor, Feed, NewFrame, Answer, LiveTables | None]) -> LiveFrame:
    """Predict a new frame, and append it to tables where there are some.

    The question is predictor, feed, frame, the answer about its pixel size, and the tables.

    Raises
    ------
    PixelSizeError
        If only the network or only the frame has a pixel size, and the answer does not help.
    InputError
        If the frame cannot be read or predicted, or the tables cannot be written.
    """
    from napari_menndl.movie.identity import digest_of
    from napari_menndl.predict.live import PREDICTED, FrameReport

    predictor, feed, new, answer, tables = question
    trained, known = predictor.network.pixel_size, feed.pixel_size
    pixel_size = answer if known is None and isinstance(answer, tuple) else known
    if (trained is None) != (pixel_size is None):
        if answer != AS_IT_IS:
            scale_between(pixel_size, trained)  # raises, so that a person is asked
        pixel_size = trained
    frame = feed.read(new.number)
    found = predictor.predict(new.number, frame, pixel_size, feed.frame_time)
    if tables is not None:
        tables.add_defects(found.defects)
        late = max(time.time() - new.appeared, 0.0)
        report = FrameReport(new.number, "", PREDICTED, None, new.appeared, late, found)
        tables.add_frame(report, digest_of(np.asarray(frame, np.float32)))
    return found


def by_how_many(used: int, whole: int) -> str:
    """Format how many networks predict: ``"1 network"``, ``"16 networks"``, ``"4 of 16 networks"``."""
    return f"{used} of {whole} networks" if used < whole else f"{used} network{'s' * (used != 1)}"
