"""A hundred damaged files of every kind: each opens, or is refused with an InputError, in seconds."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "mutations.py"


def test_a_damaged_file_opens_or_is_refused():
    ended = subprocess.run(
        [sys.executable, SCRIPT, "--quick"], capture_output=True, text=True, timeout=300, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "0 faults in 100" in ended.stdout
