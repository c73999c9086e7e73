"""Parameters of a monolayer of Mo-doped 1H-WS2 with defects."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from napari_menndl.settings import check, documented, setting

MAKSOV = "Maksov et al., npj Comput. Mater. 5, 12 (2019), doi:10.1038/s41524-019-0152-9: Mo-doped WS2 at 100 kV"
HONG = (
    "2.8e13 cm⁻²; up to 3.5e13 cm⁻² defects, mostly S vacancies where exfoliated or grown by chemical vapour "
    "deposition, were counted in MoS2 by Hong et al., Nat. Commun. 6, 6293 (2015), doi:10.1038/ncomms7293"
)
PBE = "chosen; density functional theory (PBE) gives 0.319 nm: WS2 P-6m2 of the database 2DSdb, materialsdb.cn"
SPECKMANN = "chosen; measured for MoS2 at 55 to 90 kV by Speckmann et al., arXiv:2302.10529 (2023)"
CHOSEN = "chosen"


class Kind(IntEnum):
    """State of a site; also the value in the labels, where 0 is the perfect lattice."""

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

    lattice_constant: float = setting(
        0.3186,
        "Lattice constant",
        "nm",
        "The projected W–S distance is this over √3, 0.184 nm.",
        min=0.2,
        max=0.5,
        source=PBE,
    )
    rotation: float = setting(
        11.0, "Rotation", "°", "Of the lattice against the scan lines.", min=-180, max=180, source=CHOSEN
    )
    displacement: float = setting(
        0.003,
        "Displacement",
        "nm",
        "Of a column, static, rms per axis; vibration is in the probe.",
        min=0,
        max=0.05,
        source=CHOSEN,
    )
    mo_fraction: float = setting(
        0.035, "Mo on W sites", "1", "Share of the metal sites.", min=0, max=1, source=f"{MAKSOV}; value chosen"
    )
    s_vacancies: float = setting(
        0.025,
        "Single S vacancies",
        "1",
        "Share of the S2 columns that lack one S at the start.",
        min=0,
        max=1,
        source=HONG,
    )
    s2_vacancies: float = setting(
        0.008,
        "Double S vacancies",
        "1",
        "Share of the S2 columns that lack both S at the start.",
        min=0,
        max=1,
        source=CHOSEN,
    )
    w_vacancies: float = setting(
        0.012, "W vacancies", "1", "Share of the metal sites empty at the start.", min=0, max=1, source=CHOSEN
    )
    hole_density: float = setting(0.04, "Holes", "nm⁻²", "Holes per area at the start.", min=0, max=1, source=CHOSEN)
    s_loss: float = setting(
        0.0012,
        "Loss of S",
        "per atom and frame",
        "Probability that the beam removes an S atom: 4 barn at 3e4 e⁻/Å².",
        min=0,
        max=1,
        source=SPECKMANN,
    )
    s_hop: float = setting(
        0.01,
        "Hop of an S vacancy",
        "per frame",
        "Exchange with a neighbouring S2 column.",
        min=0,
        max=1,
        source=f"{MAKSOV}; value chosen",
    )
    mo_hop: float = setting(
        0.002, "Hop of Mo", "per frame", "Exchange with a neighbouring W.", min=0, max=1, source=CHOSEN
    )
    hole_nucleation: float = setting(
        0.004, "Birth of a hole", "per frame", "From a double S or a W vacancy.", min=0, max=1, source=CHOSEN
    )
    hole_growth: float = setting(
        0.03,
        "Growth of a hole",
        "per frame",
        "Probability that a column at its edge is lost.",
        min=0,
        max=1,
        source=CHOSEN,
    )

    def __post_init__(self) -> None:
        check(self)
