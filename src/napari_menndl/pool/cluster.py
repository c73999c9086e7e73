"""Interface of all kinds of clusters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from distributed import Client


class Cluster(ABC):
    """Source of Dask workers.

    Attributes
    ----------
    ours : bool
        Whether the pool restarts the cluster when its workers are lost; otherwise it waits for them.
    far : bool
        Whether workers may be on other machines, to which shared inputs must be staged.
    """

    ours: ClassVar[bool] = False
    far: ClassVar[bool] = True

    @abstractmethod
    def connect(self) -> AbstractAsyncContextManager[Client]:
        """Provide an asynchronous client for the duration of the context; what was started for it ends with it.

        Raises
        ------
        InputError
            If nothing answers, or versions differ.
        """

    def check(self) -> None:  # noqa: B027 - optional: not every kind can be checked
        """Check that the cluster is usable now, without keeping a connection.

        Raises
        ------
        InputError
        """

    @property
    def troubles(self) -> dict[str, str]:
        """Unreachable machines by name, with the reason, as far as known."""
        return {}
