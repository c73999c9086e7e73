from .ablation import ablations as ablations
from .evaluation import Evaluation as Evaluation
from .evaluation import Rung as Rung
from .founders import FOUNDERS as FOUNDERS
from .genes import Branches as Branches
from .genes import Conv as Conv
from .genes import FilterBank as FilterBank
from .genes import FrameInput as FrameInput
from .genes import Pool as Pool
from .genes import Residual as Residual
from .genes import Skip as Skip
from .genes import TrainingGenes as TrainingGenes
from .genes import Upsample as Upsample
from .genome import Genome as Genome
from .plan import Plan as Plan
from .plan import make_plan as make_plan
from .space import SearchSpace as SearchSpace
from .variation import crossover as crossover
from .variation import mutate as mutate
from .variation import sample_genome as sample_genome

__all__ = [
    "FOUNDERS",
    "Branches",
    "Conv",
    "Evaluation",
    "FilterBank",
    "FrameInput",
    "Genome",
    "Plan",
    "Pool",
    "Residual",
    "Rung",
    "SearchSpace",
    "Skip",
    "TrainingGenes",
    "Upsample",
    "ablations",
    "crossover",
    "make_plan",
    "mutate",
    "sample_genome",
]
