"""The parameters of a monolayer of Mo-doped 1H-WS2 with defects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from napari_menndl.movie.parameters import check_ranges, documented, parameter

MAKSOV = "Maksov et al., npj Comput. Mater. 5, 12 (2019), doi:10.1038/s41524-019-0152-9: Mo-doped WS2 at 100 kV"
HONG = "order of 1e13 cm⁻² seen by Hong et al., Nat. Commun. 6, 6293 (2015), doi:10.1038/ncomms7293, in MoS2"
PBE = "density functional theory (PBE); bulk by X-rays 0.315 nm, Schutte et al., J. Solid State Chem. 70, 207 (1987)"
SPECKMANN = "order of what Speckmann et al., arXiv:2302.10529 (2023), measured on MoS2 up to 90 kV"
CHOSEN = "chosen"


class Kind(IntEnum):
    """What is at a site; also the value in the labels, 0 being the perfect lattice."""

    PERFECT = 0
    MO = 1
    S_VACANCY = 2
    S2_VACANCY = 3
    W_VACANCY = 4
    HOLE = 5


#: Class c has the label c + 1.
CLASS_NAMES = ("Mo substitution", "S vacancy", "S2 vacancy", "W vacancy", "hole")


@documented
@dataclass(frozen=True)
class Sample:
    """The material: its lattice, its defects in the first frame, and what the beam does to it.

    Rates are per frame and do not follow the dose, so that the same sample can be seen at any signal-to-noise ratio.
    """

    lattice_constant: float = parameter(
        0.3186, "Lattice constant", "nm", "The projected W–S distance is this over √3, 0.184 nm.", 0.2, 0.5, PBE
    )
    rotation: float = parameter(11.0, "Rotation", "°", "Of the lattice against the scan lines.", -180, 180, CHOSEN)
    displacement: float = parameter(
        0.003, "Displacement", "nm", "Of a column, static, rms per axis; vibration is in the probe.", 0, 0.05, CHOSEN
    )
    mo_fraction: float = parameter(
        0.035, "Mo on W sites", "1", "Share of the metal sites.", 0, 1, f"{MAKSOV}; value chosen"
    )
    s_vacancies: float = parameter(
        0.025, "Single S vacancies", "1", "Share of the S2 columns that lack one S at the start.", 0, 1, HONG
    )
    s2_vacancies: float = parameter(
        0.008, "Double S vacancies", "1", "Share of the S2 columns that lack both S at the start.", 0, 1, HONG
    )
    w_vacancies: float = parameter(
        0.012, "W vacancies", "1", "Share of the metal sites empty at the start.", 0, 1, CHOSEN
    )
    hole_density: float = parameter(0.04, "Holes", "nm⁻²", "Holes per area at the start.", 0, 1, CHOSEN)
    s_loss: float = parameter(
        0.0012,
        "Loss of S",
        "per atom and frame",
        "Probability that the beam removes an S atom: 4 barn at 3e4 e⁻/Å².",
        0,
        1,
        SPECKMANN,
    )
    s_hop: float = parameter(
        0.01,
        "Hop of an S vacancy",
        "per frame",
        "Exchange with a neighbouring S2 column.",
        0,
        1,
        f"{MAKSOV}; value chosen",
    )
    mo_hop: float = parameter(0.002, "Hop of Mo", "per frame", "Exchange with a neighbouring W.", 0, 1, CHOSEN)
    hole_nucleation: float = parameter(
        0.004, "Birth of a hole", "per frame", "From a double S or a W vacancy.", 0, 1, CHOSEN
    )
    hole_growth: float = parameter(
        0.03, "Growth of a hole", "per frame", "Probability that a column at its edge is lost.", 0, 1, CHOSEN
    )

    def __post_init__(self) -> None:
        check_ranges(self)
