"""Difficulty of a simulated movie: the signal-to-noise ratio of a single S vacancy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from scipy.optimize import brentq

from napari_menndl.errors import InputError
from napari_menndl.simulation.acquisition import Acquisition
from napari_menndl.simulation.imaging import S, W, columns_signal, perfect_scan
from napari_menndl.simulation.sample import Sample


def vacancy_snr(sample: Sample, acquisition: Acquisition) -> float:
    """Return the signal-to-noise ratio of a single S vacancy for a matched filter.

    SNR² = Σ s² / v over the pixels around it, where s = N Δf is the missing signal [e⁻], N the incident electrons per
    pixel, Δf the detected share of one S atom, and v = N f + (read-out noise / gain)² the variance: Poisson noise of
    all electrons detected there, including those from the tails of neighbouring W columns and the background. This is
    the deflection of the optimal linear detector for uncorrelated noise (Turin, IRE Trans. Inf. Theory 6, 311 (1960)),
    in focus, without scan noise, in the first frame.
    """
    pixel = acquisition.pixel_size
    half = math.ceil((0.6 + 3 * acquisition.tail_sigma) / pixel)
    size = 2 * half + 1
    a = sample.lattice_constant / pixel
    cell = a * np.array([[0.0, 1.0], [math.sqrt(3) / 2, 0.5]])
    reach = math.ceil(size / a) + 2
    index = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2), -1).reshape(-1, 2) @ cell
    one = (S / W) ** acquisition.z_exponent
    positions = np.concatenate([index + half, index + half - [a / math.sqrt(3), 0.0], [[half, half]]])
    weights = np.concatenate([np.full(len(index), 2 * one), np.ones(len(index)), [one]])
    scan = perfect_scan(size, size)
    missing = columns_signal(positions[-1:], weights[-1:], acquisition, scan)
    there = columns_signal(positions[:-1], weights[:-1], acquisition, scan) - missing
    there += acquisition.scattered_fraction * (acquisition.background + acquisition.contamination)
    n = acquisition.electrons
    variance = n * there + (acquisition.readout_noise / acquisition.gain) ** 2
    return float(np.sqrt(np.sum((n * missing) ** 2 / variance)))


def acquisition_for_snr(
    snr: float, sample: Sample | None = None, acquisition: Acquisition | None = None
) -> Acquisition:
    """Return the acquisition with the dose, and if needed a lower gain, at which a single S vacancy has this SNR.

    Raises
    ------
    InputError
        If the SNR is not between 0.1 and 100.
    """
    if not 0.1 <= snr <= 100:
        raise InputError(
            "a signal-to-noise ratio of the single S vacancy between 0.1 and 100",
            repr(snr),
            "About 1.5 is nearly hopeless, 3, 5 and 10 ever easier.",
        )
    sample, acquisition = sample or Sample(), acquisition or Acquisition()

    def at(dose: float) -> Acquisition:
        # The gain is lowered to avoid saturation, and the read-out noise with it, so that it stays the same in
        # electrons.
        bright = replace(acquisition, dose=1.0, gain=1.0)
        top = 1.5 * bright.electrons * dose * acquisition.scattered_fraction
        gain = min(acquisition.gain, 0.999 * (65535 - acquisition.offset) / top)
        noise = acquisition.readout_noise * gain / acquisition.gain
        return replace(acquisition, dose=dose, gain=gain, readout_noise=noise)

    found = brentq(lambda log: math.log(vacancy_snr(sample, at(math.exp(log))) / snr), 0.0, math.log(1e9), xtol=1e-6)
    return at(math.exp(found))
