"""Merging of the run folders of several islands into one that every view can read.

It contains every fact once, ordered by time, with births renumbered. A merged folder is a record, not a search: the
original evolutions had their own populations and random streams, and continue in their own folders.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.movie.metadata import common
from napari_menndl.network.checksum import is_intact
from napari_menndl.search.facts import Best, Born, Finished, Started, Stopped, Telemetry
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.islands.merge_source import Source, in_order, total
from napari_menndl.search.islands.shared_folder import describe
from napari_menndl.search.journal import Journal
from napari_menndl.search.lock import WriterLock
from napari_menndl.search.new_folder import check_new, new_run_folder

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from napari_menndl.search.facts import Fact
    from napari_menndl.search.islands.shared_folder import Island
    from napari_menndl.task.task import TrainingTask

#: Number of facts between two commits.
_BATCH = 10_000


def merge_folders(
    paths: Sequence[str | os.PathLike[str]],
    path: str | os.PathLike[str],
    note: Callable[[str], Any] = warnings.warn,
) -> RunFolder:
    """Merge run folders of the same task, search space and rungs.

    Whatever an interrupted or damaged run still holds is merged; a running search is merged in its current state.

    Parameters
    ----------
    paths : sequence of path
        Run folders; their order does not matter.
    path : path
        The folder to create, completely or not at all.
    note : callable
        Called with a message about anything missing.

    Raises
    ------
    InputError
        If the runs do not belong together, none can be read, or `path` is not empty.
    """
    target = Path(path).absolute()
    check_new(target)
    folders = _open(paths, note)
    first = folders[0]
    settings = replace(first.settings, exchange="", island="")
    with new_run_folder(target) as staged:
        merged = RunFolder.fill(
            staged,
            settings,
            first.space,
            _task(folders, note),
            [str(f.path) for f in folders],
            common(f.metadata for f in folders),
        )
        _merge(merged, [Source(one) for one in folders], note)
    return RunFolder.open(target)


def _open(paths: Sequence[str | os.PathLike[str]], note: Callable[[str], Any]) -> list[RunFolder]:
    folders: list[RunFolder] = []
    for path in sorted({Path(one).resolve() for one in paths}):
        if not path.is_dir():
            raise InputError("run folders", f"no folder {path}", "Check the path.")
        try:
            folder = RunFolder.open(path)
        except InputError as error:
            note(f"{path} is left out: {error}")
            continue
        if folder.merged:
            raise InputError(
                "the run folders of searches", f"{path}, itself merged", "Name those it was merged from instead."
            )
        if folders and (grounds := _identity(folder).difference(_identity(folders[0]))):
            raise InputError(
                f"runs for the same thing as {folders[0].path}", f"{path} for {grounds}", "Merge them apart."
            )
        if WriterLock(path).is_held:
            note(f"{path} is at work and taken as it stands; merge again when it has ended.")
        folders.append(folder)
    if not folders:
        raise InputError("run folders that can be read", "none", "Check the paths.")
    return folders


def _identity(folder: RunFolder) -> Island:
    return describe(folder.settings, folder.space, folder.task_digest, folder.path)


def _task(folders: list[RunFolder], note: Callable[[str], Any]) -> TrainingTask:
    """Return the first task that can be read and has the digest its search recorded."""
    for folder in folders:
        try:
            if folder.task.digest == folder.task_digest:
                return folder.task
            note(f"{folder.task_path} is damaged.")
        except (InputError, OSError) as error:
            note(f"{folder.task_path} cannot be read: {error}")
    raise InputError("a whole task.zarr in one of the runs", "none", "Restore one of them from a copy.")


def _merge(merged: RunFolder, sources: list[Source], note: Callable[[str], Any]) -> None:
    births, last = 0, 0.0
    best: Best | None = None
    with Journal(merged.journal_path) as journal:

        def write(fact: Fact) -> None:
            journal.record(**fact.to_json())

        slots = sum(one.head.slots for one in sources if isinstance(one.head, Started))
        for number, (source, fact) in enumerate(in_order(sources)):
            last = max(last, fact.time)
            match fact:
                case Started():
                    if number == 0:
                        write(replace(fact, slots=slots))
                case Born():
                    for one in source.renumber_birth(fact, births, sources):
                        write(one)
                    births += 1
                case Telemetry():
                    write(total([one.telemetry for one in sources if one.telemetry], fact.time))
                case Best():
                    ahead = _ahead(sources)
                    if ahead is not None and ahead != best:
                        best = ahead
                        write(replace(best, time=fact.time))
                case _ if (renumbered := source.renumbered(fact)) is not None:
                    write(renumbered)
            if number % _BATCH == 0:
                journal.commit()
        for source in sources:
            write(source.account(last))
            if source.unknown:
                note(f"{source.folder.path}: {source.unknown} facts tell of networks whose birth is lost.")
        for end in _end(sources):
            write(replace(end, time=last))
        _copy_weights(merged, sources, note)
        journal.commit()


def _ahead(sources: list[Source]) -> Best | None:
    """Return the best of the islands' best networks, with merged numbers."""
    known = [one.best for one in sources if one.best]
    return max(known, key=lambda fact: (fact.fitness, -fact.id), default=None)


def _end(sources: list[Source]) -> list[Fact]:
    """Return the last facts of the merged run: the answer of the best island, and whether any island had finished."""
    elapsed = max(one.elapsed for one in sources)
    stopped = Stopped(elapsed=elapsed, reason=f"merged from {len(sources)} runs, none of them finished")
    done = [one for one in sources if one.answer]
    if not done:
        return [stopped]
    winner = max(done, key=lambda one: (one.answer and one.answer.fitness) or 0.0)
    answer = winner.renumbered_answer()
    if not any(one.finished for one in sources):
        return [answer, stopped]
    reason = f"merged from {len(sources)} runs; {winner.name} came out best"
    return [Finished(reason=reason, elapsed=elapsed, **answer.values())]


def _copy_weights(merged: RunFolder, sources: list[Source], note: Callable[[str], Any]) -> None:
    """Copy all weights that the searches kept."""
    for source in sources:
        for key in sorted(source.folder.kept_weights()):
            new = source.key(key)
            if new is None:
                continue
            data = source.folder.read_weights(key)
            if is_intact(data):
                merged.write_weights(new, data)
            else:
                note(f"{source.folder.weights_path(key)} is damaged or gone, and left out.")
