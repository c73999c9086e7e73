from .annotation.annotation import Annotation as Annotation
from .annotation.classes import DefectClass as DefectClass
from .api import compare as compare
from .api import merge_runs as merge_runs
from .api import open_run as open_run
from .api import resume_search as resume_search
from .api import run_search as run_search
from .api import train_alike as train_alike
from .errors import Failure as Failure
from .errors import InputError as InputError
from .genome.space import SearchSpace as SearchSpace
from .live import follow as follow
from .movie.movie import Movie as Movie
from .movie.preparation import Average as Average
from .movie.preparation import Bin as Bin
from .movie.preparation import Crop as Crop
from .movie.preparation import Drift as Drift
from .movie.reading import open_movie as open_movie
from .opening import export_network as export_network
from .opening import open_network as open_network
from .predict.live import FrameReport as FrameReport
from .predict.suggest import Suggestion as Suggestion
from .predict.suggest import suggest_regions as suggest_regions
from .run import Run as Run
from .simulation.simulate import simulate_movie as simulate_movie
from .tracks.tracks import track_defects as track_defects

__version__: str

__all__ = [
    "Annotation",
    "Average",
    "Bin",
    "Crop",
    "DefectClass",
    "Drift",
    "Failure",
    "FrameReport",
    "InputError",
    "Movie",
    "Run",
    "SearchSpace",
    "Suggestion",
    "compare",
    "export_network",
    "follow",
    "merge_runs",
    "open_movie",
    "open_network",
    "open_run",
    "resume_search",
    "run_search",
    "simulate_movie",
    "suggest_regions",
    "track_defects",
    "train_alike",
]
