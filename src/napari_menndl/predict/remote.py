"""Prediction of frames on a pool, in order of priority."""

from __future__ import annotations

import tempfile
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_menndl.errors import InputError
from napari_menndl.movie.identity import digest_of
from napari_menndl.movie.neighbours import OFFSETS, read_frame
from napari_menndl.pool.process.messages import LIMIT
from napari_menndl.predict.job import ENTRY, frame_message

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from numpy.typing import NDArray

    from napari_menndl.movie.movie import Movie
    from napari_menndl.pool.protocol import Outcome, Pool
    from napari_menndl.predict.prediction_spec import Predictor
    from napari_menndl.predict.range import RangeCheck

#: Interval at which a pool and the priority of frames are polled [s].
LOOK = 0.1


@contextmanager
def on_pool(network: Predictor, pool: str | Pool) -> Iterator[RemotePredictor]:
    """Provide a network on every machine of a pool, for the duration of the context.

    Parameters
    ----------
    network : TrainedNetwork or Ensemble
    pool : str or Pool
        As accepted by `open_pool`; or a pool that was opened with `job.ENTRY` and can read this machine's files.

    Raises
    ------
    InputError
        If there is no such pool, or it cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="menndl-", ignore_cleanup_errors=True) as place:
        path = network.save(Path(place) / "network.safetensors")
        if not isinstance(pool, str):
            yield RemotePredictor(pool, path, network.digest, len(network.class_names), network.reach)
            return
        from napari_menndl.pool.open import open_pool
        from napari_menndl.pool.worker.staging import SharedInput

        opened = open_pool(pool, ENTRY, shared_input=SharedInput("network", path))
        try:
            yield RemotePredictor(opened, path, network.digest, len(network.class_names), network.reach)
        finally:
            opened.close()


@dataclass(frozen=True)
class RemotePredictor:
    """Predicts frames on a pool.

    Attributes
    ----------
    pool : Pool
    path : Path
        Path of the saved network.
    digest : str
        Digest of the network.
    classes, reach : int
        Defect classes and neighbouring frames on each side of the network.
    digests : dict of int to str
        Digests of the movie's frames that were sent; see `identity.digest_of`.
    """

    pool: Pool
    path: Path
    digest: str
    classes: int
    reach: int
    digests: dict[int, str] = field(default_factory=dict)

    def predict(
        self,
        movie: Movie,
        frames: list[int],
        range_check: RangeCheck,
        first: Callable[[], int | None] | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> Generator[tuple[int, NDArray[np.float32] | InputError]]:
        """Yield frames as they complete, with their probabilities (C, Y, X) float32 or the error that prevented them.

        The pool is never given more frames than it can work on at once, so that priorities can change at any time.

        Parameters
        ----------
        movie : Movie
        frames : list of int
        range_check : RangeCheck
            Checks every frame that is sent, and passes on what is warned of while it is predicted.
        first, cancel : callable, optional
            See `Prediction.write`.

        Raises
        ------
        InputError
            If a frame with its neighbours, or its probabilities, exceed the size of a message.
        """
        self._check_size(movie)
        waiting, flying = list(frames), dict[str, int]()
        token = uuid.uuid4().hex
        arrived: list[Outcome] = []
        try:
            while (waiting or flying) and not (cancel and cancel()):
                while waiting and self.pool.free and (t := take_next(waiting, first)) is not None:
                    try:
                        self._send(f"{token}/{t}", movie, t, range_check)
                    except InputError as problem:
                        yield t, problem
                    else:
                        flying[f"{token}/{t}"] = t
                # Yielded only after the slots are busy again.
                yield from (self._result(outcome, movie, range_check) for outcome in arrived)
                if not flying:
                    time.sleep(LOOK)  # no worker is available, or no frame is requested
                arrived = [one for one in self.pool.finished(timeout=LOOK) if flying.pop(one.key, None) is not None]
            yield from (self._result(outcome, movie, range_check) for outcome in arrived)
        finally:
            for key in flying:
                self.pool.cancel(key)

    def _check_size(self, movie: Movie) -> None:
        planes = 1 + len(OFFSETS) if self.reach else 1
        values, most = max(self.classes, planes) * int(np.prod(movie.shape[1:], dtype=np.int64)), LIMIT // 4
        if values > most:
            raise InputError(
                f"frames of at most {most:,} px times classes, or times the frames that are averaged: 1 GiB of float32",
                f"{movie.shape[1]:,} × {movie.shape[2]:,} px times {self.classes} classes, {planes} frames",
                "Predict on this computer (leave the pool out), or a part of each frame.",
            )

    def _send(self, key: str, movie: Movie, t: int, range_check: RangeCheck) -> None:
        frame = read_frame(movie, t, self.reach)
        self.digests[t] = digest_of(frame)
        range_check.check(t, frame, movie.pixel_size)
        payload, attachment = frame_message(frame, movie.frames.dtype, movie.pixel_size)
        self.pool.submit(key, {**payload, "network": str(self.path), "digest": self.digest}, attachment)

    def _result(
        self, outcome: Outcome, movie: Movie, range_check: RangeCheck
    ) -> tuple[int, NDArray[np.float32] | InputError]:
        t = int(outcome.key.rpartition("/")[2])
        found, failure = outcome.attachment, outcome.failure
        shape = (self.classes, *movie.shape[1:])
        if failure is None and len(found) == 4 * int(np.prod(shape, dtype=np.int64)):
            range_check.pass_on(t, (outcome.payload or {}).get("warnings", []))
            return t, np.frombuffer(found, "<f4").reshape(shape)
        why = failure.message if failure is not None else f"{len(found)} bytes of probabilities came back"
        remedy = "Put that right and predict again into the same place: it goes on where it stopped."
        return t, InputError(f"the pool to predict frame {t}", why.rpartition("InputError: ")[2], remedy)


def take_next(waiting: list[int], first: Callable[[], int | None] | None) -> int | None:
    """Remove and return the frame nearest to the requested one, the later of two; None if none is requested now."""
    if first is None:
        return waiting.pop(0)
    here = first()
    if here is None:
        return None
    return waiting.pop(min(range(len(waiting)), key=lambda i: (abs(waiting[i] - here), -waiting[i])))


def combine_errors(failed: dict[int, InputError]) -> InputError:
    """Combine the errors of all frames that could not be predicted into one."""
    problem = next(iter(failed.values()))
    if len(failed) == 1:
        return problem
    frames = ", ".join(map(str, list(failed)[:5])) + (", …" if len(failed) > 5 else "")
    found = f"{problem.found}; {len(failed)} frames are not predicted: {frames}"
    return InputError(problem.expected, found, problem.remedy)
