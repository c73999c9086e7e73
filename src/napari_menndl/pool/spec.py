"""Pool specs, a string or a small file, and the settings they stand for.

``serial`` · ``local`` · ``tcp://127.0.0.1:8786`` · ``tls://host:8786?certificates=FOLDER`` · ``scheduler-file:PATH`` ·
``ssh:HOSTS-FILE`` · ``slurm:PROFILE.yaml`` · ``some-pool.yaml``
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import yaml

from napari_menndl.errors import InputError
from napari_menndl.pool.settings import (
    KINDS,
    PoolSettings,
    SchedulerFileSettings,
    SchedulerSettings,
    SshSettings,
    path_of,
)
from napari_menndl.serialization import from_mapping

SPECS = "local, serial, tcp://127.0.0.1:PORT, tls://HOST:PORT, scheduler-file:PATH, ssh:HOSTS, slurm:YAML or POOL.yaml"
#: Largest pool file [bytes].
_LARGEST = 100_000


def read_pool(spec: str) -> PoolSettings:
    """Return the settings of a spec, with absolute paths.

    Raises
    ------
    InputError
        If the spec is invalid, or a file it names cannot be used.
    """
    spec = spec.strip()
    if spec in ("local", "serial"):
        return KINDS[spec]()
    kind, _, rest = spec.partition(":")
    if kind in ("tcp", "tls"):
        parts = urlsplit(spec)
        options = dict(parse_qsl(parts.query))
        if unknown := sorted(set(options) - {"certificates"}):
            remedy = "Say more in a pool file, with kind: scheduler."
            raise InputError(f"{parts.scheme}://host:port?certificates=FOLDER", ", ".join(unknown), remedy)
        address = f"{parts.scheme}://{parts.netloc}"
        return _whole(SchedulerSettings(address=address, certificates=options.get("certificates", "")), Path())
    if kind == "scheduler-file" and rest:
        return _whole(SchedulerFileSettings(file=rest), Path())
    if kind == "ssh" and rest:
        return _whole(SshSettings(hosts=rest), Path())
    if kind == "slurm" and rest:
        return read_pool_file(rest, kind)
    if spec.endswith((".yaml", ".yml")):
        return read_pool_file(spec)
    raise InputError(f"a pool: {SPECS}", repr(spec), 'Use "local" for this machine; see docs/pools for the others.')


def read_pool_file(path: str | Path, kind: str | None = None) -> PoolSettings:
    """Read a pool file: YAML with ``kind`` and the fields of that kind.

    Parameters
    ----------
    path : path
    kind : str, optional
        Required kind, which the file may then omit.

    Raises
    ------
    InputError
    """
    path = path_of(str(path))
    example = "Write lines such as `kind: ssh` and `hosts: hosts.txt`."
    try:
        if path.stat().st_size > _LARGEST:
            raise InputError(f"a pool file of at most {_LARGEST} bytes", f"a larger one, {path}", example)
        said: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"a pool file at {path}", str(error), "Correct the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"YAML in {path}", " ".join(str(error).split()), example) from error
    if not isinstance(said, dict):
        raise InputError(f"names and values in {path}", type(said).__name__, example)
    found = said.pop("kind", kind)
    if found not in KINDS or (kind is not None and found != kind):
        expected = kind or ", ".join(KINDS)
        raise InputError(f"`kind:` to be {expected} in {path}", repr(found), f"Write `kind: {kind or 'ssh'}`.")
    try:
        return _whole(from_mapping(KINDS[found], said), path.parent)
    except InputError as error:
        raise InputError(f"{error.expected} in {path}", error.found, error.remedy) from error


def absolute_spec(spec: str) -> str:
    """Return a spec with absolute paths, since the search process that reads it has another working folder."""
    spec = spec.strip()
    kind, _, rest = spec.partition(":")
    if kind in ("scheduler-file", "ssh", "slurm") and rest:
        return f"{kind}:{path_of(rest)}"
    if spec.endswith((".yaml", ".yml")):
        return str(path_of(spec))
    settings = read_pool(spec)
    if isinstance(settings, SchedulerSettings) and settings.certificates:
        return f"{settings.address}?certificates={quote(settings.certificates)}"
    return spec


def _whole(settings: PoolSettings, folder: Path) -> PoolSettings:
    """Make the given paths absolute."""
    given = {name: getattr(settings, name) for name in settings.paths}
    whole: dict[str, Any] = {n: str(path_of(str(folder / Path(p).expanduser()))) for n, p in given.items() if p}
    return replace(settings, **whole)
