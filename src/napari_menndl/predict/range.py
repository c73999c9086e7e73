"""Warnings for frames unlike those a network was trained on."""

from __future__ import annotations

import math
import threading
import warnings
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_menndl.movie.character import EDGE, Character, middle
from napari_menndl.predict.resample import resample, resampled_shape, scale_between

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from napari_menndl.predict.prediction_spec import Predictor
    from napari_menndl.predict.resample import PixelSize


#: Ratio of pixel sizes from which a network may lose: on simulated movies up to 0.35 of F1 at 1.4, mostly none at 0.7,
#: for one network of nine 0.15.
_OTHER = 1.35
#: Factor up to which the relative noise at equal dose per area goes with the pixel size, to a quarter; in coarser
#: pixels the lattice itself looks like noise.
_COARSER = 1.5
#: Number of frames checked at first, then interval of the checks: a check takes 1/20 s, and changes persist.
_ALL, _EVERY = 8, 8


class RangeCheck:
    """Warns of frames unlike those a network was trained on, and of how they are predicted; of each thing once.

    Thread-safe, but for `predicting`.

    Parameters
    ----------
    network : TrainedNetwork or Ensemble
        A network that lacks the character of its training frames, as of earlier versions, accepts every frame.
    """

    def __init__(self, network: Predictor) -> None:
        first: Any = getattr(network, "members", (network,))[0]
        self._seen: tuple[Character, ...] = getattr(first, "seen", ())
        self._pixel_size = network.pixel_size
        self._warned: set[str] = set()
        self._looks = 0
        self._lock = threading.Lock()

    def check(self, t: int, frame: NDArray[np.float32], pixel_size: PixelSize | None) -> None:
        """Check a frame that is about to be predicted.

        Parameters
        ----------
        t : int
            Number of the frame.
        frame : (Y, X) or (5, Y, X) float32
            NaN in gaps; with neighbours only the first is used.
        pixel_size : (y, x) float [nm] or None

        Warns
        -----
        UserWarning
            If it is unlike the training frames; once for each kind of difference.
        """
        with self._lock:
            self._looks += 1
            rare = self._looks > _ALL and self._looks % _EVERY
        if not self._seen or rare:
            return
        words = self.departures(frame if frame.ndim == 2 else frame[0], pixel_size)
        with self._lock:
            new = [text for kind, text in words.items() if kind not in self._warned]
            self._warned.update(words)
        if new:
            warnings.warn(
                f"Frame {t} is unlike the frames that the network was trained on: {'; '.join(new)}. "
                "What it predicts may be wrong.",
                stacklevel=3,
            )

    @contextmanager
    def predicting(self, t: int) -> Iterator[None]:
        """Context in which a frame is predicted, whose warnings `pass_on` takes."""
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", UserWarning)
            yield
        self.pass_on(t, (str(one.message) for one in said if issubclass(one.category, UserWarning)))

    def pass_on(self, t: int, texts: Iterable[str]) -> None:
        """Warn of what is said of a predicted frame, unless the same was said of another one."""
        with self._lock:
            new = [text for text in dict.fromkeys(texts) if text not in self._warned]
            self._warned.update(new)
        for text in new:
            warnings.warn(f"Frame {t}, and perhaps others: {text}", stacklevel=3)

    def departures(self, frame: NDArray[np.float32], pixel_size: PixelSize | None) -> dict[str, str]:
        """Return `Character.departures` of a frame (Y, X) from the most similar training frame."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the scale is warned of elsewhere
            factors = scale_between(pixel_size, self._pixel_size)
        character = Character.of(_resampled(frame, factors))
        if character is None:
            return {}
        coarser = math.sqrt(math.prod(factors)) if factors else 1.0
        if factors and coarser <= _COARSER and (own := Character.of(frame)):
            # Resampling smooths; the noise is measured before, and is that of as many electrons per area.
            character = replace(character, noise=own.noise * coarser)
        found = min((one.departures(character) for one in self._seen), key=len)
        if coarser > _COARSER:
            found.pop("noise", None)
        if max(coarser, 1 / coarser) > _OTHER:
            why = "small defects may not be resolved" if coarser > 1 else "resampling makes its noise another"
            found["pixels"] = f"its pixels are {coarser:.2g} times as large; {why}"
        return found


def _resampled(frame: NDArray[np.float32], factors: tuple[float, float] | None) -> NDArray[np.float32]:
    """Return the centre of a frame at the pixel size of the training."""
    if factors is None:
        return frame
    part = middle(frame, *(math.ceil(EDGE / factor) for factor in factors))
    gaps = np.isnan(part)
    filled = np.where(gaps, np.float32(0 if gaps.all() else part[~gaps].mean()), part)
    return resample(filled, resampled_shape((part.shape[0], part.shape[1]), factors))
