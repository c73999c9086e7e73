"""Image formation: from atomic columns to the detected share of the beam, and to grey values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_menndl.simulation.sample import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_menndl.simulation.acquisition import Acquisition

#: Atomic numbers.
W, MO, S = 74, 42, 16
_REACH = 4.0  # radius to which the probe's core is computed [standard deviations]


def strengths(metal: NDArray[np.bool_], kind: NDArray[Any], z_exponent: float) -> NDArray[np.float64]:
    """Return the HAADF strength of columns relative to a W atom: the sum of Z to a power over their atoms.

    Parameters
    ----------
    metal : (n,) bool
        W sites; the others are S2 columns.
    kind : (n,) int
        `Kind` of each.
    z_exponent : float

    Returns
    -------
    (n,) float64
    """
    mo, s = (MO / W) ** z_exponent, (S / W) ** z_exponent
    table = np.zeros((2, len(Kind)))
    table[0, [Kind.PERFECT, Kind.S_VACANCY]] = 2 * s, s
    table[1, [Kind.PERFECT, Kind.MO]] = 1, mo
    return table[np.asarray(metal, int), np.asarray(kind)]


@dataclass(frozen=True)
class Scan:
    """Scan errors of one frame, drawn for each frame.

    Attributes
    ----------
    dy, dx : (Y, X) or (Y, 1) float64 [px]
        Deviation of the beam from its nominal position.
    defocus : float [nm]
    """

    dy: NDArray[np.float64]
    dx: NDArray[np.float64]
    defocus: float = 0.0


def perfect_scan(height: int, width: int) -> Scan:
    """Return a scan without jitter or flyback distortion, in focus."""
    return Scan(np.zeros((height, 1)), np.zeros((height, width)))


def columns_signal(
    positions: NDArray[np.float64], strengths: NDArray[np.float64], acquisition: Acquisition, scan: Scan
) -> NDArray[np.float64]:
    """Return the share of the beam detected per pixel, from columns only.

    The probe is a Gaussian core with Gaussian tails. Defocus widens the core like a Gaussian beam, σ = σ₀ √(1 +
    (defocus / depth of focus)²), and conserves its integral.

    Parameters
    ----------
    positions : (n, 2) float64 (y, x) [px]
    strengths : (n,) float64
        Relative to a W column.
    acquisition : Acquisition
    scan : Scan

    Returns
    -------
    (Y, X) float64
    """
    height, width = scan.dx.shape
    pixel = acquisition.pixel_size
    best, tails = acquisition.probe_sigma / pixel, acquisition.tail_sigma / pixel
    core = best * math.sqrt(1 + (scan.defocus / acquisition.depth_of_focus) ** 2)
    share = acquisition.tail_fraction
    # Total scattering of a W column, from its scattering under the centre of the focused probe.
    whole = acquisition.scattered_fraction / ((1 - share) / (2 * np.pi * best**2) + share / (2 * np.pi * tails**2))

    # The tails are smooth, so they are rendered as blurred points, each distributed over four pixels; the variance that
    # this distribution adds is subtracted from the blur's.
    edge = math.ceil(4 * tails) + 1
    points = np.zeros((height + 2 * edge, width + 2 * edge))
    low = np.floor(positions).astype(int)
    part = positions - low
    for down in (0, 1):
        for right in (0, 1):
            amount = np.abs(1 - down - part[:, 0]) * np.abs(1 - right - part[:, 1]) * strengths
            at = low + np.array([down + edge, right + edge])
            inside = ((at >= 0) & (at < points.shape)).all(axis=1)
            np.add.at(points, tuple(at[inside].T), amount[inside])
    blurred = gaussian_filter(points, math.sqrt(max(tails**2 - 1 / 6, 0.01)), mode="constant", truncate=4)
    signal = share * blurred[edge:-edge, edge:-edge]

    reach = math.ceil(_REACH * core) + 1
    near = ((positions > -reach) & (positions < np.array([height, width]) + reach)).all(axis=1) & (strengths > 0)
    positions, strengths = positions[near], strengths[near]
    window = np.arange(-reach, reach + 1)
    rows = np.round(positions[:, :1]).astype(int) + window
    cols = np.round(positions[:, 1:]).astype(int) + window
    row, col = np.clip(rows, 0, height - 1), np.clip(cols, 0, width - 1)
    away_y = rows + scan.dy[row, 0] - positions[:, :1]
    away_x = cols[:, None, :] + scan.dx[row[:, :, None], col[:, None, :]] - positions[:, 1:, None]
    height_y = np.exp(-(away_y**2) / (2 * core**2)) * (strengths / (2 * np.pi * core**2))[:, None]
    drawn = height_y[:, :, None] * np.exp(-(away_x**2) / (2 * core**2))
    drawn *= (rows == row)[:, :, None] & (cols == col)[:, None, :]
    flat = (row[:, :, None] * width + col[:, None, :]).ravel()
    signal += (1 - share) * np.bincount(flat, drawn.ravel(), height * width).reshape(height, width)
    return np.asarray(whole * signal)


def detect(fraction: NDArray[np.float64], acquisition: Acquisition, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return 16 bit grey values: Poisson counts of detected electrons, times gain, plus offset and read-out noise.

    Parameters
    ----------
    fraction : (Y, X) float64
        Detected share of the beam.
    acquisition : Acquisition
    rng : Generator
    """
    counts = rng.poisson(acquisition.electrons * fraction)
    grey = acquisition.gain * counts + acquisition.offset + rng.normal(0, acquisition.readout_noise, fraction.shape)
    return np.clip(np.rint(grey), 0, 65535).astype(np.uint16)
