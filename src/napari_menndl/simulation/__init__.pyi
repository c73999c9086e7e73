from .acquisition import Acquisition as Acquisition
from .sample import Sample as Sample
from .simulate import SimulatedMovie as SimulatedMovie
from .simulate import simulate_movie as simulate_movie

__all__ = [
    "Acquisition",
    "Sample",
    "SimulatedMovie",
    "simulate_movie",
]
