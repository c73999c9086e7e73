"""Making of a run folder: it appears whole, and what was left of one that was never finished is replaced."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from napari_menndl.annotation.files import open_own_group
from napari_menndl.errors import InputError
from napari_menndl.search.lock import unwritable
from napari_menndl.search.run_config import NAME
from napari_menndl.task.task import FORM, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Folders of a run that are there before its search has begun, and empty.
EMPTY_PARTS = ("networks", "requests")
TASK = "task.zarr"
#: Held while a run folder is made.
_LOCK = ".lock"
#: A training task that was not written to its end; earlier versions left them in the run folder.
_PARTIAL_TASK = re.compile(rf"\.{re.escape(TASK)}\.[0-9a-f]{{8}}(\.old)?")


@contextmanager
def new_run_folder(folder: Path) -> Iterator[Path]:
    """Context that makes a run folder: yields a hidden folder to fill, which becomes `folder` at the end.

    It lies beside `folder`, or within it where that exists. A process that dies leaves at most the hidden folder, which
    the next one to make the same run folder takes over.

    Raises
    ------
    InputError
        If `folder` holds a search or other files, if another process is making it, or if it cannot be written.
    """
    with _writing(folder):
        check_new(folder)
        place = folder if folder.is_dir() else folder.parent
        staged = place / f".{folder.name}.making"
        staged.mkdir(parents=True, exist_ok=True)
    with _locked(staged, folder):
        try:
            with _writing(folder):
                _empty(staged)
            yield staged
            with _writing(folder):
                check_new(folder)  # another process may have made it meanwhile
                _publish(staged, folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def check_new(folder: Path) -> None:
    """Refuse a folder for a new run that holds a search or other files; hidden files do not count.

    Raises
    ------
    InputError
        If it does. What was left of a run folder that was never finished is no reason.
    """
    if not folder.exists() or (folder.is_dir() and _is_unfinished(folder)):
        return
    if not folder.is_dir():
        raise InputError("a folder that can be written", f"the file {folder}", "Name another folder.")
    if (folder / NAME).exists():
        found, remedy = f"a search in {folder}", "Resume it (--resume), or name another."
    elif (folder / "journal.jsonl").exists():
        found = f"a search without its {NAME} in {folder}"
        remedy = f"Restore its {NAME} from a copy, or name another folder."
    else:
        names = sorted(_visible(folder))
        some = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        found, remedy = f"{folder} with something in it, files that are not a search's: {some}", "Name another folder."
    raise InputError("a new or empty run folder", found, remedy)


def _visible(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}


def _is_unfinished(folder: Path) -> bool:
    """Whether a folder holds nothing, or only what is made before a search begins."""
    names = _visible(folder)
    if names - {*EMPTY_PARTS, TASK} or any((folder / name).is_symlink() for name in names):
        return False
    if not all((folder / name).is_dir() and not any((folder / name).iterdir()) for name in names - {TASK}):
        return False
    if TASK not in names:
        return True
    try:
        group = open_own_group(folder / TASK, FORM, SCHEMA)
    except InputError:
        return False
    return _visible(folder / TASK) <= {"zarr.json", *group.array_keys()}


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except Timeout:  # of a lock; an OSError too
        raise
    except OSError as error:
        raise unwritable(folder, error) from error


@contextmanager
def _locked(staged: Path, folder: Path) -> Iterator[None]:
    lock = FileLock(staged / _LOCK, timeout=0)
    try:
        with _writing(folder):
            lock.acquire()
    except Timeout:
        raise InputError(
            "to be the only one that makes a run folder",
            f"another process at work on {folder}",
            "Watch that search when it has begun, or name another folder.",
        ) from None
    try:
        yield
    finally:
        lock.release()


def _empty(staged: Path) -> None:
    """Remove what an earlier process left in the hidden folder."""
    for entry in staged.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        elif entry.name != _LOCK:
            entry.unlink()


def _publish(staged: Path, folder: Path) -> None:
    if staged.parent != folder:
        (staged / _LOCK).unlink()
        staged.rename(folder)
        return
    for name in EMPTY_PARTS:
        with suppress(FileNotFoundError):
            (folder / name).rmdir()
    for entry in list(folder.iterdir()):
        if entry.name == TASK or _PARTIAL_TASK.fullmatch(entry.name):
            shutil.rmtree(entry)
    names = {entry.name for entry in staged.iterdir()} - {_LOCK, NAME}
    for name in (*sorted(names), NAME):  # this one last: it is what makes a folder a run folder
        (staged / name).rename(folder / name)
