"""Acquisition parameters of a simulated movie: beam, probe, scan, detector and contamination."""

from __future__ import annotations

from dataclasses import dataclass

from napari_menndl.errors import InputError
from napari_menndl.settings import check, documented, setting

POWER = "chosen; that it is a power of Z: doi:10.1038/s41598-018-30941-5 (2018) and what is cited there"
NOISE = 'of the kind shown by Jones, "Scan-noise and drift correction in the STEM", Microsc. Today (2014); value chosen'
RUTHERFORD = (
    "0.044 Å² over the probe's area; screened Rutherford scattering of W at 100 kV gives 0.056 Å² into 60 to 200 mrad "
    "and 0.036 Å² into 80 to 200 mrad"
)
CHOSEN = "chosen"


@documented
@dataclass(frozen=True)
class Acquisition:
    """How the movie is recorded: beam, probe, scan, detector and dirt."""

    pixel_size: float = setting(
        0.025,
        "Pixel size",
        "nm",
        "Three to four pixels over the probe's width.",
        min=0.002,
        max=0.1,
        source="chosen: 6.4 nm over 256 px",
    )
    dose: float = setting(
        3.2e4,
        "Dose",
        "e⁻/Å²",
        "Incident per frame; the single S vacancy has an SNR of 5.",
        min=1,
        max=1e9,
        source="chosen: 23 pA at the default dwell time",
    )
    dwell_time: float = setting(
        14.0,
        "Dwell time",
        "µs",
        "Time per pixel.",
        min=0.01,
        max=1e5,
        source="chosen: one frame of 256×256 px per second",
    )
    flyback_time: float = setting(300.0, "Flyback time", "µs", "Time between two lines.", min=0, max=1e6, source=CHOSEN)
    scattered_fraction: float = setting(
        0.04,
        "Scattered fraction",
        "1",
        "Share of the beam detected on a W column, in focus.",
        min=1e-5,
        max=0.5,
        source=RUTHERFORD,
    )
    z_exponent: float = setting(
        1.7,
        "Z exponent",
        "1",
        "HAADF intensity of an atom goes as Z to this.",
        min=1,
        max=2,
        source=POWER,
    )
    probe_sigma: float = setting(
        0.038,
        "Probe width",
        "nm",
        "Standard deviation of the core, source and vibration included.",
        min=0.005,
        max=0.2,
        source="chosen: 0.09 nm full width at half maximum",
    )
    tail_fraction: float = setting(
        0.2,
        "Tails",
        "1",
        "Share of the beam in the probe's tails.",
        min=0,
        max=0.9,
        source=CHOSEN,
    )
    tail_sigma: float = setting(
        0.11, "Width of the tails", "nm", "Standard deviation of the probe's tails.", min=0.01, max=1, source=CHOSEN
    )
    depth_of_focus: float = setting(
        5.0,
        "Depth of focus",
        "nm",
        "Defocus at which the core is √2 wider.",
        min=0.1,
        max=1e4,
        source="λ/α² is 4.7 nm at 100 kV and 28 mrad",
    )
    defocus: float = setting(
        2.0,
        "Defocus",
        "nm",
        "Rms over frames; from frame to frame it is correlated by half.",
        min=0,
        max=1e4,
        source=CHOSEN,
    )
    drift: float = setting(
        0.02, "Drift", "nm/s", "Steady drift; its direction is the area's.", min=0, max=10, source=CHOSEN
    )
    wander: float = setting(
        0.01, "Wander", "nm/√s", "Random walk of the sample, per axis.", min=0, max=10, source=CHOSEN
    )
    jitter: float = setting(
        0.004, "Line jitter", "nm", "Displacement of each line, rms per axis.", min=0, max=1, source=NOISE
    )
    flyback: float = setting(
        0.03, "Flyback", "nm", "Displacement at the start of each line.", min=0, max=10, source=CHOSEN
    )
    flyback_settling: float = setting(
        60.0, "Settling", "µs", "In which the flyback falls by e.", min=0.1, max=1e6, source=CHOSEN
    )
    background: float = setting(0.04, "Background", "1", "Over a W column in focus.", min=0, max=10, source=CHOSEN)
    background_variation: float = setting(
        0.35,
        "Variation",
        "1",
        "Rms of the background over its mean, smooth over nanometres.",
        min=0,
        max=1,
        source=CHOSEN,
    )
    contamination: float = setting(
        0.015, "Contamination", "1", "Mean at the start, over a W column in focus.", min=0, max=10, source=CHOSEN
    )
    contamination_growth: float = setting(
        0.0015,
        "Growth of contamination",
        "per frame",
        "Added mean, over a W column in focus.",
        min=0,
        max=10,
        source=CHOSEN,
    )
    gain: float = setting(
        8.0, "Gain", "grey/e⁻", "Grey values per detected electron.", min=1e-3, max=1e4, source=CHOSEN
    )
    offset: float = setting(200.0, "Offset", "grey", "Grey value without signal.", min=0, max=6e4, source=CHOSEN)
    readout_noise: float = setting(
        6.0, "Read-out noise", "grey", "Standard deviation per pixel.", min=0, max=1e4, source=CHOSEN
    )

    def __post_init__(self) -> None:
        check(self)
        if 1.5 * self.electrons * self.scattered_fraction * self.gain + self.offset > 65535:
            found = f"a gain of {self.gain:g} at {self.dose:g} e⁻/Å²"
            raise InputError("W columns within the detector's 16 bit", found, "Lower the gain.")

    @property
    def electrons(self) -> float:
        """Incident electrons per pixel and frame."""
        return self.dose * (10 * self.pixel_size) ** 2

    @property
    def beam_current(self) -> float:
        """Beam current [pA]."""
        return self.electrons / (self.dwell_time * 1e-6) * 1.602176634e-19 * 1e12

    def line_time(self, width: int) -> float:
        """Return the time from the start of one line to the start of the next [s]."""
        return (width * self.dwell_time + self.flyback_time) * 1e-6

    def frame_time(self, height: int, width: int) -> float:
        """Return the time from the start of one frame to the start of the next [s]."""
        return height * self.line_time(width)
