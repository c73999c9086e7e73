"""Run folder of one search, the interface between the search process and its views."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_menndl.errors import InputError
from napari_menndl.files import Pause, atomic_write, check_links, wait_for_room
from napari_menndl.movie.metadata import UNKNOWN
from napari_menndl.search.candidate import EvaluationKey, GivenFounders
from napari_menndl.search.facts import iterate_facts
from napari_menndl.search.lock import WriterLock, unwritable
from napari_menndl.search.new_folder import EMPTY_PARTS, TASK, new_run_folder
from napari_menndl.search.run_config import RunConfig
from napari_menndl.search.views.monitor import RunMonitor
from napari_menndl.task.task import TrainingTask

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from napari_menndl.genome.space import SearchSpace
    from napari_menndl.movie.metadata import Metadata
    from napari_menndl.search.candidate import Founder
    from napari_menndl.search.facts import Fact
    from napari_menndl.search.settings import SearchSettings
    from napari_menndl.search.views.reader import RunReader


class RunFolder:
    """One search on disk; made by `create` or `open`.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path, record: RunConfig) -> None:
        self.path = path
        self._record = record
        self._lock = WriterLock(path)
        self._monitor = self._open_monitor(self._lock)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        settings: SearchSettings,
        space: SearchSpace,
        task: TrainingTask,
        merged: Sequence[str] = (),
        metadata: Metadata = UNKNOWN,
        given: GivenFounders | None = None,
    ) -> RunFolder:
        """Create the folder of a new search, or of a merged run.

        The weights that given founders inherit are copied into it.

        Raises
        ------
        InputError
            If the folder is not empty, or cannot be written.
        """
        folder = Path(path).absolute()
        with new_run_folder(folder) as staged:
            record = cls.fill(staged, settings, space, task, merged, metadata, given)._record
        return cls(folder, record)

    @classmethod
    def fill(
        cls,
        staged: Path,
        settings: SearchSettings,
        space: SearchSpace,
        task: TrainingTask,
        merged: Sequence[str] = (),
        metadata: Metadata = UNKNOWN,
        given: GivenFounders | None = None,
    ) -> RunFolder:
        """Write what a search begins with into the hidden folder of `new_run_folder`.

        Raises
        ------
        InputError
            If it cannot be written.
        """
        given = given or GivenFounders()
        record = RunConfig(
            settings, space, task.digest, tuple(merged), metadata=metadata, founders=given.founders, seen=given.seen
        )
        filled = cls(staged, record)
        try:
            for part in EMPTY_PARTS:
                (staged / part).mkdir()
            task.save(staged / TASK)
            for key, data in given.weights.items():
                atomic_write(filled.weights_path(key), data)
            record.write(staged)
        except OSError as error:
            raise unwritable(staged.parent, error) from error
        return filled

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open the folder of a search, running or not; it may be read-only.

        Raises
        ------
        InputError
            If it is no run folder, is damaged, was written by a newer version, or contains a link that leads out of it.
        """
        folder = Path(path).absolute()
        record = RunConfig.read(folder)
        check_links(folder)
        return cls(folder, record)

    # ------------------------------------------------------------------ configuration

    @property
    def settings(self) -> SearchSettings:
        return self._record.settings

    @property
    def space(self) -> SearchSpace:
        return self._record.space

    @property
    def task_digest(self) -> str:
        """Digest of the training task."""
        return self._record.task

    @property
    def founders(self) -> tuple[Founder, ...]:
        """Founders from another search."""
        return self._record.founders

    @property
    def seen(self) -> tuple[tuple[int, str], ...]:
        """Number and digest of the recorded frames that the founders' weights were trained on."""
        return self._record.seen

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that the search was started with."""
        return self._record.versions

    @property
    def metadata(self) -> Metadata:
        """Recording metadata of the movie that the search was started on."""
        return self._record.metadata

    @property
    def merged(self) -> tuple[str, ...]:
        """The run folders that it was merged from; empty for a search."""
        return self._record.merged

    def change_budget(self, budget: str) -> None:
        """Change the budget of a search that is not running, for its next resume.

        Raises
        ------
        InputError
            If the budget is invalid, or a search is running in the folder.
        """
        self._change(budget=budget)

    def change_pool(self, pool: str) -> None:
        """Change the pool of a search that is not running, for its next resume.

        Raises
        ------
        InputError
            If a search is running in the folder.
        """
        self._change(pool=pool)

    def _change(self, **changed: Any) -> None:
        with self.lock():
            record = replace(self._record, settings=replace(self.settings, **changed))
            record.write(self.path)
            self._record = record

    # ------------------------------------------------------------------ paths

    @property
    def journal_path(self) -> Path:
        return self.path / "journal.jsonl"

    @property
    def log_path(self) -> Path:
        return self.path / "search.log"

    @property
    def task_path(self) -> Path:
        return self.path / TASK

    @cached_property
    def task(self) -> TrainingTask:
        """The training task."""
        return TrainingTask.open(self.task_path)

    # ------------------------------------------------------------------ writing

    def lock(self) -> AbstractContextManager[None]:
        """Lock the folder for writing; raises InputError if it is locked already, or merged. May be nested."""
        self.check_search()
        return self._lock.held()

    def check_search(self) -> None:
        """Raise InputError for a merged run, which has no population and no random stream to continue."""
        if self.merged:
            raise InputError(
                "a search that can go on",
                f"{self.path}, merged from {len(self.merged)} runs",
                f"Resume those ({self.merged[0]}, …) and merge them again.",
            )

    def note(self, state: str | None = None) -> None:
        """Publish the writer's state to views: "running", "waiting …", "paused: …"; None repeats the last one."""
        self._lock.note(state)

    def weights_path(self, key: str) -> Path:
        """Return the path of an evaluation's weights; each has its own file, so that none in use is overwritten."""
        name = f"{key.replace('/', '-')}.safetensors"
        if Path(name).name != name:  # a journal from elsewhere may contain any text
            raise InputError("the key of an evaluation", repr(key), "Restore the journal from a copy.")
        return self.path / "networks" / name

    def write_weights(self, key: str, data: bytes, pause: Pause | None = None) -> None:
        """Save the weights of an evaluation; they are completely on disk on return."""
        wait_for_room(lambda: atomic_write(self.weights_path(key), data), pause)

    def read_weights(self, key: str) -> bytes:
        """Return the weights of an evaluation; empty if there are none."""
        try:
            return self.weights_path(key).read_bytes()
        except FileNotFoundError:
            return b""

    def remove_weights(self, key: str) -> None:
        """Delete the weights of an evaluation."""
        self.weights_path(key).unlink(missing_ok=True)

    def kept_weights(self) -> set[EvaluationKey]:
        """Return the keys of all evaluations whose weights are kept."""
        return {
            EvaluationKey(path.stem.replace("-", "/")) for path in (self.path / "networks").glob("[0-9]*.safetensors")
        }

    # ------------------------------------------------------------------ requests

    def request(self, what: str) -> None:
        """Send a request to the search process: ``"stop"``."""
        try:
            atomic_write(self.path / "requests" / what, b"")
        except OSError as error:
            raise unwritable(self.path, error) from error

    def requested(self, what: str) -> bool:
        """Whether a request was sent and is not answered yet."""
        return (self.path / "requests" / what).exists()

    def clear_requests(self) -> None:
        """Remove all requests, as answered."""
        for one in (self.path / "requests").glob("*"):
            one.unlink(missing_ok=True)

    # ------------------------------------------------------------------ reading

    def facts(self, *, genomes: bool = True) -> Iterator[Fact]:
        """Yield every fact of the journal in order; the genomes of births, most of its size, can be left out."""
        if self.journal_path.exists():
            for fact, _ in iterate_facts(self.journal_path, genomes=genomes):
                yield fact

    def monitor(self) -> RunMonitor:
        """Return a monitor of the search for a view with its own thread."""
        return self._open_monitor(WriterLock(self.path))

    def _open_monitor(self, lock: WriterLock) -> RunMonitor:
        return RunMonitor(self.path, self.journal_path, lock, lambda: self.settings.budget)

    @property
    def reader(self) -> RunReader:
        """Reader of the journal at the position of the latest `status`; for one thread."""
        return self._monitor.reader

    def status(self) -> dict[str, Any]:
        """Return state, counts, rates and best of the search; only new lines of the journal are read.

        ``state`` is ``"running"``, ``"stopped"``, ``"finished"``, ``"interrupted"`` or ``"new"``; ``note`` says what
        the running search waits for, if anything; the other keys are those of `RunSnapshot.summary`.
        """
        return {"path": str(self.path), **self._monitor.snapshot(math.inf, fresh=True).summary()}
