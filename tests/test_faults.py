"""A few of the faults of `benchmarks/faults.py`: real processes, killed at random moments."""

import os
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

from fault_cells.killing import kill

pytestmark = pytest.mark.skipif(os.name == "nt", reason="about POSIX signals and sessions")


def test_whatever_is_killed_nothing_recorded_is_lost_and_no_genome_pays():
    found = kill(("trainer", "worker", "search"), 3, seed=0)
    assert found["kills"] == 3
    assert found["evaluations"] > 3
    counted = ("stuck", "lost", "doubled", "innocent failed", "orphans")
    assert {name: found[name] for name in counted} == dict.fromkeys(counted, 0)
