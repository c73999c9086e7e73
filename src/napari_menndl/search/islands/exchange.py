"""Exchange of an island with the others while it searches: it offers its best and takes in some of theirs.

All to all: an elite reaches every island in one step, and the loss of an island affects no other; with one small file
per island, this costs a listing and a few reads per period. A ring would give islands time to become different; here
they have it because few immigrants are admitted: one birth in twenty, from the islands in turn, each genome once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import nullcontext
from itertools import chain, zip_longest
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.search.candidate import IMMIGRANT
from napari_menndl.search.islands.shared_folder import Elite, SharedFolder

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from napari_menndl.search.candidate import Candidate
    from napari_menndl.search.evolution import Evolution
    from napari_menndl.search.folder import RunFolder

log = logging.getLogger(__name__)
#: Interval between exchanges; longest wait for the shared folder at the start and at the end [s].
PERIOD, PATIENCE = 10.0, 5.0
#: Number of elites that an island offers; births per immigrant admitted.
OFFERED, BIRTHS_PER_IMMIGRANT = 4, 20


class Exchange:
    """Exchange in a thread of its own while entered; a file system that hangs blocks only that thread.

    Parameters
    ----------
    shared : SharedFolder
    evolution : Evolution
        Used only by the thread that calls the methods.
    """

    def __init__(self, shared: SharedFolder, evolution: Evolution) -> None:
        self._shared = shared
        self._evolution = evolution
        self._offered: tuple[Elite, ...] = ()
        self._arrived: deque[tuple[str, Elite]] = deque()
        self._last = shared.own.name
        self._refused: InputError | None = None
        self._offered_at = -PERIOD
        self._wake, self._tried, self._ending = threading.Event(), threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="exchange", daemon=True)

    # ------------------------------------------------------------------ on the search's thread

    def arrivals(self, most: float) -> list[tuple[Candidate, str, Elite]]:
        """Admit networks from other islands, and offer this island's best periodically. Returns at once.

        Parameters
        ----------
        most : float
            Maximum number.

        Returns
        -------
        list of (Candidate, str, Elite)
            The newborn, already in flight; its island; the elite it comes from.

        Raises
        ------
        InputError
            If the shared folder turned out to belong to another search.
        """
        if self._refused is not None:
            raise self._refused
        if time.monotonic() - self._offered_at >= PERIOD:
            self._offer()
        evolution, born = self._evolution, list[tuple["Candidate", str, Elite]]()
        while len(born) < most and (evolution.immigrants + 1) * BIRTHS_PER_IMMIGRANT <= evolution.births + 1:
            try:
                island, elite = self._arrived.popleft()
            except IndexError:
                break
            if (candidate := evolution.admit(elite.genome)) is not None:
                born.append((candidate, island, elite))
                self._last = island
        return born

    def _offer(self) -> None:
        natives = [one for one in self._evolution.leaders(10 * OFFERED) if one.candidate.origin != IMMIGRANT]
        self._offered = tuple(
            Elite(one.id, one.candidate.rung.name, one.fitness, one.candidate.genome) for one in natives[:OFFERED]
        )
        self._offered_at = time.monotonic()
        self._wake.set()

    def __enter__(self) -> Exchange:
        self._thread.start()
        self._tried.wait(PATIENCE)
        if self._refused is not None:
            raise self._refused
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._offer()
        self._ending.set()
        self._wake.set()
        self._thread.join(PATIENCE)

    # ------------------------------------------------------------------ on its own thread

    def _work(self) -> None:
        joined, trouble = False, ""
        while not self._ending.is_set() or self._wake.is_set():
            self._wake.clear()
            try:
                if not joined:
                    self._shared.join()
                    joined = True
                self._round()
                trouble = ""
            except InputError as refused:
                self._refused = refused
                return
            except OSError as error:
                # Logged once; tried again at the next offer.
                if str(error) != trouble:
                    log.warning("nothing is exchanged with other islands for now: %s", error)
                trouble = str(error)
            finally:
                self._tried.set()
            if not self._ending.is_set():
                self._wake.wait()

    def _round(self) -> None:
        if self._offered:
            self._shared.publish(self._offered)
        others = self._shared.others()
        # Begin after the island whose turn it was last, or after this one: islands should not all admit the same first.
        names = sorted(others, key=lambda name: (name <= self._last, name))
        columns = zip_longest(*([(name, one) for one in others[name]] for name in names))
        # Elites not admitted yet are listed again, unless their island has better ones by now.
        self._arrived = deque(one for one in chain.from_iterable(columns) if one is not None)


def open_exchange(folder: RunFolder, evolution: Evolution) -> AbstractContextManager[Exchange | None]:
    """Return the exchange that the folder's settings name; if they name none, entering it gives None."""
    if not folder.settings.exchange:
        return nullcontext()
    return Exchange(SharedFolder(folder.settings, folder.space, folder.task_digest, folder.path), evolution)
