"""The kinds of pool that a person can choose from: what forms offer, and how each is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_menndl.pool.check import Connection


@dataclass(frozen=True)
class PoolKind:
    """A kind of pool.

    Attributes
    ----------
    title : str
        For a person: ``"this computer"``.
    note : str
        What it does, for a tooltip.
    spec : str
        What `open_pool` takes; empty where a person gives it.
    example : str
        Of what a person gives.
    owns : callable
        spec → whether it is of this kind.
    check : callable
        spec → `Connection`; raises InputError.
    """

    title: str
    note: str
    spec: str
    example: str
    owns: Callable[[str], bool]
    check: Callable[[str], Connection]

    def spec_from(self, given: str) -> str:
        """Return what `open_pool` takes, from what a person has given.

        Raises
        ------
        InputError
            If nothing was given and something has to be.
        """
        spec = self.spec or given.strip()
        if not spec:
            raise InputError(f"the address of a {self.title}", "an empty field", f"Give it, as in {self.example}.")
        return spec


def pool_kinds() -> tuple[PoolKind, ...]:
    """Return the kinds there are, the usual one first."""
    from napari_menndl.pool.check import check_scheduler, check_this_computer

    return (
        PoolKind(
            "this computer",
            "A Dask cluster of its own: one network per GPU, or per core where there is none, at lowest priority",
            "local",
            "",
            lambda spec: spec == "local",
            check_this_computer,
        ),
        PoolKind(
            "Dask scheduler",
            "A scheduler that somebody has started; far ones through an SSH tunnel",
            "",
            "tcp://127.0.0.1:8786",
            lambda spec: "://" in spec,
            check_scheduler,
        ),
        PoolKind(
            "one at a time",
            "A single network at a time, in order: the same seed gives the same search",
            "serial",
            "",
            lambda spec: spec == "serial",
            check_this_computer,
        ),
    )
