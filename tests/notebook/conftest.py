from dataclasses import replace

import pytest

from napari_menndl.annotation.annotation import Annotation
from napari_menndl.genome.evaluation import Evaluation
from napari_menndl.genome.founders import FOUNDERS
from napari_menndl.genome.space import SearchSpace
from napari_menndl.run import Run
from napari_menndl.search.folder import RunFolder
from napari_menndl.search.journal import Journal
from napari_menndl.search.settings import SearchSettings
from napari_menndl.simulation.simulate import simulate_movie
from napari_menndl.task.task import TrainingTask


@pytest.fixture(scope="session")
def simulated():
    return simulate_movie(3, (128, 128))


class Diary:
    """Writes the journal of a search by hand."""

    def __init__(self, path):
        self._journal = Journal(path)

    def write(self, kind, time, **facts):
        # The journal's own clock is overruled: facts can be years apart.
        self._journal.record(kind, **{**facts, "time": time})
        self._journal.commit()

    def born(self, time, network, founder="dilated_fcn"):
        rung = SearchSettings().ladder[0].to_json()
        facts = {"id": network, "rung": rung, "parents": [], "origin": f"founder {founder}", "weights_of": None}
        self.write("born", time, **facts, genome=FOUNDERS[founder]().to_json())

    def evaluated(self, time, key, fitness):
        evaluation = Evaluation(key.partition("/")[2], fitness, 0.02, parameters=1234, latency=5.0)
        self.write(
            "evaluated",
            time,
            key=key,
            evaluation=evaluation.to_json(),
            slot="0",
            started=time - 5,
            finished=time,
        )

    def telemetry(self, time, elapsed, median):
        pool = dict.fromkeys(("workers", "gpus", "sent_bytes", "received_bytes", "staged_bytes", "staged_seconds"), 0)
        pool |= {"quarantined": [], "waited_seconds": 0.0, "busy_seconds": 10.0}
        facts = {"slot_seconds": elapsed, "slots": 1, "gpu_seconds": 0.0, "median": median, "pool": pool}
        self.write("telemetry", time, elapsed=elapsed, **facts)


@pytest.fixture
def run(tmp_path, simulated):
    task = TrainingTask.from_movie(simulated.movie, Annotation.from_simulation(simulated, frames=[0]), (0,))
    settings = replace(SearchSettings(), budget="1h")
    return Run(RunFolder.create(tmp_path / "a.menndl", settings, SearchSpace(), task))


@pytest.fixture
def diary(run):
    """Three networks; stopped after 40 s, resumed much later for 20 s."""
    diary = Diary(run.folder.journal_path)
    diary.write("started", 1000.0, slots=1, budget="1h")
    for network, founder in enumerate(("dilated_fcn", "unet", "defectnet")):
        diary.born(1000.0 + network, network, founder)
    diary.evaluated(1010.0, "0/0", 0.3)
    diary.write("best", 1010.0, id=0, key="0/0", fitness=0.3)
    diary.evaluated(1020.0, "1/0", 0.2)
    diary.telemetry(1030.0, 30.0, 0.25)
    diary.write("stopped", 1040.0, reason="asked to stop", elapsed=40.0)
    diary.write("resumed", 9000.0, slots=1, budget="1h")
    diary.evaluated(9010.0, "0/1", 0.6)
    diary.write("best", 9010.0, id=0, key="0/1", fitness=0.6)
    return diary


@pytest.fixture
def finished(run, diary):
    genome = FOUNDERS["dilated_fcn"]().to_json()
    diary.evaluated(9015.0, "0/final0", 0.55)
    member = {"id": 0, "key": "0/whole", "networks": [], "genome": genome, "thresholds": {}}
    diary.write(
        "finished", 9020.0, reason="done", members=[member], thresholds={}, fitness=0.55, error=0.05, elapsed=60.0
    )
    return run
