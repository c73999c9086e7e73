from .plots import plot_frame as plot_frame
from .plots import plot_genome as plot_genome
from .plots import plot_history as plot_history
from .report import write_report as write_report
from .watching import watch as watch

__all__ = [
    "plot_frame",
    "plot_genome",
    "plot_history",
    "watch",
    "write_report",
]
