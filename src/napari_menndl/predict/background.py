"""Prediction of a movie on a pool in the background, starting with the frame in view."""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    import os

    from napari_menndl.pool.protocol import Pool
    from napari_menndl.predict.prediction import Prediction


class BackgroundWriter:
    """Writes a prediction in its own thread until it is complete or closed; frames written before are kept.

    Parameters
    ----------
    prediction : Prediction
    path : path
    pool : str or Pool
        As for `Prediction.write`, and so is the path.
    """

    def __init__(self, prediction: Prediction, path: str | os.PathLike[str], pool: str | Pool) -> None:
        self._prediction, self._path, self._pool = prediction, path, pool
        self._in_view = 0
        self._waited_for: list[int] = []
        self._resting = False
        self._failed: dict[int, InputError] = {}
        self._ended: InputError | None = None
        self._closing = threading.Event()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._write, name="prediction", daemon=True)
        self._thread.start()
        # No jobs may be left running on a pool when the program exits.
        atexit.register(self.close, 10.0)

    def prioritise(self, t: int) -> None:
        """Give priority to this frame from now on, then to its neighbours."""
        self._in_view = t

    def has(self, t: int) -> bool:
        """Whether a frame is on disk."""
        return self._prediction.is_written(t)

    def wait_for(self, t: int) -> None:
        """Give priority to a frame and wait until it is on disk.

        Raises
        ------
        InputError
            If it cannot be predicted, if the pool cannot be used, or after `close`.
        """
        self.prioritise(t)
        with self._news:
            self._waited_for.append(t)
            try:
                self._news.wait_for(lambda: self.has(t) or t in self._failed or self._ended is not None)
            finally:
                self._waited_for.remove(t)
            problem = self._failed.get(t) or self._ended
            if not self.has(t) and problem is not None:
                raise problem

    def rest(self) -> None:
        """From now on predict only frames that `wait_for` waits for."""
        self._resting = True

    def close(self, wait: float | None = None) -> None:
        """Stop predicting; the pool is closed within seconds, for at most `wait` [s] of which this call waits."""
        self._closing.set()
        if wait is not None:
            self._thread.join(wait)

    def _write(self) -> None:
        ended = InputError("a prediction at work", "one that was stopped", "Begin it again.")
        try:
            self._prediction.write(
                self._path, cancel=self._closing.is_set, pool=self._pool, first=self._first, on_frame=self._on_frame
            )
        except InputError as problem:
            ended = problem
        except Exception as error:  # waiting threads must be woken
            ended = InputError("a pool that predicts", f"{type(error).__name__}: {error}", "See whether it is at work.")
        atexit.unregister(self.close)
        with self._news:
            self._ended = ended
            self._news.notify_all()

    def _first(self) -> int | None:
        with self._news:
            return next(reversed(self._waited_for), None) if self._resting else self._in_view

    def _on_frame(self, t: int, problem: InputError | None) -> None:
        with self._news:
            if problem is not None:
                self._failed[t] = problem
            self._news.notify_all()
