"""The Fourier method, the manual way to find defects of a lattice: filter the lattice out and threshold what is left.

Bragg spots are cut out of the Fourier transform of a frame and a band of frequencies is kept; transformed back, the
frame shows what is not periodic (after the FFT subtraction of Maksov et al., npj Comput. Mater. 5, 12, 2019,
10.1038/s41524-019-0152-9). `fourier_tuning` chooses the settings on a labelled frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage
from scipy.special import expit

from napari_menndl.errors import InputError
from napari_menndl.movie.normalisation import NORMALISATIONS, normalise

#: What of the residual counts: what is darker, what is brighter than the lattice, or both.
SIGNS = ("dark", "bright", "both")
#: The Fourier transform uses this many threads.
_WORKERS = 2


@dataclass(frozen=True)
class FourierSettings:
    """What a person would turn by hand.

    Raises
    ------
    InputError
        A value out of its range.
    """

    normalisation: str = field(
        default="local", metadata={"title": "Normalisation", "help": "Of the frame, before the transform."}
    )
    radius: float = field(
        default=20.0,
        metadata={
            "title": "Normalisation radius",
            "unit": "px",
            "min": 1.0,
            "max": 1000.0,
            "help": "Of the local mean.",
        },
    )
    inner: float = field(
        default=0.01,
        metadata={
            "title": "Band from",
            "unit": "cycles/px",
            "min": 0.0,
            "max": 0.5,
            "help": "Slower changes are removed.",
        },
    )
    outer: float = field(
        default=0.15,
        metadata={
            "title": "Band to",
            "unit": "cycles/px",
            "min": 0.005,
            "max": 0.71,
            "help": "Faster changes are removed.",
        },
    )
    edge: float = field(
        default=0.125,
        metadata={
            "title": "Softness",
            "min": 0.01,
            "max": 1.0,
            "help": "Width of the band's edges, as a share of their frequency; sharp ones ring around every defect.",
        },
    )
    spots: int = field(
        default=24,
        metadata={"title": "Bragg spots", "min": 0, "max": 200, "help": "How many, the strongest first, are cut out."},
    )
    notch: float = field(
        default=2.0,
        metadata={
            "title": "Notch radius",
            "unit": "px",
            "min": 0.5,
            "max": 50.0,
            "help": "In the transform, around a spot.",
        },
    )
    sign: str = field(
        default="both", metadata={"title": "Sign", "help": "Defects darker or brighter than the lattice, or both."}
    )
    smoothing: float = field(
        default=1.5,
        metadata={
            "title": "Smoothing",
            "unit": "px",
            "min": 0.0,
            "max": 20.0,
            "help": "Standard deviation of a Gaussian.",
        },
    )
    threshold: float = field(
        default=3.0,
        metadata={"title": "Threshold", "min": -20.0, "max": 50.0, "help": "In standard deviations of the response."},
    )

    def __post_init__(self) -> None:
        for name, choices in (("normalisation", NORMALISATIONS), ("sign", SIGNS)):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} among {', '.join(choices)}", repr(getattr(self, name)), "Choose one of them.")
        if not (
            0 <= self.inner < self.outer
            and self.notch > 0
            and self.edge > 0
            and self.spots >= 0
            and self.smoothing >= 0
        ):
            raise InputError(
                "a rising band, a positive softness and notch radius, no negative number of spots or smoothing",
                f"{self}",
                "Correct the Fourier settings.",
            )


def fourier_response(frame: npt.ArrayLike, settings: FourierSettings) -> npt.NDArray[np.float32]:
    """How much a frame departs from its lattice, pixel by pixel.

    Parameters
    ----------
    frame : (Y, X) float
        Raw.
    settings : FourierSettings

    Returns
    -------
    (Y, X) float32
        Higher = more defect-like; median 0 and robust standard deviation 1 (1.4826 times the median absolute
        deviation), so that a threshold means the same in every frame. All 0 where nothing is left.

    Raises
    ------
    InputError
        Not one frame, or values that are not finite.
    """
    raw = np.asarray(frame, np.float32)
    if raw.ndim != 2 or not np.isfinite(raw).all():
        found = f"shape {raw.shape}" if raw.ndim != 2 else "NaN or infinity"
        raise InputError("one frame (Y, X) of finite values", found, "Give one frame, its gaps filled.")
    flat = normalise(raw, settings.normalisation, settings.radius)
    spectrum = fft.rfft2(flat - flat.mean(), workers=_WORKERS)
    frequency = _frequencies(raw.shape)
    keep = expit((settings.outer - frequency) / (settings.outer * settings.edge))
    if settings.inner > 0:
        keep *= expit((frequency - settings.inner) / (settings.inner * settings.edge))
    _cut_spots(keep, np.abs(spectrum), frequency, settings)
    if settings.sign != "both":
        keep *= _gaussian(frequency, settings.smoothing)
    response = fft.irfft2(spectrum * keep, s=raw.shape, workers=_WORKERS)
    if settings.sign == "dark":
        response = -response
    elif settings.sign == "both":
        again = fft.rfft2(np.abs(response), workers=_WORKERS) * _gaussian(frequency, settings.smoothing)
        response = fft.irfft2(again, s=raw.shape, workers=_WORKERS)
    # Every third row and column is plenty for a median and spares the time.
    sample = response[::3, ::3]
    centre = np.median(sample)
    spread = 1.4826 * np.median(np.abs(sample - centre))
    if not spread > 1e-9:
        return np.zeros(raw.shape, np.float32)
    return ((response - centre) / spread).astype(np.float32)


def fourier_labels(frame: npt.ArrayLike, settings: FourierSettings) -> npt.NDArray[np.bool_]:
    """(Y, X) bool: where the response to a raw frame (Y, X) reaches the threshold."""
    return fourier_response(frame, settings) >= settings.threshold


@dataclass(frozen=True)
class FourierMethod:
    """The Fourier method for several classes, each with settings of its own.

    Attributes
    ----------
    settings : tuple of FourierSettings
        One per class, in the order of the annotation's classes.
    """

    settings: tuple[FourierSettings, ...]

    def probabilities(self, frame: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Response as a number between 0 and 1.

        Parameters
        ----------
        frame : (Y, X) float
            Raw.

        Returns
        -------
        (C, Y, X) float32
            Rises with the response and is 0.5 at the threshold; no probability in any other sense.
        """
        return np.stack([expit(fourier_response(frame, s) - np.float32(s.threshold)) for s in self.settings])

    def labels(self, frame: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """(Y, X) uint8: 0 = no defect, c + 1 = the class whose response is furthest above its threshold."""
        probabilities = self.probabilities(frame)
        best: npt.NDArray[np.uint8] = (probabilities.argmax(axis=0) + 1).astype(np.uint8)
        return best * (probabilities.max(axis=0) >= 0.5).astype(np.uint8)


@lru_cache(maxsize=4)
def _frequencies(shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """(Y, X // 2 + 1) float32: distance from the centre of the transform [cycles/px]."""
    frequency: npt.NDArray[np.float32] = np.hypot(fft.fftfreq(shape[0])[:, None], fft.rfftfreq(shape[1])[None])
    frequency = frequency.astype(np.float32)
    frequency.setflags(write=False)
    return frequency


def _gaussian(frequency: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    """The transform of a Gaussian of standard deviation `sigma` [px]."""
    return np.exp(-2 * (np.pi * np.float32(sigma) * frequency) ** 2)


def _cut_spots(
    keep: npt.NDArray[np.float32],
    amplitude: npt.NDArray[np.float32],
    frequency: npt.NDArray[np.float32],
    settings: FourierSettings,
) -> None:
    """Set `keep` to 0 around the strongest peaks of the half transform `amplitude`; all (Y, X // 2 + 1)."""
    if not settings.spots:
        return
    height, width = amplitude.shape
    bins = min(height, 2 * width)
    # A peak is what stands out of its own ring, since noise and the probe fall off with the frequency.
    ring = (frequency * 2 * bins).astype(np.intp)
    size = np.maximum(np.bincount(ring.ravel()), 1)
    level = np.bincount(ring.ravel(), weights=np.log(amplitude + 1e-12).ravel()) / size
    contrast = amplitude * np.exp(-level).astype(np.float32)[ring]
    peaks = amplitude == ndimage.maximum_filter(amplitude, size=5, mode=("wrap", "nearest"))
    # Within three bins it is the frame's own shape; below five times its ring it may be noise (Rayleigh: 1 in 10^6).
    peaks &= (contrast > 5.0) & (frequency * bins > 3)
    rows, columns = np.nonzero(peaks)
    strongest = np.argsort(contrast[rows, columns])[::-1][: settings.spots]
    reach = int(np.ceil(settings.notch))
    dy, dx = np.indices((2 * reach + 1, 2 * reach + 1)).reshape(2, -1) - reach
    disc = np.hypot(dy, dx) <= settings.notch
    y = (rows[strongest, None] + dy[disc]).ravel()
    x = (columns[strongest, None] + dx[disc]).ravel()
    # Left of the first column lie the conjugates, mirrored about the origin; so does the first column's other half.
    y, x = np.where(x < 0, -y, y) % height, np.abs(x)
    inside = x < width
    keep[y[inside], x[inside]] = 0
    keep[-y[x == 0] % height, 0] = 0
