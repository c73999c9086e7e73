"""Brings what every job needs to machines that have no copy: once to each, however many of its workers ask."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_menndl.pool.process.messages import Message, pack
from napari_menndl.pool.worker.staging import PIECE, StagedInput, pieces_of
from napari_menndl.pool.worker.tasks import receive_pieces, take_pieces

if TYPE_CHECKING:
    from collections.abc import Iterator

    from distributed import Client

#: A worker has so long for each parcel [s].
_ANSWER = 120.0


class Carrier:
    """Sends one cargo to machine after machine.

    Parameters
    ----------
    cargo : StagedInput

    Attributes
    ----------
    sent : int
        [byte]
    seconds : float
        Spent on sending, sums over machines [s].
    """

    def __init__(self, cargo: StagedInput) -> None:
        self._cargo = cargo
        self._under_way: dict[tuple[str, str], asyncio.Task[str]] = {}
        self._brought: dict[tuple[str, str], float] = {}
        self.sent = 0
        self.seconds = 0.0

    async def bring(self, client: Client, worker: str, place: tuple[str, str], asked: float) -> str:
        """Bring the cargo to a place, by way of a worker; return what went wrong there.

        Parameters
        ----------
        client : Client
        worker : str
        place : (str, str)
            Host, and folder there.
        asked : float
            When that was sent which found no copy; nothing is sent if one was brought since [s, monotonic].

        Raises
        ------
        OSError
            It cannot be read here, or the worker is lost.
        """
        if self._brought.get(place, -1.0) >= asked:
            return ""
        task = self._under_way.get(place)
        if task is None:
            task = self._under_way[place] = asyncio.create_task(self._send(client, worker, place))
            task.add_done_callback(lambda _: self._under_way.pop(place, None))
        # Shielded: others may be waiting for the same.
        return await asyncio.shield(task)

    async def _send(self, client: Client, worker: str, place: tuple[str, str]) -> str:
        began = time.monotonic()
        try:
            part, parcels = "", _parcels(self._cargo)
            while (parcel := await asyncio.to_thread(next, parcels, None)) is not None:
                answer = await self._ask(client, worker, receive_pieces, self._cargo, part, parcel)
                part, trouble = str(answer[0]), str(answer[1])
                if trouble:
                    return trouble
                self.sent += len(parcel)
            trouble = str(await self._ask(client, worker, take_pieces, self._cargo, part))
            if not trouble:
                self._brought[place] = time.monotonic()
            return trouble
        finally:
            self.seconds += time.monotonic() - began

    @staticmethod
    async def _ask(client: Client, worker: str, *call: Any) -> Any:
        return (await asyncio.wait_for(client.run(*call, workers=[worker]), _ANSWER))[worker]


def _parcels(cargo: StagedInput) -> Iterator[bytes]:
    """Yield the cargo's pieces, small ones packed together."""
    together: list[Message] = []
    for piece in pieces_of(Path(cargo.source)):
        together.append(piece)
        if sum(len(chunk) for _, chunk in together) >= PIECE:
            yield pack(together)
            together = []
    if together:
        yield pack(together)
