"""Upload of the shared input to machines without a copy, once per machine, whatever its number of workers."""

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

#: Time limit of a worker for each upload message [s].
_ANSWER = 120.0


class Uploader:
    """Uploads a shared input to machines as needed.

    Parameters
    ----------
    staged : StagedInput

    Attributes
    ----------
    sent : int
        Number of bytes sent.
    seconds : float
        Time spent on sending, summed over machines [s].
    """

    def __init__(self, staged: StagedInput) -> None:
        self._staged = staged
        self._under_way: dict[tuple[str, str], asyncio.Task[str]] = {}
        self._brought: dict[tuple[str, str], float] = {}
        self.sent = 0
        self.seconds = 0.0

    async def upload(self, client: Client, worker: str, place: tuple[str, str], asked: float) -> str:
        """Upload the shared input through a worker; return an error message of the worker, "" on success.

        Parameters
        ----------
        client : Client
        worker : str
        place : (str, str)
            Host and folder of the copy.
        asked : float
            Time at which the task that found no copy was sent; nothing is uploaded if a copy was made since [s,
            monotonic].

        Raises
        ------
        OSError
            If the input cannot be read here, or the worker is lost.
        """
        if self._brought.get(place, -1.0) >= asked:
            return ""
        task = self._under_way.get(place)
        if task is None:
            task = self._under_way[place] = asyncio.create_task(self._send(client, worker, place))
            task.add_done_callback(lambda _: self._under_way.pop(place, None))
        # Shielded, since others may wait for the same upload.
        return await asyncio.shield(task)

    async def _send(self, client: Client, worker: str, place: tuple[str, str]) -> str:
        began = time.monotonic()
        try:
            part, messages = "", _messages(self._staged)
            while (message := await asyncio.to_thread(next, messages, None)) is not None:
                answer = await self._ask(client, worker, receive_pieces, self._staged, part, message)
                part, trouble = str(answer[0]), str(answer[1])
                if trouble:
                    return trouble
                self.sent += len(message)
            trouble = str(await self._ask(client, worker, take_pieces, self._staged, part))
            if not trouble:
                self._brought[place] = time.monotonic()
            return trouble
        finally:
            self.seconds += time.monotonic() - began

    @staticmethod
    async def _ask(client: Client, worker: str, *call: Any) -> Any:
        return (await asyncio.wait_for(client.run(*call, workers=[worker]), _ANSWER))[worker]


def _messages(staged: StagedInput) -> Iterator[bytes]:
    """Yield the input's chunks, packing small ones together."""
    together: list[Message] = []
    for piece in pieces_of(Path(staged.source)):
        together.append(piece)
        if sum(len(chunk) for _, chunk in together) >= PIECE:
            yield pack(together)
            together = []
    if together:
        yield pack(together)
