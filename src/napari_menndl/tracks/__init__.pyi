from .settings import TrackSettings as TrackSettings
from .tracks import Tracks as Tracks
from .tracks import track_defects as track_defects

__all__ = [
    "TrackSettings",
    "Tracks",
    "track_defects",
]
