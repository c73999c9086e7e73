"""What the dock "Live review" has done in a worker: opening a network, predicting a frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_menndl.predict.resample import scale_between
from napari_menndl.widgets.pixel_size import AS_IT_IS

if TYPE_CHECKING:
    from pathlib import Path

    from napari_menndl.predict.live import LiveFrame, LivePredictor
    from napari_menndl.widgets.live.feed import Feed, NewFrame
    from napari_menndl.widgets.pixel_size import Answer

#: Share of an answer's time that its fast variant takes.
FAST = 0.25


def open_live(question: tuple[Path, bool]) -> LivePredictor:
    """A saved network, or the best of a run, renewed as long as its search finds better ones; fast, if so wanted.

    Raises
    ------
    InputError
        If there is none yet.
    """
    # Here, in a worker: it takes a moment that a window would notice.
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
    """Predict a frame that has arrived; the question names predictor, feed, frame, and what is said of its pixel size.

    Raises
    ------
    PixelSizeError
        Where only the network or the frame knows its pixel size.
    InputError
        Where the frame cannot be read or predicted.
    """
    predictor, feed, new, answer = question
    trained, known = predictor.network.pixel_size, feed.pixel_size
    pixel_size = answer if known is None and isinstance(answer, tuple) else known
    if (trained is None) != (pixel_size is None):
        if answer != AS_IT_IS:
            scale_between(pixel_size, trained)  # asks
        pixel_size = trained
    return predictor.predict(new.number, feed.read(new.number), pixel_size)


def by_how_many(used: int, whole: int) -> str:
    """``"1 network"``, ``"16 networks"``, ``"4 of 16 networks"``."""
    return f"{used} of {whole} networks" if used < whole else f"{used} network{'s' * (used != 1)}"


def duration(seconds: float) -> str:
    """``"0.21 s"``, ``"45 ms"``."""
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1000 * seconds:.0f} ms"
