from .plots import plot_genome as plot_genome
from .plots import plot_history as plot_history
from .report import write_report as write_report
from .review_plots import plot_errors as plot_errors
from .review_plots import plot_four_panels as plot_four_panels
from .review_plots import plot_frame as plot_frame
from .search_plots import plot_genes as plot_genes
from .search_plots import plot_lineage as plot_lineage
from .search_plots import plot_pareto as plot_pareto
from .search_plots import plot_population as plot_population
from .watching import watch as watch

__all__ = [
    "plot_errors",
    "plot_four_panels",
    "plot_frame",
    "plot_genes",
    "plot_genome",
    "plot_history",
    "plot_lineage",
    "plot_pareto",
    "plot_population",
    "watch",
    "write_report",
]
