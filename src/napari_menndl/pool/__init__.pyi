from .check import probe_pool as probe_pool
from .open import check_pool as check_pool
from .open import open_pool as open_pool
from .protocol import Outcome as Outcome
from .protocol import Pool as Pool
from .report import PoolReport as PoolReport
from .serial import SerialPool as SerialPool

__all__ = [
    "Outcome",
    "Pool",
    "PoolReport",
    "SerialPool",
    "check_pool",
    "open_pool",
    "probe_pool",
]
