from .review import Review as Review

__all__ = [
    "Review",
]
