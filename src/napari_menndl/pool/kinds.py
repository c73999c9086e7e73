"""The kinds of pool that a person can choose from: what forms offer, and how each is told from the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class PoolKind:
    """A kind of pool.

    Attributes
    ----------
    title : str
        For a person: ``"this computer"``.
    note : str
        What it does, for a tooltip.
    prefix : str
        What stands before what a person gives; the whole spec where `example` is empty.
    example : str
        Of what a person gives; empty where nothing is to be given.
    owns : callable
        spec → whether it is of this kind.
    files : str
        Which files a person can choose from, as ``"*.yaml *.yml"``; empty where none is wanted.
    """

    title: str
    note: str
    prefix: str
    example: str
    owns: Callable[[str], bool]
    files: str = ""

    def spec_from(self, given: str) -> str:
        """Return what `open_pool` takes, from what a person has given.

        Raises
        ------
        InputError
            If nothing was given and something has to be.
        """
        given = given.strip()
        if not self.example:
            return self.prefix
        if not given:
            what = "file" if self.files else "address"
            raise InputError(f"the {what} of: {self.title}", "an empty field", f"Give it, as in {self.example}.")
        return given if given.startswith(self.prefix) else self.prefix + given

    def given_in(self, spec: str) -> str:
        """Return what a person has given for this spec."""
        return spec.removeprefix(self.prefix) if self.example else ""


_YAML = "*.yaml *.yml"


def pool_kinds() -> tuple[PoolKind, ...]:
    """Return the kinds there are, the usual one first; each spec is of one."""
    return (
        PoolKind(
            "this computer",
            "A Dask cluster of its own: one network per GPU, or per core where there is none, at lowest priority",
            "local",
            "",
            lambda spec: spec == "local",
        ),
        PoolKind(
            "Dask scheduler",
            "A scheduler that somebody has started, here or, with certificates, elsewhere",
            "",
            "tcp://127.0.0.1:8786",
            lambda spec: spec.startswith(("tcp://", "tls://")),
        ),
        PoolKind(
            "scheduler file",
            "A scheduler that was started with --scheduler-file",
            "scheduler-file:",
            "scheduler.json",
            lambda spec: spec.startswith("scheduler-file:"),
            "*.json",
        ),
        PoolKind(
            "SSH machines",
            "A worker is started on each machine of a list, and ends with the search",
            "ssh:",
            "hosts.txt",
            lambda spec: spec.startswith("ssh:"),
            "*",
        ),
        PoolKind(
            "SLURM",
            "A worker in each of some jobs; the search has to be started where sbatch is",
            "slurm:",
            "profile.yaml",
            lambda spec: spec.startswith("slurm:"),
            _YAML,
        ),
        PoolKind(
            "pool file",
            "Whatever a small file says, kind: ssh and hosts: hosts.txt for instance",
            "",
            "pool.yaml",
            lambda spec: spec.endswith((".yaml", ".yml")) and not spec.startswith(("ssh:", "slurm:", "tls:")),
            _YAML,
        ),
        PoolKind(
            "one at a time",
            "A single network at a time, in order: the same seed gives the same search",
            "serial",
            "",
            lambda spec: spec == "serial",
        ),
    )
