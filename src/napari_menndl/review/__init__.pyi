from .film import draw_movie as draw_movie
from .review import Review as Review

__all__ = [
    "Review",
    "draw_movie",
]
