from .following import MovieWatcher as MovieWatcher
from .metadata import Metadata as Metadata
from .movie import Movie as Movie
from .preparation import Average as Average
from .preparation import Bin as Bin
from .preparation import Crop as Crop
from .preparation import Drift as Drift
from .reading import open_movie as open_movie
from .writing import write_movie as write_movie

__all__ = [
    "Average",
    "Bin",
    "Crop",
    "Drift",
    "Metadata",
    "Movie",
    "MovieWatcher",
    "open_movie",
    "write_movie",
]
