"""What every kind of cluster is to the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from distributed import Client


class Cluster(Protocol):
    """Where Dask workers come from."""

    @property
    def ours(self) -> bool:
        """Whether the pool makes it anew when it has lost its workers; otherwise they are waited for."""

    @property
    def far(self) -> bool:
        """Whether workers may be on other machines, to which carried folders have to be staged."""

    def connect(self) -> AbstractAsyncContextManager[Client]:
        """Yield an asynchronous client for as long as the context lasts; what was started for it ends with it.

        Raises
        ------
        InputError
            Nobody answers, or not with our versions.
        """
