"""Work of the dock "Live review" in a thread: opening a network, predicting a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl.predict.resample import scale_between
from napari_menndl.widgets.pixel_size import AS_IT_IS

if TYPE_CHECKING:
    from pathlib import Path

    from napari_menndl.predict.live import LiveFrame, LivePredictor
    from napari_menndl.widgets.live.feed import Feed, NewFrame
    from napari_menndl.widgets.pixel_size import Answer

#: Share of an answer's prediction time that its fast variant takes.
FAST = 0.25


def open_live(question: tuple[Path, bool]) -> LivePredictor:
    """Open a saved network, or the best of a run, renewed while its search improves; fast if wanted.

    Raises
    ------
    InputError
        If there is no network yet.
    """
    # Imported here, in a thread: it takes a moment that a person would notice in the window.
    from napari_menndl.api import open_run
    from napari_menndl.opening import is_run, open_network
    from napari_menndl.predict.live import LivePredictor

    path, fast = question
    share = FAST if fast else 1.0
    if not is_run(path):
        return LivePredictor(lambda: open_network(path), share=share)
    run = open_run(path)
    return LivePredictor(lambda: run.best, lambda: run.folder.journal_path.stat().st_size, share)


def predict(question: tuple[LivePredictor, Feed, NewFrame, Answer]) -> LiveFrame:
    """Predict a new frame; the question is predictor, feed, frame, and the answer about its pixel size.

    Raises
    ------
    PixelSizeError
        If only the network or only the frame has a pixel size, and the answer does not help.
    InputError
        If the frame cannot be read or predicted.
    """
    predictor, feed, new, answer = question
    trained, known = predictor.network.pixel_size, feed.pixel_size
    pixel_size = answer if known is None and isinstance(answer, tuple) else known
    if (trained is None) != (pixel_size is None):
        if answer != AS_IT_IS:
            scale_between(pixel_size, trained)  # raises, so that a person is asked
        pixel_size = trained
    return predictor.predict(new.number, feed.read(new.number), pixel_size)


def by_how_many(used: int, whole: int) -> str:
    """Format how many networks predict: ``"1 network"``, ``"16 networks"``, ``"4 of 16 networks"``."""
    return f"{used} of {whole} networks" if used < whole else f"{used} network{'s' * (used != 1)}"
