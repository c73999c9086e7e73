"""The parameters of a recording: beam, probe, scan, detector and dirt."""

from __future__ import annotations

from dataclasses import dataclass

from napari_menndl.errors import InputError
from napari_menndl.movie.parameters import check_ranges, documented, parameter

KRIVANEK = "Krivanek et al., Nature 464, 571 (2010), doi:10.1038/nature08879"
NION = "order of an aberration-corrected 100 kV STEM, Krivanek et al., Ultramicroscopy 108, 179 (2008)"
JONES = "Jones & Nellist, Microsc. Microanal. 19, 1050 (2013), doi:10.1017/S1431927613001402; value chosen"
RUTHERFORD = "screened Rutherford scattering of W at 100 kV into 60–200 mrad, 0.03–0.05 Å², over the probe's area"
PIXEL = "6.4 nm over 256 px; the images of J. Am. Chem. Soc. 2022, doi:10.1021/jacs.1c12466, have 0.029 nm"
CURRENT = "23 pA at the default dwell time; tens of pA are usual on such instruments"
CHOSEN = "chosen"


@documented
@dataclass(frozen=True)
class Acquisition:
    """How the movie is recorded: beam, probe, scan, detector and dirt."""

    pixel_size: float = parameter(
        0.025, "Pixel size", "nm", "Three to four pixels over the probe's width.", 0.002, 0.1, PIXEL
    )
    dose: float = parameter(
        3.2e4, "Dose", "e⁻/Å²", "Incident per frame; the single S vacancy has an SNR of 5.", 1, 1e9, CURRENT
    )
    dwell_time: float = parameter(
        14.0, "Dwell time", "µs", "Time per pixel.", 0.01, 1e5, "one frame of 256×256 px per second"
    )
    flyback_time: float = parameter(300.0, "Flyback time", "µs", "Time between two lines.", 0, 1e6, CHOSEN)
    scattered_fraction: float = parameter(
        0.04, "Scattered fraction", "1", "Share of the beam detected on a W column, in focus.", 1e-5, 0.5, RUTHERFORD
    )
    z_exponent: float = parameter(
        1.7,
        "Z exponent",
        "1",
        "HAADF intensity of an atom goes as Z to this.",
        1,
        2,
        f"near the 1.64 of {KRIVANEK}",
    )
    probe_sigma: float = parameter(
        0.038, "Probe width", "nm", "Standard deviation of the core, source and vibration included.", 0.005, 0.2, NION
    )
    tail_fraction: float = parameter(
        0.2, "Tails", "1", "Share of the beam in the probe's tails.", 0, 0.9, f"tails shown by {KRIVANEK}; value chosen"
    )
    tail_sigma: float = parameter(
        0.11, "Width of the tails", "nm", "Standard deviation of the probe's tails.", 0.01, 1, CHOSEN
    )
    depth_of_focus: float = parameter(
        5.0,
        "Depth of focus",
        "nm",
        "Defocus at which the core is √2 wider.",
        0.1,
        1e4,
        "λ/α² at 100 kV, 28 mrad",
    )
    defocus: float = parameter(
        2.0, "Defocus", "nm", "Rms over frames; from frame to frame it is correlated by half.", 0, 1e4, CHOSEN
    )
    drift: float = parameter(0.02, "Drift", "nm/s", "Steady drift; its direction is the area's.", 0, 10, CHOSEN)
    wander: float = parameter(0.01, "Wander", "nm/√s", "Random walk of the sample, per axis.", 0, 10, CHOSEN)
    jitter: float = parameter(0.004, "Line jitter", "nm", "Displacement of each line, rms per axis.", 0, 1, JONES)
    flyback: float = parameter(0.03, "Flyback", "nm", "Displacement at the start of each line.", 0, 10, JONES)
    flyback_settling: float = parameter(60.0, "Settling", "µs", "In which the flyback falls by e.", 0.1, 1e6, CHOSEN)
    background: float = parameter(0.04, "Background", "1", "Over a W column in focus.", 0, 10, CHOSEN)
    background_variation: float = parameter(
        0.35, "Variation", "1", "Rms of the background over its mean, smooth over nanometres.", 0, 1, CHOSEN
    )
    contamination: float = parameter(
        0.015, "Contamination", "1", "Mean at the start, over a W column in focus.", 0, 10, CHOSEN
    )
    contamination_growth: float = parameter(
        0.0015, "Growth of contamination", "per frame", "Added mean, over a W column in focus.", 0, 10, CHOSEN
    )
    gain: float = parameter(8.0, "Gain", "grey/e⁻", "Grey values per detected electron.", 1e-3, 1e4, CHOSEN)
    offset: float = parameter(200.0, "Offset", "grey", "Grey value without signal.", 0, 6e4, CHOSEN)
    readout_noise: float = parameter(6.0, "Read-out noise", "grey", "Standard deviation per pixel.", 0, 1e4, CHOSEN)

    def __post_init__(self) -> None:
        check_ranges(self)
        if 1.5 * self.electrons * self.scattered_fraction * self.gain + self.offset > 65535:
            found = f"a gain of {self.gain:g} at {self.dose:g} e⁻/Å²"
            raise InputError("W columns within the detector's 16 bit", found, "Lower the gain.")

    @property
    def electrons(self) -> float:
        """Incident electrons per pixel and frame."""
        return self.dose * (10 * self.pixel_size) ** 2

    @property
    def beam_current(self) -> float:
        """[pA]."""
        return self.electrons / (self.dwell_time * 1e-6) * 1.602176634e-19 * 1e12

    def line_time(self, width: int) -> float:
        """From the start of one line to the start of the next [s]."""
        return (width * self.dwell_time + self.flyback_time) * 1e-6

    def frame_time(self, height: int, width: int) -> float:
        """From the start of one frame to the start of the next [s]."""
        return height * self.line_time(width)
