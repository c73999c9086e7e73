from .answer import Answer as Answer
from .evolution import Evolution as Evolution
from .facts import Fact as Fact
from .facts import iterate_facts as iterate_facts
from .folder import RunFolder as RunFolder
from .runner import SearchRunner as SearchRunner
from .settings import SearchSettings as SearchSettings
from .views.lineage import lineage as lineage

__all__ = [
    "Answer",
    "Evolution",
    "Fact",
    "RunFolder",
    "SearchRunner",
    "SearchSettings",
    "iterate_facts",
    "lineage",
]
