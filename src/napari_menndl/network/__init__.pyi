from .merged import MergedNetwork as MergedNetwork
from .module import Network as Network
from .weights import from_bytes as from_bytes
from .weights import to_bytes as to_bytes

__all__ = [
    "MergedNetwork",
    "Network",
    "from_bytes",
    "to_bytes",
]
