"""``search.json``: configuration that a search was started with; its presence makes a folder a run folder."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.files import atomic_write
from napari_menndl.genome.genome import Genome
from napari_menndl.genome.space import SearchSpace
from napari_menndl.movie.metadata import UNKNOWN, Metadata
from napari_menndl.search.candidate import EvaluationKey, Founder
from napari_menndl.search.settings import SearchSettings

if TYPE_CHECKING:
    from pathlib import Path

NAME = "search.json"
FORMAT = "napari-menndl search"
SCHEMA = 1
_PACKAGES = ("napari-menndl", "numpy", "scipy", "torch", "dask", "distributed", "zarr", "safetensors")


def installed_versions() -> dict[str, str]:
    """Return the versions of the packages that a search's numbers depend on; "unknown" without package metadata."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


@dataclass(frozen=True)
class RunConfig:
    """Configuration that a search was started with.

    Attributes
    ----------
    settings : SearchSettings
    space : SearchSpace
    task : str
        Digest of the training task.
    merged : tuple of str
        The run folders that it was merged from; empty for a search.
    versions : dict of str to str
        Versions of the packages it was started with.
    metadata : Metadata
        Recording metadata of the movie.
    founders : tuple of Founder
        Founders from another search; their weights lie in the run folder.
    seen : tuple of (int, str)
        Number and digest of the recorded frames that these weights were trained on.
    """

    settings: SearchSettings
    space: SearchSpace
    task: str
    merged: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=installed_versions)
    metadata: Metadata = UNKNOWN
    founders: tuple[Founder, ...] = ()
    seen: tuple[tuple[int, str], ...] = ()

    def write(self, folder: Path) -> None:
        """Write the configuration to a folder, atomically."""
        record = {
            "format": FORMAT,
            "schema": SCHEMA,
            "versions": self.versions,
            "task": self.task,
            "settings": self.settings.to_json(),
            "space": self.space.to_json(),
            **({"merged": list(self.merged)} if self.merged else {}),
            **({"metadata": known} if (known := self.metadata.to_json()) else {}),
            **({"founders": [_to_json(one) for one in self.founders], "seen": self.seen} if self.founders else {}),
        }
        atomic_write(folder / NAME, json.dumps(record, indent=1).encode())

    @classmethod
    def read(cls, folder: Path) -> RunConfig:
        """Read the configuration of a folder.

        Raises
        ------
        InputError
            If there is none, it is damaged, or a newer version wrote it.
        """
        try:
            record = json.loads((folder / NAME).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise InputError("a run folder", f"no {NAME} in {folder}", "Check the path.") from None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"a readable {NAME}", f"{error} in {folder}", "Restore it from a copy.") from error
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise InputError("a run folder", f"a {NAME} of something else in {folder}", "Check the path.")
        versions = record.get("versions")
        versions = versions if isinstance(versions, dict) else {}
        if not isinstance(record.get("schema"), int) or record["schema"] > SCHEMA:
            raise InputError(
                f"a run folder of schema {SCHEMA} or older",
                f"schema {record.get('schema')}, written by version {versions.get(_PACKAGES[0])}",
                "Update napari-menndl.",
            )
        if missing := sorted({"settings", "space", "task"} - record.keys()):
            raise InputError(
                f"a complete {NAME}", f"one without {', '.join(missing)} in {folder}", "Restore it from a copy."
            )
        return cls(
            SearchSettings.from_json(record["settings"]),
            SearchSpace.from_json(record["space"]),
            str(record["task"]),
            tuple(record.get("merged", ())),
            versions,
            Metadata.from_json(metadata if isinstance(metadata := record.get("metadata"), dict) else {}),
            *_founders(record, folder),
        )


def _to_json(founder: Founder) -> dict[str, Any]:
    return {"origin": founder.origin, "weights": founder.weights, "genome": founder.genome.to_json()}


def _founders(record: dict[str, Any], folder: Path) -> tuple[tuple[Founder, ...], tuple[tuple[int, str], ...]]:
    try:
        founders = tuple(
            Founder(
                str(one["origin"]),
                Genome.from_json(one["genome"]),
                EvaluationKey(one["weights"]) if one["weights"] else None,
            )
            for one in record.get("founders", ())
        )
        return founders, tuple((int(t), str(digest)) for t, digest in record.get("seen", ()))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"founders in {NAME}", f"{error!r} in {folder}", "Restore it from a copy.") from error
