"""Kinds of pool offered in forms, and how their specs are recognised."""

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
        Display name: ``"this computer"``.
    note : str
        Description, for a tooltip.
    prefix : str
        Text before the user's input; the whole spec if `example` is empty.
    example : str
        Example of the user's input; empty if no input is needed.
    owns : callable
        ``owns(spec)`` returns whether a spec is of this kind.
    files : str
        File filter, such as ``"*.yaml *.yml"``; empty if the input is not a file.
    """

    title: str
    note: str
    prefix: str
    example: str
    owns: Callable[[str], bool]
    files: str = ""

    def spec_from(self, given: str) -> str:
        """Return the spec for `open_pool` from the user's input.

        Raises
        ------
        InputError
            If the input is empty although it is required.
        """
        given = given.strip()
        if not self.example:
            return self.prefix
        if not given:
            what = "file" if self.files else "address"
            raise InputError(f"the {what} of: {self.title}", "an empty field", f"Give it, as in {self.example}.")
        return given if given.startswith(self.prefix) else self.prefix + given

    def given_in(self, spec: str) -> str:
        """Return the user's input that a spec contains."""
        return spec.removeprefix(self.prefix) if self.example else ""


_YAML = "*.yaml *.yml"


def pool_kinds() -> tuple[PoolKind, ...]:
    """Return all kinds, the usual one first; each spec is of exactly one."""
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
