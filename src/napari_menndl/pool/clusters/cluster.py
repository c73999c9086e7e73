"""What every kind of cluster is to the pool."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from distributed import Client


class Cluster(ABC):
    """Where Dask workers come from.

    Attributes
    ----------
    ours : bool
        Whether the pool makes it anew when it has lost its workers; otherwise they are waited for.
    far : bool
        Whether workers may be on other machines, to which carried folders have to be staged.
    """

    ours: ClassVar[bool] = False
    far: ClassVar[bool] = True

    @abstractmethod
    def connect(self) -> AbstractAsyncContextManager[Client]:
        """Yield an asynchronous client for as long as the context lasts; what was started for it ends with it.

        Raises
        ------
        InputError
            Nobody answers, or not with our versions.
        """

    def check(self) -> None:  # noqa: B027 - there is not always something that can be looked at
        """Refuse what nothing can be begun with now, without connecting to it for good.

        Raises
        ------
        InputError
        """

    @property
    def troubles(self) -> dict[str, str]:
        """Machines that are away at present, and why, where that is known."""
        return {}
