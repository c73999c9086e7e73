"""The Fourier method to find lattice defects: filter the lattice out of a frame and threshold the residual.

Bragg spots are removed from the Fourier transform of a frame and a frequency band is kept; the inverse transform shows
what is not periodic (after the FFT subtraction of Maksov et al., npj Comput. Mater. 5, 12, 2019,
10.1038/s41524-019-0152-9). `fourier_tuning` chooses the settings on a labelled frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage
from scipy.special import expit

from napari_menndl.errors import InputError
from napari_menndl.movie.normalisation import NORMALISATIONS, normalise
from napari_menndl.serialization import check_types
from napari_menndl.settings import setting

#: Sign of the residual that counts as defect: darker than the lattice, brighter, or both.
SIGNS = ("dark", "bright", "both")
#: Number of threads of the Fourier transform.
_WORKERS = 2


@dataclass(frozen=True)
class FourierSettings:
    """Settings of the Fourier method.

    Raises
    ------
    InputError
        For a value of the wrong type or outside its range, or a band whose upper end is not above its lower.
    """

    normalisation: str = setting(
        "local", "Normalisation", note="Of the frame, before the transform.", options=NORMALISATIONS
    )
    radius: float = setting(20.0, "Normalisation radius", unit="px", note="Of the local mean.", min=1.0, max=1000.0)
    inner: float = setting(0.01, "Band from", unit="cycles/px", note="Slower changes are removed.", min=0.0, max=0.5)
    outer: float = setting(0.15, "Band to", unit="cycles/px", note="Faster changes are removed.", min=0.005, max=0.71)
    edge: float = setting(
        0.125,
        "Softness",
        note="Width of the band's edges, as a share of their frequency; sharp ones ring around every defect.",
        min=0.01,
        max=1.0,
    )
    spots: int = setting(24, "Bragg spots", note="How many, the strongest first, are cut out.", min=0, max=200)
    notch: float = setting(2.0, "Notch radius", unit="px", note="In the transform, around a spot.", min=0.5, max=50.0)
    sign: str = setting("both", "Sign", note="Defects darker or brighter than the lattice, or both.", options=SIGNS)
    smoothing: float = setting(1.5, "Smoothing", unit="px", note="Standard deviation of a Gaussian.", min=0.0, max=20.0)
    threshold: float = setting(
        3.0, "Threshold", note="In standard deviations of the response; infinite: finds nothing."
    )

    def __post_init__(self) -> None:
        check_types(self)
        if not self.inner < self.outer:
            raise InputError(
                "a rising band", f"one from {self.inner:g} to {self.outer:g} cycles/px", "Correct the Fourier settings."
            )


class FrameSpectrum:
    """A frame and its Fourier transform, cached so that a change of settings recomputes only what it affects.

    Parameters
    ----------
    frame : (Y, X) float
        Raw.

    Raises
    ------
    InputError
        Not a single frame, or values that are not finite.
    """

    def __init__(self, frame: npt.ArrayLike) -> None:
        raw = np.asarray(frame, np.float32)
        if raw.ndim != 2 or not np.isfinite(raw).all():
            found = f"shape {raw.shape}" if raw.ndim != 2 else "NaN or infinity"
            raise InputError("one frame (Y, X) of finite values", found, "Give one frame, its gaps filled.")
        self._raw = raw
        self._frequency = _frequencies(raw.shape)
        self._transformed: tuple[tuple[str, float], npt.NDArray[np.complex64]] | None = None
        self._spots: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None = None
        self._responded: tuple[FourierSettings, npt.NDArray[np.float32]] | None = None

    def response(self, settings: FourierSettings) -> npt.NDArray[np.float32]:
        """Return the deviation of each pixel from the lattice.

        Returns
        -------
        (Y, X) float32
            As in `fourier_response`; cached, do not modify it.
        """
        asked = replace(settings, threshold=0.0)
        if self._responded is None or self._responded[0] != asked:
            self._responded = asked, self._respond(asked)
        return self._responded[1]

    def _respond(self, settings: FourierSettings) -> npt.NDArray[np.float32]:
        spectrum, frequency, shape = self._transform(settings), self._frequency, self._raw.shape
        keep = expit((settings.outer - frequency) / (settings.outer * settings.edge))
        if settings.inner > 0:
            keep *= expit((frequency - settings.inner) / (settings.inner * settings.edge))
        if settings.spots:
            if self._spots is None:
                self._spots = _find_spots(np.abs(spectrum), frequency)
            _cut_spots(keep, *self._spots, settings)
        if settings.sign != "both":
            keep *= _gaussian(frequency, settings.smoothing)
        response: npt.NDArray[np.floating] = fft.irfft2(spectrum * keep, s=shape, workers=_WORKERS)
        if settings.sign == "dark":
            response = -response
        elif settings.sign == "both":
            again = fft.rfft2(np.abs(response), workers=_WORKERS) * _gaussian(frequency, settings.smoothing)
            response = fft.irfft2(again, s=shape, workers=_WORKERS)
        # Every third row and column is enough for a median, and faster.
        sample = response[::3, ::3]
        centre = np.median(sample)
        spread = 1.4826 * np.median(np.abs(sample - centre))
        if not spread > 1e-9:
            return np.zeros(shape, np.float32)
        return np.asarray((response - centre) / spread, np.float32)

    def _transform(self, settings: FourierSettings) -> npt.NDArray[np.complex64]:
        normalisation = settings.normalisation, settings.radius
        if self._transformed is None or self._transformed[0] != normalisation:
            flat = normalise(self._raw, *normalisation)
            self._transformed = normalisation, fft.rfft2(flat - flat.mean(), workers=_WORKERS)
            self._spots = None
        return self._transformed[1]


def fourier_response(frame: npt.ArrayLike, settings: FourierSettings) -> npt.NDArray[np.float32]:
    """Return the deviation of each pixel of a frame from the lattice.

    Parameters
    ----------
    frame : (Y, X) float
        Raw.
    settings : FourierSettings

    Returns
    -------
    (Y, X) float32
        Higher = more defect-like; median 0 and robust standard deviation 1 (1.4826 times the median absolute
        deviation), so that a threshold is comparable between frames. All 0 if the residual is constant.

    Raises
    ------
    InputError
        Not a single frame, or values that are not finite.
    """
    return FrameSpectrum(frame).response(settings)


@dataclass(frozen=True)
class FourierMethod:
    """The Fourier method for several classes, each with its own settings.

    Attributes
    ----------
    settings : tuple of FourierSettings
        One per class, in the order of the annotation's classes.
    """

    settings: tuple[FourierSettings, ...]

    def probabilities(self, frame: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the response of each class, scaled to between 0 and 1.

        Parameters
        ----------
        frame : (Y, X) float
            Raw.

        Returns
        -------
        (C, Y, X) float32
            Increases with the response and is 0.5 at the threshold; not a calibrated probability.
        """
        return np.stack([expit(fourier_response(frame, s) - np.float32(s.threshold)) for s in self.settings])

    def labels(self, frame: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """(Y, X) uint8: 0 = no defect, c + 1 = the class whose response exceeds its threshold most."""
        probabilities = self.probabilities(frame)
        best: npt.NDArray[np.uint8] = (probabilities.argmax(axis=0) + 1).astype(np.uint8)
        return best * (probabilities.max(axis=0) >= 0.5).astype(np.uint8)


def bragg_spots(frame: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Find the Bragg spots of a frame with sub-bin precision.

    Parameters
    ----------
    frame : (Y, X) float
        Flattened, and multiplied by a window that falls to 0 at the edges.

    Returns
    -------
    (n, 2) float64
        (y, x) of one spot of each conjugate pair, the strongest first [cycles/px].
    """
    amplitude = np.abs(fft.rfft2(frame, workers=_WORKERS))
    rows, columns = _find_spots(amplitude, _frequencies(frame.shape))
    return np.stack(
        [
            (rows + _vertex(amplitude, rows, columns, 0)) / frame.shape[0],
            (columns + _vertex(amplitude, rows, columns, 1)) / frame.shape[1],
        ],
        axis=1,
    ) - np.stack([rows > frame.shape[0] // 2, np.zeros(len(rows))], axis=1)


def _vertex(
    amplitude: npt.NDArray[np.floating], rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp], axis: int
) -> npt.NDArray[np.float64]:
    """Offset of each peak from its bin [bins], by a parabola through the logarithms of three adjacent bins."""
    height, width = amplitude.shape
    step = (1, 0) if axis == 0 else (0, 1)
    low, mid, high = (
        np.log(amplitude[(rows + k * step[0]) % height, np.minimum(np.abs(columns + k * step[1]), width - 1)] + 1e-12)
        for k in (-1, 0, 1)
    )
    bend = low - 2 * mid + high
    return np.clip(np.where(bend < 0, 0.5 * (low - high) / np.minimum(bend, -1e-12), 0.0), -0.5, 0.5)


@lru_cache(maxsize=4)
def _frequencies(shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """(Y, X // 2 + 1) float32: absolute frequency of each bin of the half transform [cycles/px]."""
    frequency: npt.NDArray[np.float32] = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None])
    frequency = frequency.astype(np.float32)
    frequency.setflags(write=False)
    return frequency


def _gaussian(frequency: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    """Return the Fourier transform of a Gaussian of standard deviation `sigma` [px]."""
    return np.exp(-2 * (np.pi * np.float32(sigma) * frequency) ** 2)


def _find_spots(
    amplitude: npt.NDArray[np.float32], frequency: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows and columns of the peaks in the half transform `amplitude` (Y, X // 2 + 1), strongest first."""
    height, width = amplitude.shape
    bins = min(height, 2 * width)
    # Peaks are compared with the ring of their frequency, since noise and probe transfer decrease with the frequency.
    ring = (frequency * 2 * bins).astype(np.intp)
    size = np.maximum(np.bincount(ring.ravel()), 1)
    level = np.bincount(ring.ravel(), weights=np.log(amplitude + 1e-12).ravel()) / size
    contrast = amplitude * np.exp(-level).astype(np.float32)[ring]
    peaks = amplitude == ndimage.maximum_filter(amplitude, size=5, mode=("wrap", "nearest"))
    # A peak within three bins of the origin comes from the shape of the frame itself; one below five times the mean of
    # its ring may be noise (Rayleigh distribution: 1 in 10^6).
    peaks &= (contrast > 5.0) & (frequency * bins > 3)
    rows, columns = np.nonzero(peaks)
    strongest = np.argsort(contrast[rows, columns])[::-1]
    return rows[strongest], columns[strongest]


def _cut_spots(
    keep: npt.NDArray[np.float32],
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    settings: FourierSettings,
) -> None:
    """Set `keep` (Y, X // 2 + 1) to 0 around the strongest peaks, as many as `settings.spots`."""
    height, width = keep.shape
    rows, columns = rows[: settings.spots], columns[: settings.spots]
    reach = int(np.ceil(settings.notch))
    dy, dx = np.indices((2 * reach + 1, 2 * reach + 1)).reshape(2, -1) - reach
    disc = np.hypot(dy, dx) <= settings.notch
    y = (rows[:, None] + dy[disc]).ravel()
    x = (columns[:, None] + dx[disc]).ravel()
    # Bins left of the first column are conjugates, mirrored about the origin; so is the other half of that column.
    y, x = np.where(x < 0, -y, y) % height, np.abs(x)
    inside = x < width
    keep[y[inside], x[inside]] = 0
    keep[-y[x == 0] % height, 0] = 0
